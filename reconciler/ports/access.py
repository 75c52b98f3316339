"""Who may come in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.access import AccessToken, Person, Session
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.sign_in import Patience


class TokenStore(Protocol):
    """Access tokens, of which only the SHA-256 is kept."""

    def add_token(self, token: AccessToken, digest: str) -> None:
        """Keep a token.

        Raises:
            AlreadyExists: there is one of its name.
            InvalidInput: it is bound to a project that there is not. One that may do nothing but
                push is bound to repositories, of which the store knows nothing.
        """
        ...

    def find_token(self, digest: str, now: datetime, remote: str = "") -> AccessToken | None:
        """Return the token with this SHA-256, unless it has expired; noted, if it can be.

        ``remote`` is the address that it comes from.
        """
        ...

    def list_tokens(self) -> Sequence[AccessToken]:
        """Return all tokens, by name."""
        ...

    def remove_token(self, name: str) -> None:
        """Delete it, with what its requests were answered. Raises ``NotFound``."""
        ...

    def unbind_repository(self, name: ProjectName) -> None:
        """Take a repository from all tokens that may push to it; one bound to no other goes."""
        ...


class PersonStore(Protocol):
    """People. Of a password only its hash is kept; empty: they sign in elsewhere."""

    def add_person(self, person: Person, password_hash: str = "") -> None:
        """Add them. Raises ``AlreadyExists``."""
        ...

    def find_person(self, name: str) -> Person | None:
        """Return them, if there are any of this name."""
        ...

    def get_person(self, name: str) -> Person:
        """Return them. Raises ``NotFound``."""
        ...

    def list_people(self) -> Sequence[Person]:
        """Return all, by name."""
        ...

    def change_person(self, person: Person, seen: Person | None = None) -> None:
        """Record roles, and whether they are blocked, which ends their sessions.

        Raises:
            NotFound: there is nobody of this name.
            ChangedMeanwhile: they are not as they were ``seen``.
            LastAdmin: nobody else is an admin.
        """
        ...

    def remove_person(self, name: str) -> None:
        """Delete them with their sessions. Raises ``NotFound``, ``LastAdmin``."""
        ...

    def find_password_hash(self, name: str) -> str:
        """Return the hash of their password; empty for who has none, or is not there."""
        ...

    def put_password_hash(self, name: str, password_hash: str, *, keep: str = "") -> None:
        """Give them another password: all their sessions end, but that with the id ``keep``.

        Raises ``NotFound``.
        """
        ...

    def renew_password_hash(self, name: str, seen: str, password_hash: str) -> None:
        """Keep the same password under another hash, unless it is another password by now."""
        ...

    def has_admin(self, now: datetime) -> bool:
        """Tell whether a person or a token may do everything."""
        ...


class FirstStartStore(Protocol):
    """One-time tokens that make the first admin, as their SHA-256."""

    def offer_set_up(self, digest: str, now: datetime, lasts: timedelta) -> bool:
        """Keep one for ``lasts``, unless there is an admin; tell whether it is kept."""
        ...

    def is_set_up_offered(self, digest: str, now: datetime) -> bool:
        """Tell whether it could be used now."""
        ...

    def use_set_up(self, digest: str, person: Person, password_hash: str) -> bool:
        """Add ``person``, the first admin, and end all such tokens; once, whoever else tries.

        Returns:
            whether it was so: else the token is none (any more), or there is an admin.

        Raises:
            AlreadyExists: somebody who is no admin has this name; the token stays.
        """
        ...


class SessionStore(Protocol):
    """Browsers that people signed in with; of a cookie only the SHA-256 is kept."""

    def add_session(self, session: Session, digest: str, *, proven: str | None = None) -> bool:
        """Keep a session; the person's oldest go where there are too many.

        Args:
            session: it.
            digest: of its cookie.
            proven: hash of the password that was shown; None: somebody else vouches.

        Returns:
            whether it is kept: not for who is gone, blocked, or has another password by now.
        """
        ...

    def find_session(
        self, digest: str, now: datetime, idle: timedelta
    ) -> tuple[Session, Person] | None:
        """Return the session of this cookie, unless it is over; noted, if it can be."""
        ...

    def list_sessions(
        self, now: datetime, idle: timedelta, person: str | None = None
    ) -> Sequence[Session]:
        """Return those of ``person``, or of everybody, newest first."""
        ...

    def remove_session(self, session: str, person: str | None = None) -> None:
        """End one by its id: of ``person``, or of anybody. Raises ``NotFound``."""
        ...

    def remove_sessions(self, person: str, *, keep: str = "") -> int:
        """End all of a person's but the one with the id ``keep``; return how many."""
        ...


class AttemptStore(Protocol):
    """How often a password was tried, and was wrong."""

    def take_attempt(self, subject: str, now: datetime, patience: Patience) -> timedelta:
        """Count one try, as a failed one, before it is looked at. Atomic.

        Returns:
            how long to wait before it may be looked at; zero: it may be now. A try that has to
            wait is not counted.
        """
        ...

    def wait_of(self, subject: str, now: datetime) -> timedelta:
        """Return how long a try would have to wait; nothing is counted, and nothing kept."""
        ...

    def forget_attempts(self, subject: str) -> None:
        """Begin to count anew: the right password was shown."""
        ...

    def give_attempt_back(self, subject: str) -> None:
        """Count one less."""
        ...

    def get_device_key(self) -> Secret:
        """Return what marks of browsers are signed with; the same for all replicas."""
        ...


class Passwords(Protocol):
    """Hashes of passwords: slow, and costly to make many of."""

    def hash(self, password: Secret) -> str:
        """Return what to keep. Raises ``TooBusy``."""
        ...

    def verify(self, password: Secret, known: str) -> bool:
        """Tell whether it is the one that ``known`` was made of; as slowly where that is empty.

        Raises ``TooBusy``.
        """
        ...

    def is_outdated(self, known: str) -> bool:
        """Tell whether it would be made otherwise today."""
        ...


class PeopleStore(PersonStore, FirstStartStore, SessionStore, AttemptStore, Protocol):
    """People, and all about how they come in."""
