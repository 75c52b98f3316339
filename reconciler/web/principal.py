"""Who asks, and what that is enough for."""

from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request

from reconciler.domain.access import NOTHING, Grants, Scope
from reconciler.domain.errors import AccessDenied

PRINCIPAL = "reconciler.principal"


class Policy(StrEnum):
    """What a route asks of its caller."""

    OPEN = "open"  #: nothing
    READ = Scope.READ
    TRIGGER = Scope.TRIGGER
    PUSH = Scope.PUSH
    CONFIG = Scope.CONFIG
    SECRETS = Scope.SECRETS
    ADMIN = Scope.ADMIN


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str  #: as records show it: ``local:1000``, or a token's name
    grants: Grants = NOTHING

    def may(self, policy: Policy, project: str | None = None) -> bool:
        """Tell whether this is enough for ``policy`` on ``project`` or its repository."""
        return policy is Policy.OPEN or self.grants.allow(Scope(policy), project)


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
    """Let pass who may.

    Raises:
        AccessDenied: saying which scope would be enough.
    """
    if not principal.may(policy, project):
        where = f" for {project}" if project else ""
        raise AccessDenied(f"{principal.name} lacks the scope {policy}{where}, which this needs")
