"""Hashes of passwords: argon2id as it is recommended, bounded, and the same work for nobody."""

import time
from concurrent.futures import ThreadPoolExecutor

from reconciler.adapters.passwords import Argon2Passwords
from reconciler.domain.errors import TooBusy
from reconciler.domain.secret import Secret

RIGHT, WRONG = Secret.of("ten green bottles"), Secret.of("nine green bottles")


def test_the_parameters() -> None:
    """At least 19 MiB and two passes; a hash made with less is made anew."""
    passwords = Argon2Passwords()
    known = passwords.hash(RIGHT)
    assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(RIGHT, known)
    assert not passwords.verify(WRONG, known)
    assert not passwords.is_outdated(known)
    assert passwords.is_outdated(Argon2Passwords(memory_kib=64, passes=1).hash(RIGHT))


def test_an_unknown_name_takes_as_long() -> None:
    """Of the processor, which other work on the machine does not change."""
    passwords = Argon2Passwords()
    known = passwords.hash(RIGHT)

    def cost(of: str) -> float:
        begun = time.thread_time()
        assert not passwords.verify(WRONG, of)
        return time.thread_time() - begun

    cost("")  # the first one makes what the others are compared with
    assert 0.5 < cost("") / cost(known) < 2


def test_more_at_once_than_can_be_looked_at() -> None:
    """They are told so instead of taking memory and every thread."""
    passwords = Argon2Passwords()
    with ThreadPoolExecutor(24) as pool:
        tries = [pool.submit(passwords.hash, RIGHT) for _ in range(24)]
    refused = [one for one in tries if isinstance(one.exception(), TooBusy)]
    assert refused
    assert len(refused) < 24
