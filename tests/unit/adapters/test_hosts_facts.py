"""What a machine says of itself, asked of this one and read from others."""

import subprocess
from datetime import timedelta

import pytest

from reconciler.adapters.hosts.facts import ASK_FACTS, parse_facts
from reconciler.domain.host import LOCAL
from reconciler.ports import CommandResult


def said(text: str) -> CommandResult:
    return CommandResult(("sh",), 0, text, "", timedelta(0))


def test_this_machine_says_how_much_is_free() -> None:
    """The script runs in any shell, and ``df`` tells it."""
    done = subprocess.run(ASK_FACTS.argv, capture_output=True, text=True, check=True)
    facts = parse_facts(LOCAL, said(done.stdout))
    assert facts.free_bytes is not None
    assert facts.free_bytes > 1 << 20


@pytest.mark.parametrize(
    ("told", "free"),
    [
        pytest.param("free Available\nfree 2048\n", 2 << 20, id="told"),
        pytest.param("free Available\n", None, id="head-alone"),
        pytest.param("", None, id="nothing"),
        pytest.param(f"free {'9' * 40}\n", None, id="absurd"),
    ],
)
def test_what_it_does_not_tell_is_not_known(told: str, free: int | None) -> None:
    facts = parse_facts(LOCAL, said(f"uid 0\nuser root\n{told}"))
    assert (facts.user, facts.free_bytes) == ("root", free)
