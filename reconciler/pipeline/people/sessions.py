"""Sessions: begun for who was found to be somebody, and found again by their cookie."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.access import Person, Session
from reconciler.domain.errors import AccessDenied
from reconciler.ports import Acting, Clock, SessionStore, acting_for, who_acts

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Browser:
    """What a person signs in with."""

    remote: str  #: its address
    agent: str  #: what it calls itself


@dataclass(frozen=True, slots=True)
class Sessions:
    """Begins, finds and ends them."""

    store: SessionStore
    clock: Clock

    def begin(self, person: str, browser: Browser, way: str, *, proven: str | None = None) -> str:
        """Begin a session; return the text of its cookie, which is not kept.

        Args:
            person: who signs in.
            browser: with what.
            way: ``password``, ``set-up``, ``proxy`` or ``oidc``.
            proven: hash of the password that was shown; None: somebody else vouches for them.

        Raises:
            AccessDenied: they are gone or blocked, or have another password by now.
        """
        now, cookie = self.clock.now(), secrets.token_urlsafe(32)
        session = Session(
            id=secrets.token_hex(8),
            person=person,
            created_at=now,
            last_seen_at=now,
            expires_at=now + LONGEST,
            remote=browser.remote,
            agent=browser.agent,
            way=way,
        )
        acting = who_acts()
        with acting_for(Acting(person, acting.remote, acting.request)):
            kept = self.store.add_session(session, _digest(cookie), proven=proven)
        if not kept:
            raise AccessDenied(f"{person} may not sign in")
        return cookie

    def find(self, cookie: str) -> tuple[Session, Person] | None:
        """Return the session of this cookie with who it is of, unless it is over.

        Looked up by its SHA-256, so that the time it takes tells nothing about the cookie.
        """
        if not _COOKIE.fullmatch(cookie):
            return None
        return self.store.find_session(_digest(cookie), self.clock.now(), IDLE)


def form_token(cookie: str) -> str:
    """Return what a form of this session has to carry: no other site can know it."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
