"""A delivery that the daemon makes for itself, to try a webhook with."""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.errors import Conflict
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.webhook import DIALECTS, Webhook
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from reconciler.ports import Clock, Store
from reconciler.triggers.webhook import Door, Knock, Receiver

_REMOTE = "a test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of it."""

    delivery: str  #: its id, by which it is found among the deliveries
    repository: str
    branch: str
    wakes: tuple[ProjectName, ...]


def try_webhook(
    store: Store, clock: Clock, receiver: Receiver, door: Door, project: ProjectName | None
) -> Trial:
    """Make the push of a project's branch, sign it and let the webhook receive it.

    Args:
        store: where projects are.
        clock: for what is signed with a time.
        receiver: which takes it as it takes those that forges send.
        door: the webhook, with its secrets.
        project: whose branch; None: the webhook's own, or the first that follows a repository.

    Raises:
        NotFound: no such project.
        Conflict: there is no project whose branch could be pushed to.
    """
    webhook = door.webhook
    pushed = _pick(store, webhook, project)
    repository, branch = _source_of(pushed)
    delivery = f"test-{secrets.token_hex(8)}"
    body = json.dumps(make_push(webhook.provider, repository, branch)).encode()
    arrival = receiver.receive(door, _signed(door, body, delivery, clock.now()))
    assert arrival is not None and arrival.hint is not None  # noqa: S101, PT018  it was made so
    wakes = receiver.followers_of(webhook, arrival.hint)
    return Trial(delivery, repository, branch, tuple(one.name for one in wakes))


def _signed(door: Door, body: bytes, delivery: str, now: datetime) -> Knock:
    provider = door.webhook.provider
    dialect = DIALECTS[provider]
    headers = {
        dialect.event_header: dialect.pushes[0],
        dialect.delivery_headers[0]: delivery,
        **sign(provider, body, door.secrets[0], delivery, now),
    }
    return Knock({name: [value] for name, value in headers.items()}, _REMOTE, body)


def _pick(store: Store, webhook: Webhook, name: ProjectName | None) -> Project:
    if wanted := name or webhook.project:
        return store.get_project(wanted)
    for project in store.list_projects():
        if project.source is not None:
            return project
    raise Conflict("no project follows a repository yet, so that nothing can be pushed to one")


def _source_of(project: Project) -> tuple[str, str]:
    match project.source:
        case ExternalSource(url, branch):
            return url.path.removesuffix(".git"), branch.text
        case HostedSource(repository, branch):
            return repository, branch.text
    raise Conflict(f"{project.name} follows no repository, so that nothing can be pushed to it")
