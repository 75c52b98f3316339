"""Bodies of people, their sessions, and how they sign in."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.access import Grants, Person, Role, Session
from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName, parse_project_name
from reconciler.pipeline.people.accounts import PersonChange
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said

_PASSWORD = "ten green bottles on a wall"  # noqa: S105  an example
_ROLE = "viewer, operator or admin"
_HIDING = ConfigDict(hide_input_in_errors=True)


class PersonBody(Answer):
    """What may be shown of a person."""

    name: str = said("Their name.", "ada")
    role: str | None = said(f"What they are for the whole daemon: {_ROLE}; or null.", "operator")
    roles: dict[str, str] = said("Project → what they are for it.", {"shop": "operator"})
    blocked: bool = said("Whether they are kept out.", False)
    signs_in_elsewhere: bool = said(
        "Whether they have no password here: a proxy or provider vouches for them.", False
    )
    created_at: datetime = said("When they were added.", AT)
    last_seen_at: datetime | None = said("When they last did something, to the minute.", AT)

    @classmethod
    def of(cls, person: Person) -> Self:
        """Return the body of ``person``."""
        return cls(
            name=person.name,
            role=person.role.value if person.role else None,
            roles={str(name): role.value for name, role in person.roles.items()},
            blocked=person.blocked,
            signs_in_elsewhere=person.signs_in_elsewhere,
            created_at=person.created_at,
            last_seen_at=person.last_seen_at,
        )


class PersonList(Answer):
    """By name."""

    items: list[PersonBody] = said("The people.", [])
    next: str | None = next_page()


class NewPerson(Asked):
    """Somebody to add."""

    model_config = _HIDING

    name: str = said("1 to 64 of a-z, 0-9, '.', '_', '@' and '-'.", "ada")
    role: str | None = said(f"For the whole daemon: {_ROLE}; or null.", "operator", default=None)
    roles: dict[str, str] = said("Project → role.", {"shop": "operator"}, default={})
    password: str | None = said(
        "12 to 256 characters; null: a proxy or provider vouches for them.",
        _PASSWORD,
        default=None,
        repr=False,
    )


class PersonPatch(Asked):
    """What to change; what is left out stays."""

    role: str | None = said(
        f"For the whole daemon: {_ROLE}; null takes it away.", "viewer", default=None
    )
    roles: dict[str, str | None] = said(
        "Project → role; null takes it away.", {"shop": "viewer"}, default={}
    )
    blocked: bool | None = said("Keep them out, or let them in again.", False, default=None)

    def change(self) -> PersonChange:
        """Return what it says. Raises ``InvalidInput``."""
        return PersonChange(
            role=parse_role(self.role) if self.role is not None else None,
            without_role="role" in self.model_fields_set and self.role is None,
            roles={
                parse_project_name(name, "roles"): parse_role(role, "roles") if role else None
                for name, role in self.roles.items()
            },
            blocked=self.blocked,
        )


class NewPassword(Asked):
    """Another password for somebody."""

    model_config = _HIDING

    password: str = said("12 to 256 characters.", _PASSWORD, repr=False)


class OwnPassword(Asked):
    """Another password for whoever asks."""

    model_config = _HIDING

    present: str = said("The present one.", "a wall with nine bottles", repr=False)
    new: str = said("The new one, 12 to 256 characters.", _PASSWORD, repr=False)


class Credentials(Asked):
    """Name and password."""

    model_config = _HIDING

    name: str = said("The person's name.", "ada")
    password: str = said("Their password.", _PASSWORD, repr=False)


class FirstAdmin(Asked):
    """The first admin, made by the token of the first start."""

    model_config = _HIDING

    token: str = said(
        "What the daemon printed, and wrote into set-up-token.", "rcs_Zm9vYmFy", repr=False
    )
    name: str = said("1 to 64 of a-z, 0-9, '.', '_', '@' and '-'.", "ada")
    password: str = said("12 to 256 characters.", _PASSWORD, repr=False)


class SetUpOffer(Answer):
    """A token that makes the first admin; this is the one time that it is shown."""

    url: str | None = said(
        "Where to use it; null where the daemon listens on its socket alone.",
        "http://127.0.0.1:8484/set-up",
    )
    token: str = said("The token; it works once, for 30 minutes.", "rcs_Zm9vYmFy")
    file: str = said("The file that holds it, too.", "/var/lib/reconciler/set-up-token")


class SessionBody(Answer):
    """A browser that somebody signed in with."""

    id: str = said("Names it; opens nothing.", "5f0c2b1a5f0c2b1a")
    person: str = said("Who signed in.", "ada")
    created_at: datetime = said("When.", AT)
    last_seen_at: datetime = said("When it was last used, to the minute.", AT)
    expires_at: datetime = said("When it ends, whatever is done with it.", AT)
    remote: str = said("The address that it was begun from.", "192.0.2.7")
    agent: str = said("What the browser calls itself.", "Mozilla/5.0 (X11; Linux x86_64)")
    browser: str = said("The same as people say it.", "Firefox on Linux")
    way: str = said("password, set-up, proxy or oidc.", "password")
    current: bool = said("Whether it is the one that asks.", True)

    @classmethod
    def of(cls, session: Session, current: Session | None) -> Self:
        """Return the body of ``session``, asked for by ``current``."""
        return cls(
            id=session.id,
            person=session.person,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            remote=session.remote,
            agent=session.agent,
            browser=session.browser,
            way=session.way,
            current=current is not None and session.id == current.id,
        )


class SessionList(Answer):
    """Newest first."""

    items: list[SessionBody] = said("The sessions.", [])


class EndedBody(Answer):
    """How many sessions were ended."""

    ended: int = said("How many.", 2)


class MeBody(Answer):
    """Who asks, and what they may do."""

    name: str = said("As records show them.", "ada")
    scopes: list[str] = said("What they may do on the whole daemon.", ["read"])
    projects: dict[str, list[str]] = said(
        "Project → what they may do there.", {"shop": ["push", "read", "trigger"]}
    )
    form_token: str | None = said(
        "What a page of this daemon sends in `X-Form-Token` with every change; null without a "
        "session.",
        "4f2a",
    )

    @classmethod
    def of(cls, name: str, grants: Grants, form_token: str | None) -> Self:
        """Return the body of somebody."""
        return cls(
            name=name,
            scopes=sorted(grants.everywhere),
            projects={project: sorted(scopes) for project, scopes in grants.on.items()},
            form_token=form_token,
        )


def parse_role(text: str, field: str = "role") -> Role:
    """Return a role. Raises ``InvalidInput``."""
    try:
        return Role(text)
    except ValueError:
        raise InvalidInput(field, text, f"is not one of {', '.join(Role)}") from None


def parse_roles(given: dict[str, str]) -> dict[ProjectName, Role]:
    """Return project → role. Raises ``InvalidInput``."""
    return {
        parse_project_name(name, "roles"): parse_role(role, "roles") for name, role in given.items()
    }
