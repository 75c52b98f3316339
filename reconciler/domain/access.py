"""Who may do what: scopes, roles, and where they hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName

#: What agents say → what people say. The first that fits: most claim to be several others, too.
_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
}
_SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
_PERSON_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
#: As whom records show the daemon itself, and whoever is not known.
_TAKEN = frozenset({"reconciler", "nobody"})


class Scope(StrEnum):
    """One thing that somebody may do. None includes another, but for the last."""

    READ = "read"  #: see what runs, why, and what was done
    TRIGGER = "trigger"  #: ask for deployments, go back, approve, report releases
    PUSH = "push"  #: fetch from and push to hosted repositories
    CONFIG = "config"  #: change what is declared
    SECRETS = "secrets"  #: put and remove secrets, which nobody reads
    ADMIN = "admin"  #: all of these, and hosts, settings, people, tokens and the audit log


EVERYTHING = frozenset(Scope)


class Role(StrEnum):
    """What a person is, for the whole daemon or for one project."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


#: Role → what it brings. An admin of one project is none of the daemon.
_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.TRIGGER, Scope.PUSH}),
    Role.ADMIN: EVERYTHING,
}


@dataclass(frozen=True, slots=True)
class Grants:
    """What somebody may do everywhere, and what on single projects (and repositories)."""

    everywhere: frozenset[Scope] = frozenset()
    on: Mapping[str, frozenset[Scope]] = field(default_factory=dict)

    def allow(self, scope: Scope, project: str | None = None) -> bool:
        """Tell whether they are enough: for ``project``, or None for the whole daemon."""
        if self.everywhere & {scope, Scope.ADMIN}:
            return True
        if project is None or scope is Scope.ADMIN:
            return False
        return scope in self.on.get(project, frozenset())

    def projects_for(self, scope: Scope) -> frozenset[str] | None:
        """Return the projects that ``scope`` holds on; None: all there are."""
        if self.everywhere & {scope, Scope.ADMIN}:
            return None
        return frozenset(name for name, scopes in self.on.items() if scope in scopes)


NOTHING = Grants()
ALL = Grants(EVERYTHING)


def principal_of_token(name: str) -> str:
    """Return how records name who shows the token ``name``: never as a person is named."""
    return f"token:{name}"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as it may be shown: without its text."""

    name: str
    scopes: frozenset[Scope]
    projects: tuple[ProjectName, ...] | None  #: that it is bound to; None: to none, it holds on all
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None  #: to the minute
    last_used_from: str = ""  #: the address that it came from then

    @property
    def grants(self) -> Grants:
        """What it may do."""
        if self.projects is None:
            return Grants(self.scopes)
        bound = self.scopes - {Scope.ADMIN}  # which is about more than any project
        return Grants(on={str(name): bound for name in self.projects})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in."""

    name: str
    role: Role | None  #: for the whole daemon; None: only what ``roles`` says
    created_at: datetime
    roles: Mapping[ProjectName, Role] = field(default_factory=dict)
    signs_in_elsewhere: bool = False  #: no password here: a proxy or provider vouches for them
    blocked: bool = False
    last_seen_at: datetime | None = None

    @property
    def is_admin(self) -> bool:
        """Whether they may do everything now."""
        return self.role is Role.ADMIN and not self.blocked

    @property
    def declared(self) -> object:
        """What admins say of them: what they did meanwhile changes nothing of it."""
        return self.role, sorted(self.roles.items()), self.blocked

    @property
    def grants(self) -> Grants:
        """What they may do."""
        if self.blocked:
            return NOTHING
        everywhere = _SCOPES[self.role] if self.role else frozenset()
        on = {str(name): _SCOPES[role] - {Scope.ADMIN} for name, role in self.roles.items()}
        return Grants(everywhere, on)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that a person signed in with, as it may be shown."""

    id: str  #: names it; opens nothing
    person: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime  #: whatever is done with it
    remote: str
    agent: str  #: what the browser calls itself
    way: str  #: ``password``, ``set-up``, ``proxy`` or ``oidc``

    @property
    def browser(self) -> str:
        """The agent as people say it, ``Firefox on Linux``; as it stands if it tells neither."""
        found = (_named(_BROWSERS, self.agent), _named(_SYSTEMS, self.agent))
        return " on ".join(filter(None, found)) or self.agent


def _named(names: Mapping[str, str], agent: str) -> str:
    return next((name for mark, name in names.items() if mark in agent), "")


def parse_person_name(text: str) -> str:
    """Return the name of a person. Raises ``InvalidInput``."""
    if not _PERSON_NAME.fullmatch(text):
        rule = "must be 1 to 64 of a-z, 0-9, '.', '_', '@' and '-', and begin with a-z or 0-9"
        raise InvalidInput("name", text, rule)
    if text in _TAKEN:
        raise InvalidInput("name", text, "is how records show the daemon itself, or nobody")
    return text
