"""Who asks, and what that is enough for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request

from reconciler.domain.access import NOTHING, Grants, Scope
from reconciler.domain.errors import AccessDenied

PRINCIPAL = "reconciler.principal"
#: Set beside it: looks up anew who asks, as long as an answer goes on.
AGAIN = "reconciler.principal_again"

Again = Callable[[], Awaitable["Principal | None"]]


class Policy(StrEnum):
    """What a route asks of its caller."""

    OPEN = "open"  #: nothing
    KNOWN = "known"  #: to be somebody, whatever they may do
    READ = Scope.READ
    TRIGGER = Scope.TRIGGER
    PUSH = Scope.PUSH
    CONFIG = Scope.CONFIG
    SECRETS = Scope.SECRETS
    ADMIN = Scope.ADMIN


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str  #: as records show it: ``local:1000``, ``token:ci``, or a person's plain name
    grants: Grants = NOTHING

    def may(self, policy: Policy, project: str | None = None) -> bool:
        """Tell whether this is enough for ``policy`` on ``project`` or its repository."""
        if policy is Policy.KNOWN:
            return self != NOBODY
        return policy is Policy.OPEN or self.grants.allow(Scope(policy), project)

    def may_somewhere(self, policy: Policy) -> bool:
        """Tell whether this is enough for ``policy`` on any project at all."""
        found = self.grants.projects_for(Scope(policy))
        return found is None or bool(found)


@dataclass(frozen=True, slots=True)
class Sight:
    """The projects, and repositories, that somebody gets to see."""

    whose: str
    projects: frozenset[str] | None  #: None: all

    @property
    def is_whole(self) -> bool:
        """Whether they see all there is, the daemon's own matters included."""
        return self.projects is None

    def has(self, project: str | None) -> bool:
        """Tell whether they see ``project``; None: what is about no single one."""
        return self.projects is None or project in self.projects

    def require(self, project: str | None) -> None:
        """Let pass whoever sees ``project``, be it there or not.

        Raises:
            AccessDenied: they don't.
        """
        if not self.has(project):
            raise AccessDenied(f"{self.whose} lacks the scope {Policy.READ}, which this needs")


NOBODY = Principal("nobody")


def principal_of(request: Request) -> Principal:
    """Return who asks."""
    found = request.scope.get(PRINCIPAL, NOBODY)
    assert isinstance(found, Principal)  # noqa: S101  set by Authentication alone
    return found


def actor_of(request: Request) -> str:
    """Return who asks, as records name them."""
    return principal_of(request).name


def authorize(principal: Principal, policy: Policy, project: str | None = None) -> None:
    """Let pass who may; None: what is about the whole daemon, or about nothing that is known.

    Asked before it is looked whether there is such a project: the answer does not tell.

    Raises:
        AccessDenied: saying which scope would be enough.
    """
    if not principal.may(policy, project):
        where = f" for {project}" if project else " for the whole daemon"
        raise AccessDenied(f"{principal.name} lacks the scope {policy}{where}, which this needs")


async def _sight(request: Request) -> Sight:
    principal = principal_of(request)
    return Sight(principal.name, principal.grants.projects_for(Scope.READ))


#: What whoever asks gets to see, for lists that show only that.
Seen = Annotated[Sight, Depends(_sight)]
