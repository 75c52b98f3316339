"""Hosts in a list: which word stands for what is known, and what helps."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.errors import (
    HostKeyMismatch,
    HostRefused,
    PreconditionFailed,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, HostHealth, HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.ports import HostFacts
from reconciler.web.pages.hosts.fingerprints import grouped
from reconciler.web.pages.hosts.rows import LOW_BYTES, HostRow
from reconciler.web.pages.hosts.set_up import checks_of

NOW = datetime.now(UTC)
GOOD = HostHealth(NOW, NOW, took=timedelta(seconds=0.2))
ATLAS = HostName("atlas")


def failed(error: ReconcilerError) -> HostHealth:
    return HostHealth(NOW, NOW, Failure.of(error))


def facts(*tools: str, free: int | None = 2 * LOW_BYTES, systemd: bool = True) -> HostFacts:
    return HostFacts("deploy", False, systemd, frozenset(tools), free)


def row_of(
    health: HostHealth, *, name: HostName = ATLAS, set_up: bool = True, **more: object
) -> HostRow:
    return HostRow(name, "host", "alias atlas", health, more.pop("targets", ()), set_up, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "word"),
    [
        pytest.param(row_of(GOOD), "Online", id="good"),
        pytest.param(row_of(HostHealth()), "Not asked yet", id="not-asked"),
        pytest.param(row_of(HostHealth(), name=LOCAL), "Online", id="local"),
        pytest.param(row_of(HostHealth(), set_up=False), "Not set up", id="unconfirmed"),
        pytest.param(row_of(GOOD, facts=facts(free=LOW_BYTES - 1)), "Disk low", id="low"),
        pytest.param(row_of(GOOD, facts=facts(free=None)), "Online", id="untold"),
        pytest.param(row_of(failed(HostKeyMismatch("other"))), "Key changed", id="key"),
        pytest.param(row_of(failed(HostRefused("no"))), "Refused", id="refused"),
        pytest.param(row_of(failed(TargetUnreachable("gone"))), "Offline", id="offline"),
        pytest.param(row_of(failed(PreconditionFailed("no ssh"))), "Not set up", id="no-ssh"),
    ],
)
def test_how_it_stands_is_a_word(row: HostRow, word: str) -> None:
    """No answer is never a good one."""
    assert row.badge.word == word


def test_one_that_is_silent_was_not_heard() -> None:
    assert row_of(GOOD).heard == NOW
    assert row_of(failed(TargetUnreachable("gone"))).heard is None


def test_what_is_missing_is_told_with_what_helps() -> None:
    """Only of what is deployed there is anything needed."""
    target = Target(ProjectName("shop"), ATLAS, TargetStrategy.COMPOSE)
    row = row_of(GOOD, facts=facts("docker", "git", "flock", systemd=False), targets=[target])
    found = {one.text: one for one in checks_of(row)}
    assert found["compose is missing"].ok is False
    assert "docker-compose-plugin" in found["compose is missing"].remedy
    assert found["docker is there"].ok
    assert "systemd does not run it" not in found
    nothing = row_of(GOOD, facts=facts("git", systemd=False))
    assert {one.text: one.ok for one in checks_of(nothing)}["compose is missing"] is None


def test_a_changed_key_is_the_first_that_is_told() -> None:
    first, *others = checks_of(row_of(failed(HostKeyMismatch("other"))))
    assert (first.ok, first.text) == (False, "its key was changed")
    assert not any(one.ok for one in others)


def test_fingerprints_are_compared_in_groups_of_four() -> None:
    """Each group that differs is marked, also where one is longer."""
    alone = grouped("SHA256:abcdefghij")
    assert alone.algorithm == "SHA256"
    assert [*alone.groups] == [("abcd", False), ("efgh", False), ("ij", False)]
    beside = grouped("SHA256:abcdefghij", "SHA256:abcdEfgh")
    assert [differs for _, differs in beside.groups] == [False, True, True]
