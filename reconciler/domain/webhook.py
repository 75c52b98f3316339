"""Webhooks: which forge or registry announces pushes here, and in which words it does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    DISTRIBUTION = "distribution"  #: the registry, which many others have inside
    HARBOR = "harbor"
    DOCKER_HUB = "docker-hub"
    QUAY = "quay"
    GITHUB_PACKAGES = "github-packages"

    @property
    def announces_images(self) -> bool:
        """Whether it is a registry; a forge announces moved refs."""
        return self in REGISTRY_HOSTS

    @property
    def has_key_in_path(self) -> bool:
        """Whether it can neither sign nor send a header, so that the address has to be secret."""
        return self in {Provider.DOCKER_HUB, Provider.QUAY}


#: Each registry → the host that its images are named by, unless the webhook says another; None:
#: it has to say. What a payload calls the host is not believed.
REGISTRY_HOSTS: Mapping[Provider, str | None] = {
    Provider.DISTRIBUTION: None,
    Provider.HARBOR: None,
    Provider.DOCKER_HUB: "docker.io",
    Provider.QUAY: "quay.io",
    Provider.GITHUB_PACKAGES: "ghcr.io",
}
#: Whose deliveries announce pushes to git repositories.
FORGES: Sequence[Provider] = [one for one in Provider if not one.announces_images]


class Matching(StrEnum):
    """Whom a push wakes, of those that follow the branch that it moved."""

    REPOSITORY = "repository"  #: all
    APPS = (
        "apps"  #: those that are named like the folders below ``apps/`` in which it changed files
    )


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a forge or registry names what it sends, and as what it sends it."""

    event_header: str
    delivery_headers: tuple[str, ...]  #: the first that is there names the delivery
    pushes: tuple[str, ...]  #: events that announce what moved
    pings: tuple[str, ...] = ()  #: events that try the way only
    media_types: tuple[str, ...] = ("application/json",)


#: Its events have their name in the payload, if they have one.
_UNNAMED = Dialect("", (), ("",))
#: Sources: the webhook pages of Gitea, Forgejo, Gogs, GitHub, GitLab, Bitbucket, Harbor, Docker
#: Hub and Quay; distribution, ``notifications/event.go``: ``EventsMediaType``, v1 up to its
#: release 2 and v2 since 3.
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
    Provider.DISTRIBUTION: replace(
        _UNNAMED,
        media_types=(
            "application/vnd.docker.distribution.events.v1+json",
            "application/vnd.docker.distribution.events.v2+json",
            "application/json",
        ),
    ),
    Provider.HARBOR: _UNNAMED,
    Provider.DOCKER_HUB: _UNNAMED,
    Provider.QUAY: _UNNAMED,
    Provider.GITHUB_PACKAGES: Dialect(
        "x-github-event", ("x-github-delivery",), ("package", "registry_package"), ("ping",)
    ),
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One way in for a forge or a registry, as an operator declared it."""

    name: WebhookName
    provider: Provider
    created_at: datetime
    project: ProjectName | None = None  #: the only one it wakes; None: whoever follows what moved
    matching: Matching = Matching.REPOSITORY
    registry: str | None = None  #: host by which the images are named that a registry speaks of

    @property
    def path(self) -> str:
        """Where it is sent to, below the daemon's address; ``KEY`` stands for the secret."""
        return f"/webhook/{self.name}" + ("/KEY" if self.provider.has_key_in_path else "")

    def takes(self, media_type: str) -> bool:
        """Tell whether ``media_type``, in lower case, is what its provider sends."""
        return media_type in DIALECTS[self.provider].media_types

    def event_of(self, headers: HeaderValues) -> str:
        """Return which event it is; empty if there is none that can be one."""
        return _first(headers, (DIALECTS[self.provider].event_header,), _EVENT)

    def delivery_of(self, headers: HeaderValues) -> str:
        """Return the delivery's id, the same when it is sent again; empty without one."""
        return _first(headers, DIALECTS[self.provider].delivery_headers, _TOKEN)

    def is_push(self, event: str) -> bool:
        """Tell whether ``event`` announces what moved."""
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


def parse_matching(text: str, field: str = "matching") -> Matching:
    """Return the matching named by ``text``. Raises ``InvalidInput``."""
    try:
        return Matching(text)
    except ValueError:
        raise InvalidInput(field, text, f"is not one of {', '.join(Matching)}") from None


def _first(headers: HeaderValues, names: Sequence[str], form: re.Pattern[str]) -> str:
    values = [values[0] for name in names if (values := headers.get(name))]
    return values[0] if values and form.fullmatch(values[0]) else ""
