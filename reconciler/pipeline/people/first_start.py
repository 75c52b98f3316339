"""The first admin: made by whoever can read what the daemon wrote when nobody was one."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.domain.access import Person, Role, parse_person_name
from reconciler.domain.errors import SetUpOver, TooManyTries
from reconciler.domain.passwords import parse_password
from reconciler.domain.sign_in import FOR_A_PLACE, place_of
from reconciler.pipeline.people.sessions import Browser, Sessions
from reconciler.pipeline.people.sign_in import SignedIn, SignIn
from reconciler.ports import Acting, Clock, Passwords, Store, acting_for, who_acts

LASTS = timedelta(minutes=30)

_TOKEN = re.compile(r"rcs_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """Who wants to be the first one."""

    token: str
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Offers tokens while there is no admin, and takes one of them, once."""

    store: Store
    clock: Clock
    passwords: Passwords
    sessions: Sessions
    sign_in: SignIn

    def offer(self) -> str | None:
        """Return a token that makes the first admin, kept for ``LASTS``; None: there is one."""
        token = f"rcs_{secrets.token_urlsafe(32)}"
        offered = self.store.offer_set_up(_digest(token), self.clock.now(), LASTS)
        return token if offered else None

    def set_up(self, wanted: NewAdmin, browser: Browser) -> SignedIn:
        """Make the first admin, and sign them in.

        Raises:
            SetUpOver: the token is none, or no more.
            TooManyTries: of those that were none.
            InvalidInput: name or password.
            AlreadyExists: somebody who is no admin has the name.
        """
        token = wanted.token.strip()
        self._require_offered(token, browser)
        name = parse_person_name(wanted.name.strip())
        password = parse_password(wanted.password, name)
        now, hashed = self.clock.now(), self.passwords.hash(password)
        admin = Person(name, Role.ADMIN, now)
        acting = who_acts()
        with acting_for(Acting(name, acting.remote, acting.request)):
            if not self.store.use_set_up(_digest(token), admin, hashed):
                raise SetUpOver
            cookie = self.sessions.begin(name, browser, "set-up", proven=hashed)
        return SignedIn(name, cookie, self.sign_in.mark_for(name))

    def _require_offered(self, token: str, browser: Browser) -> None:
        """Let the right one pass, however often others tried; looked up by its SHA-256."""
        now = self.clock.now()
        if _TOKEN.fullmatch(token) and self.store.is_set_up_offered(_digest(token), now):
            return
        subject = f"set-up {place_of(browser.remote)}"
        if wait := self.store.take_attempt(subject, now, FOR_A_PLACE):
            raise TooManyTries(wait)
        raise SetUpOver


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
