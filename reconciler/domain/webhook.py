"""Webhooks: which forge announces pushes here, and in which words it does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName

WebhookName = NewType("WebhookName", str)
#: Name of a header in lower case → its values, in the order in which they came.
HeaderValues = Mapping[str, Sequence[str]]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
#: What is shown of an event's name or a delivery's id; anything else is left out.
_TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
_EVENT = re.compile(r"[A-Za-z0-9_:. -]{1,64}")


class Provider(StrEnum):
    """Whose deliveries a webhook takes. It is declared, never found out from a header."""

    GITEA = "gitea"
    FORGEJO = "forgejo"
    GOGS = "gogs"
    GITHUB = "github"
    GITLAB = "gitlab"  #: the secret itself comes as a token
    GITLAB_SIGNED = "gitlab-signed"  #: as Standard Webhooks has it
    BITBUCKET_CLOUD = "bitbucket-cloud"
    BITBUCKET_SERVER = "bitbucket-server"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a forge names what it sends."""

    event_header: str
    delivery_headers: tuple[str, ...]  #: the first that is there names the delivery
    pushes: tuple[str, ...]  #: events that announce moved refs
    pings: tuple[str, ...] = ()  #: events that try the way only


#: Sources: the webhook pages of Gitea, Forgejo, Gogs, GitHub, GitLab and Bitbucket.
DIALECTS: Mapping[Provider, Dialect] = {
    Provider.GITEA: Dialect("x-gitea-event", ("x-gitea-delivery",), ("push",), ("ping",)),
    Provider.FORGEJO: Dialect("x-forgejo-event", ("x-forgejo-delivery",), ("push",), ("ping",)),
    Provider.GOGS: Dialect("x-gogs-event", ("x-gogs-delivery",), ("push",), ("ping",)),
    Provider.GITHUB: Dialect("x-github-event", ("x-github-delivery",), ("push",), ("ping",)),
    Provider.GITLAB: Dialect(
        "x-gitlab-event",
        ("idempotency-key", "x-gitlab-event-uuid"),
        ("Push Hook", "Tag Push Hook"),
    ),
    Provider.GITLAB_SIGNED: Dialect(
        "x-gitlab-event", ("webhook-id",), ("Push Hook", "Tag Push Hook")
    ),
    Provider.BITBUCKET_CLOUD: Dialect("x-event-key", ("x-request-uuid",), ("repo:push",)),
    Provider.BITBUCKET_SERVER: Dialect(
        "x-event-key", ("x-request-id",), ("repo:refs_changed",), ("diagnostics:ping",)
    ),
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One way in for a forge, as an operator declared it."""

    name: WebhookName
    provider: Provider
    created_at: datetime
    project: ProjectName | None = None  #: the only one it wakes; None: whoever follows what moved

    @property
    def path(self) -> str:
        """Where the forge sends to, below the daemon's address."""
        return f"/webhook/{self.name}"

    def event_of(self, headers: HeaderValues) -> str:
        """Return which event it is; empty if there is none that can be one."""
        return _first(headers, (DIALECTS[self.provider].event_header,), _EVENT)

    def delivery_of(self, headers: HeaderValues) -> str:
        """Return the delivery's id, the same when it is sent again; empty without one."""
        return _first(headers, DIALECTS[self.provider].delivery_headers, _TOKEN)

    def is_push(self, event: str) -> bool:
        """Tell whether ``event`` announces moved refs."""
        return event in DIALECTS[self.provider].pushes

    def is_ping(self, event: str) -> bool:
        """Tell whether ``event`` only tries the way."""
        return event in DIALECTS[self.provider].pings


def parse_webhook_name(text: str, field: str = "name") -> WebhookName:
    """Return ``text`` as the name of a webhook, which is also the last part of its path.

    Raises:
        InvalidInput: not 1 to 63 of a-z, 0-9 and ``-``.
    """
    if not _NAME.fullmatch(text):
        raise InvalidInput(field, text, "must be 1 to 63 of a-z, 0-9 and '-', like 'forgejo'")
    return WebhookName(text)


def parse_provider(text: str, field: str = "provider") -> Provider:
    """Return the provider named by ``text``. Raises ``InvalidInput``."""
    try:
        return Provider(text)
    except ValueError:
        raise InvalidInput(field, text, f"is not one of {', '.join(Provider)}") from None


def _first(headers: HeaderValues, names: Sequence[str], form: re.Pattern[str]) -> str:
    values = [values[0] for name in names if (values := headers.get(name))]
    return values[0] if values and form.fullmatch(values[0]) else ""
