"""People as admins and they themselves change them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.domain.access import Person, Role, Session, parse_person_name
from reconciler.domain.passwords import parse_password
from reconciler.domain.references import ProjectName
from reconciler.domain.version import ANYTHING, Expected
from reconciler.pipeline.people.sessions import Browser
from reconciler.pipeline.people.sign_in import SignIn
from reconciler.ports import Clock, Passwords, Store


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What to change of a person; None leaves it."""

    role: Role | None = None
    without_role: bool = False  #: take the role for the whole daemon away
    roles: Mapping[ProjectName, Role | None] | None = None  #: None takes one away
    blocked: bool | None = None

    def applied_to(self, person: Person) -> Person:
        """Return them with it."""
        roles = {**person.roles, **(self.roles or {})}
        return replace(
            person,
            role=None if self.without_role else self.role or person.role,
            roles={name: role for name, role in roles.items() if role is not None},
            blocked=person.blocked if self.blocked is None else self.blocked,
        )


@dataclass(frozen=True, slots=True)
class Accounts:
    """Adds, changes and removes people."""

    store: Store
    clock: Clock
    passwords: Passwords
    sign_in: SignIn

    def add(
        self, name: str, role: Role | None, roles: Mapping[ProjectName, Role], password: str | None
    ) -> Person:
        """Add somebody; without a password they sign in elsewhere.

        Raises:
            InvalidInput: the name or the password.
            NotFound: no such project.
            AlreadyExists: the name is taken.
        """
        person = Person(
            parse_person_name(name),
            role,
            self.clock.now(),
            dict(roles),
            signs_in_elsewhere=password is None,
        )
        self._require_projects(roles)
        hashed = ""
        if password is not None:
            hashed = self.passwords.hash(parse_password(password, name))
        self.store.add_person(person, hashed)
        return person

    def change(self, name: str, change: PersonChange, expected: Expected = ANYTHING) -> Person:
        """Change roles, or block them. Raises as the store does, and ``ChangedMeanwhile``."""
        given = {project: role for project, role in (change.roles or {}).items() if role}
        self._require_projects(given)
        seen = self.store.get_person(name)
        expected.require(seen.declared)
        changed = change.applied_to(seen)
        self.store.change_person(changed, seen)
        return changed

    def put_password(self, name: str, password: str) -> None:
        """Give them another password, which ends their sessions.

        Raises:
            InvalidInput: the password.
            NotFound: there is nobody of this name.
        """
        self.store.get_person(name)
        hashed = self.passwords.hash(parse_password(password, name))
        self.store.put_password_hash(name, hashed)

    def change_own_password(
        self, session: Session, present: str, new: str, browser: Browser
    ) -> None:
        """Change the password of whose session it is; their other sessions end.

        Raises:
            InvalidInput: the new one.
            SignInFailed, TooManyTries: the present one.
        """
        password = parse_password(new, session.person, "new")
        self.sign_in.prove(session.person, present, browser)
        hashed = self.passwords.hash(password)
        self.store.put_password_hash(session.person, hashed, keep=session.id)

    def _require_projects(self, roles: Mapping[ProjectName, Role]) -> None:
        for name in roles:
            self.store.get_project(name)
