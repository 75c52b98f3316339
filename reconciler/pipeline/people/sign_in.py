"""Signing in with a password: every try is counted before it is looked at."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.access import parse_person_name
from reconciler.domain.errors import AccessDenied, InvalidInput, SignInFailed, TooManyTries
from reconciler.domain.passwords import normalised
from reconciler.domain.sign_in import FOR_A_PLACE, FOR_ONE, place_of, surroundings_of
from reconciler.pipeline.people.sessions import Browser, Sessions
from reconciler.ports import Clock, Passwords, Store


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the browser is to keep."""

    person: str
    cookie: str
    mark: str  #: by which it is known as one that this person signed in with


@dataclass(frozen=True, slots=True)
class SignIn:
    """Looks at names and passwords."""

    store: Store
    clock: Clock
    passwords: Passwords
    sessions: Sessions

    def sign_in(self, name: str, password: str, browser: Browser, mark: str = "") -> SignedIn:
        """Begin a session for whoever knows the password.

        Args:
            name: as it was typed.
            password: as it was typed.
            browser: where it was.
            mark: what the browser was given when somebody signed in with it before.

        Raises:
            SignInFailed: for whatever reason; all take the same time.
            TooManyTries: it was not looked at.
        """
        name = _parse_typed(name)
        known = self.prove(name, password, browser, mark)
        try:
            cookie = self.sessions.begin(name, browser, "password", proven=known)
        except AccessDenied:
            raise SignInFailed from None
        if self.passwords.is_outdated(known):
            renewed = self.passwords.hash(normalised(password))
            self.store.renew_password_hash(name, known, renewed)
        return SignedIn(name, cookie, self.mark_for(name))

    def prove(self, name: str, password: str, browser: Browser, mark: str = "") -> str:
        """Return the hash of the password if it is theirs. Raises as ``sign_in``."""
        if wait := self._wait(name, browser, mark):
            raise TooManyTries(wait)
        known = self.store.find_password_hash(name)
        if not self.passwords.verify(normalised(password), known):
            # In either case: writing takes time, too. What is no name may be a password.
            self.store.note("sign-in.failed", f"person {name}" if known else "an unknown name")
            raise SignInFailed
        self._begin_anew(name, browser, mark)
        return known

    def mark_for(self, name: str) -> str:
        """Return a mark for a browser that this person signed in with."""
        device = secrets.token_urlsafe(12)
        return f"{device}.{self._signature(name, device)}"

    def _wait(self, name: str, browser: Browser, mark: str) -> timedelta:
        now, device = self.clock.now(), self._device(name, mark)
        subject, around = _subject(name, device, browser), surroundings_of(browser.remote)
        if device:  # who is known here waits for nobody's tries but their own
            return self.store.take_attempt(subject, now, FOR_ONE)
        # First what keeps nothing: or whoever makes up names fills the database.
        return (
            self.store.wait_of(around, now)
            or self.store.take_attempt(subject, now, FOR_ONE)
            or self.store.take_attempt(around, now, FOR_A_PLACE)
        )

    def _begin_anew(self, name: str, browser: Browser, mark: str) -> None:
        device = self._device(name, mark)
        self.store.forget_attempts(_subject(name, device, browser))
        if not device:
            self.store.give_attempt_back(surroundings_of(browser.remote))

    def _device(self, name: str, mark: str) -> str:
        """Return which browser this is; empty unless ``name`` signed in with it before."""
        device, _, signature = mark.partition(".")
        expected = self._signature(name, device)
        return device if hmac.compare_digest(signature.encode(), expected.encode()) else ""

    def _signature(self, name: str, device: str) -> str:
        key = self.store.get_device_key().reveal().encode()
        return hmac.new(key, f"{name}\n{device}".encode(), hashlib.sha256).hexdigest()


def _parse_typed(name: str) -> str:
    """Return the name that was typed; empty for what is none: nobody has that."""
    try:
        return parse_person_name(name.strip().lower())
    except InvalidInput:
        return ""


def _subject(name: str, device: str, browser: Browser) -> str:
    """Return what tries are counted by; hashed, for people type passwords into the wrong field."""
    place = device or place_of(browser.remote)
    return hashlib.sha256(f"{name}\n{place}".encode()).hexdigest()
