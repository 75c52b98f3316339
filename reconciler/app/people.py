"""People as the web needs them."""

import os
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.passwords import Argon2Passwords
from reconciler.app.elsewhere import Elsewhere, elsewhere_of
from reconciler.config import Config
from reconciler.pipeline.people.accounts import Accounts
from reconciler.pipeline.people.first_start import FirstStart, NewAdmin
from reconciler.pipeline.people.sessions import Browser, Sessions
from reconciler.pipeline.people.sign_in import SignedIn, SignIn
from reconciler.ports import Clock, Store


@dataclass(frozen=True, slots=True)
class People:
    """How they come in, and what becomes of them."""

    accounts: Accounts
    sessions: Sessions
    sign_in: SignIn
    first_start: FirstStart
    elsewhere: Elsewhere
    set_up_file: Path

    def offer_set_up(self) -> str | None:
        """Return a token that makes the first admin, left in its file, too; None: there is one.

        A kill before it is written leaves a token that nobody knows: the next start makes another.
        """
        token = self.first_start.offer()
        if token is None:
            self.set_up_file.unlink(missing_ok=True)
        else:
            _write_private(self.set_up_file, f"{token}\n")
        return token

    def set_up(self, wanted: NewAdmin, browser: Browser) -> SignedIn:
        """Make the first admin; see ``FirstStart.set_up``."""
        signed_in = self.first_start.set_up(wanted, browser)
        self.set_up_file.unlink(missing_ok=True)
        return signed_in


def people_of(config: Config, store: Store, clock: Clock) -> People:
    """Return them, wired."""
    passwords = Argon2Passwords()
    sessions = Sessions(store, clock)
    sign_in = SignIn(store, clock, passwords, sessions)
    return People(
        Accounts(store, clock, passwords, sign_in),
        sessions,
        sign_in,
        FirstStart(store, clock, passwords, sessions, sign_in),
        elsewhere_of(config, store, clock, sign_in),
        config.set_up_file,
    )


def _write_private(file: Path, text: str) -> None:
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)
