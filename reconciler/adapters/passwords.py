"""Hashes of passwords: argon2id.

Source: OWASP Password Storage Cheat Sheet, "Argon2id": 19 MiB and two passes at the least.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.domain.errors import TooBusy
from reconciler.domain.secret import Secret

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_MEMORY_KIB = 19 << 10
_PASSES = 2
#: Each takes memory and a core for a while: what more there are wait, and of those not too many.
_AT_ONCE = 2
_MOST_WAITING = 8


class Argon2Passwords:
    """The protocol ``Passwords``."""

    def __init__(self, *, memory_kib: int = _MEMORY_KIB, passes: int = _PASSES) -> None:
        self._memory_kib = memory_kib
        self._passes = passes
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(_AT_ONCE + _MOST_WAITING)

    def hash(self, password: Secret) -> str:
        """Return what to keep. Raises ``TooBusy``."""
        with self._place():
            return self._hasher.hash(_bytes_of(password))

    def verify(self, password: Secret, known: str) -> bool:
        """Tell whether it is the one that ``known`` was made of; as slowly where that is empty.

        Raises ``TooBusy``.
        """
        from argon2.exceptions import VerificationError

        with self._place():
            try:
                self._hasher.verify(known or self._nobodys, _bytes_of(password))
            except VerificationError:
                return False
            return bool(known)

    def is_outdated(self, known: str) -> bool:
        """Tell whether it would be made otherwise today."""
        return self._hasher.check_needs_rehash(known)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise TooBusy("too many passwords are looked at now")
        try:
            with self._places:
                yield
        finally:
            self._waiting.release()

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=self._passes, memory_cost=self._memory_kib, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_bytes(32))


def _bytes_of(password: Secret) -> bytes:
    return password.reveal().encode(errors="surrogatepass")
