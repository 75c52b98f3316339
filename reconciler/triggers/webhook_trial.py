"""A delivery that the daemon makes for itself, to try a webhook with."""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.errors import Conflict
from reconciler.domain.payload import Payload
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import ImageReference, ProjectName
from reconciler.domain.registry_event import make_image_push
from reconciler.domain.webhook import DIALECTS, Webhook
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from reconciler.ports import Clock, Store
from reconciler.triggers.doors import Door
from reconciler.triggers.webhook import Receiver
from reconciler.triggers.webhook_inbox import Knock

_REMOTE = "a test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of it."""

    delivery: str  #: its id among the deliveries; empty: a registry of its kind gives none
    repository: str  #: that it was a push to; of a registry: the image, without its tag
    branch: str  #: or tag
    wakes: tuple[ProjectName, ...]


def try_webhook(
    store: Store, clock: Clock, receiver: Receiver, door: Door, project: ProjectName | None
) -> Trial:
    """Make the push of a project's branch or image, sign it and let the webhook receive it.

    Args:
        store: where projects are.
        clock: for what is signed with a time.
        receiver: which takes it as it takes those that forges send.
        door: the webhook, with its secrets.
        project: whose; None: the webhook's own, or the first that has one.

    Raises:
        NotFound: no such project.
        Conflict: there is no project whose branch or image could be pushed to.
    """
    webhook = door.webhook
    if webhook.registry is not None:
        image = _image_of(store, webhook, webhook.registry, project)
        repository, branch = image.name, image.tag or ""
        payload = make_image_push(webhook.provider, image)
    else:
        repository, branch = _source_of(_pick(store, webhook, project))
        payload = make_push(webhook.provider, repository, branch)
    knock = _signed(door, payload, f"test-{secrets.token_hex(8)}", clock.now())
    arrival = receiver.receive(door, knock)
    assert arrival is not None and arrival.hint is not None  # noqa: S101, PT018  it was made so
    wakes = receiver.followers_of(webhook, arrival.hint)
    return Trial(arrival.delivery.delivery, repository, branch, tuple(one.name for one in wakes))


def _signed(door: Door, payload: Payload, delivery: str, now: datetime) -> Knock:
    provider, body = door.webhook.provider, json.dumps(payload).encode()
    dialect, secret = DIALECTS[provider], door.secrets[0]
    headers = sign(provider, body, secret, delivery, now)
    if dialect.event_header:
        headers |= {dialect.event_header: dialect.pushes[0], dialect.delivery_headers[0]: delivery}
    key = secret.reveal() if provider.has_key_in_path else None
    return Knock({name: [value] for name, value in headers.items()}, _REMOTE, body, key)


def _image_of(
    store: Store, webhook: Webhook, registry: str, name: ProjectName | None
) -> ImageReference:
    wanted = name or webhook.project
    if wanted is not None:
        store.get_project(wanted)
    every = store.list_images()
    for project in [wanted] if wanted is not None else sorted(every):
        for image in every.get(project, ()):
            if not image.unwatched_because:
                reference = ImageReference.parse(image.image)
                if reference.registry == registry:
                    return reference
    who = f"{wanted} watches no" if wanted is not None else "no project watches an"
    raise Conflict(f"{who} image of {registry} yet, so that none can be pushed")


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
