"""Bodies of access tokens."""

from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import AwareDatetime

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said

_MOST_PROJECTS = 100
#: Longer than that is never meant; without an end is.
_LONGEST = timedelta(days=3660)
_NAME = "Names it in records; 1 to 64 letters, digits, '.', '_' and '-'."


class NewRepositoryToken(Asked):
    """A token to make for one repository."""

    name: str = said(_NAME, "ci-of-shop")


class NewToken(Asked):
    """A token to make."""

    name: str = said(_NAME, "ci")
    scopes: list[str] = said(
        f"What it is good for: {', '.join(Scope)}.", ["read", "trigger"], default=[]
    )
    scope: str | None = said("Short for `scopes` with one.", "read", default=None)
    projects: list[str] | None = said(
        "The only projects that it is good for (`push` alone: the only repositories); null: all, "
        "and the daemon itself. Once they are removed, so is the token.",
        ["shop"],
        default=None,
    )
    expires_in_seconds: int | None = said(
        "How long it is good for; null: until it is removed.", 7_776_000, default=None
    )
    expires_at: AwareDatetime | None = said("The same as an instant.", AT, default=None)

    def token(self, now: datetime, by: str) -> AccessToken:
        """Return what was asked for.

        Raises:
            InvalidInput: one field is wrong.
        """
        scopes = self._scopes()
        projects = self._projects()
        if projects is not None and Scope.ADMIN in scopes:
            problem = "holds on the whole daemon; leave `projects` out, or name other scopes"
            raise InvalidInput("scopes", Scope.ADMIN.value, problem)
        return AccessToken(self.name, scopes, projects, now, by, self._end(now))

    def _scopes(self) -> frozenset[Scope]:
        given = [*self.scopes, *([] if self.scope is None else [self.scope])]
        field = "scopes" if self.scope is None else "scope"
        for text in given:
            if text not in set(Scope):
                raise InvalidInput(field, text, f"is not one of {', '.join(Scope)}")
        if not given:
            raise InvalidInput("scopes", None, f"must name one at least: {', '.join(Scope)}")
        return frozenset(map(Scope, given))

    def _projects(self) -> tuple[ProjectName, ...] | None:
        if self.projects is None:
            return None
        if not 1 <= len(self.projects) <= _MOST_PROJECTS:
            problem = f"projects are not 1 to {_MOST_PROJECTS}; null: all there are"
            raise InvalidInput("projects", len(self.projects), problem)
        found = (
            parse_project_name(text, f"projects.{at}") for at, text in enumerate(self.projects)
        )
        return tuple(sorted(set(found)))

    def _end(self, now: datetime) -> datetime | None:
        seconds, at = self.expires_in_seconds, self.expires_at
        if seconds is not None and at is not None:
            raise InvalidInput("expires_at", None, "and `expires_in_seconds` exclude each other")
        if seconds is not None:
            if not 1 <= seconds <= _LONGEST.total_seconds():
                problem = f"is not 1 to {_LONGEST.total_seconds():.0f}; null: without an end"
                raise InvalidInput("expires_in_seconds", seconds, problem)
            return now + timedelta(seconds=seconds)
        if at is not None and not now < at <= now + _LONGEST:
            problem = f"is not within the next {_LONGEST.days} days; null: without an end"
            raise InvalidInput("expires_at", at.isoformat(), problem)
        return at.astimezone(UTC) if at is not None else None


class TokenMade(Answer):
    """A new token; this is the one time that it is shown."""

    name: str = said("Its name.", "ci")
    token: str = said("The token.", "rcl_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy")
    expires_at: datetime | None = said("When it ends; null: never.", AT)


class TokenBody(Answer):
    """What may be shown of a token."""

    name: str = said("Its name; records name who shows it `token:NAME`.", "ci")
    scopes: list[Scope] = said("What it is good for.", ["read", "trigger"])
    projects: list[str] | None = said(
        "The only projects that it is good for; null: all, and the daemon itself.", ["shop"]
    )
    created_at: datetime = said("When it was made.", AT)
    created_by: str | None = said("Who made it; null: the first start.", "local:1000")
    expires_at: datetime | None = said("When it ends, or ended; null: never.", AT)
    last_used_at: datetime | None = said("When it was last shown, to the minute.", AT)
    last_used_from: str | None = said("The address that it came from then.", "192.0.2.7")

    @classmethod
    def of(cls, token: AccessToken) -> Self:
        """Return the body of ``token``."""
        return cls(
            name=token.name,
            scopes=sorted(token.scopes, key=list(Scope).index),
            projects=None if token.projects is None else list(token.projects),
            created_at=token.created_at,
            created_by=token.created_by or None,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            last_used_from=token.last_used_from or None,
        )


class TokenList(Answer):
    """By name."""

    items: list[TokenBody] = said("The tokens, without their text.", [])
    next: str | None = next_page()
