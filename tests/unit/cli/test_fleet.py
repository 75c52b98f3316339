"""``reconciler fleet``: what is sent, what is shown, and how each thing ends."""

import io
import sys
from pathlib import Path

import pytest

from reconciler.cli.failure import ExitStatus
from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

PLAN, APPLY = "POST /api/v1/fleet/plan", "POST /api/v1/fleet/apply"
CHANGES = [
    {
        "kind": "project",
        "name": "shop",
        "action": "change",
        "fields": [
            {"field": "ports", "before": ["80:80"], "after": ["81:80", "82:80"]},
            {"field": "auto_deploy", "before": True, "after": None},
        ],
    },
    {"kind": "host", "name": "web1", "action": "remove", "fields": []},
]
CHANGING = {"changes": CHANGES, "unchanged": 3, "notes": ["look at it"], "left": ["x is in use"]}
NOTHING = {"changes": [], "unchanged": 3, "notes": [], "left": []}
SHOWN = """\
~ project shop
    ports        80:80 → 81:80, 82:80
    auto_deploy  true → (default)
- host web1
1 to change, 1 to remove, 3 unchanged
"""


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "fleet.toml"
    path.write_text("[projects]\n")
    return path


def test_a_plan_is_shown(daemon: DaemonStub, run: Run, file: Path) -> None:
    """With what it sent; the exit status tells of changes where that is asked for."""
    daemon.says(PLAN, Said(CHANGING))
    ended = run("fleet", "plan", str(file), "--prune")
    assert (ended.status, ended.out) == (0, SHOWN)
    (asked,) = daemon.asked
    assert asked.body == {"text": "[projects]\n", "format": "toml"}
    assert asked.query == {"prune": "true"}
    assert run("fleet", "plan", str(file), "--exit-code").status == ExitStatus.WOULD_CHANGE
    daemon.says(PLAN, Said(NOTHING))
    ended = run("fleet", "plan", str(file), "--exit-code")
    assert (ended.status, ended.out) == (0, "nothing to change\n")


def test_applying_asks_first(daemon: DaemonStub, run: Run, file: Path) -> None:
    """Where nobody can answer, the plan is shown, and nothing is sent; ``--yes`` is an answer."""
    daemon.says(PLAN, Said(CHANGING))
    daemon.says(APPLY, Said(CHANGING))
    ended = run("fleet", "apply", str(file))
    assert (ended.status, ended.out) == (ExitStatus.USAGE, SHOWN)
    assert [one.path for one in daemon.asked] == ["/api/v1/fleet/plan"]
    ended = run("fleet", "apply", str(file), "--yes")
    assert (ended.status, ended.out) == (0, SHOWN)
    assert ended.err == "look at it\nnot removed: x is in use\n"


def test_nothing_to_change_asks_nothing(daemon: DaemonStub, run: Run, file: Path) -> None:
    daemon.says(PLAN, Said(NOTHING))
    daemon.says(APPLY, Said(NOTHING))
    ended = run("fleet", "apply", str(file))
    assert (ended.status, ended.out) == (0, "nothing to change\n")


def test_each_problem_has_a_line_with_the_file(daemon: DaemonStub, run: Run, file: Path) -> None:
    """One or many; the file and the key are named."""
    one = problem(422, "invalid-input", "projects.a.kind: is missing", field="projects.a.kind")
    daemon.says(PLAN, one)
    ended = run("fleet", "plan", str(file))
    assert (ended.status, ended.err) == (65, f"error: {file}: projects.a.kind: is missing\n")
    found = [{"field": f"projects.{n}", "detail": f"projects.{n}: bad"} for n in "ab"]
    daemon.says(PLAN, problem(422, "invalid-input", "two", problems=found))
    ended = run("fleet", "plan", str(file))
    assert ended.err == f"error: {file}: projects.a: bad\nerror: {file}: projects.b: bad\n"


def test_a_file_that_can_not_be_sent(daemon: DaemonStub, run: Run, home: Path) -> None:
    """Not there, not text, too large, or of no form that is known."""
    (home / "bytes.toml").write_bytes(b"\xff")
    (home / "large.toml").write_bytes(b"#" * (1 << 20) + b"#")
    (home / "fleet").write_text("x")
    for name, said, status in (
        ("missing.yaml", "can't be read (No such file or directory)", 65),
        ("bytes.toml", "is not text in UTF-8", 65),
        ("large.toml", "is over 1 MiB", 65),
        ("fleet", "--format says how it is written", 2),
    ):
        ended = run("fleet", "plan", str(home / name))
        assert (ended.status, said in ended.err) == (status, True), ended.err
    assert daemon.asked == []


def test_standard_input_is_a_file_too(
    daemon: DaemonStub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the form that is told."""
    daemon.says(PLAN, Said(NOTHING))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"projects: {}")))
    assert run("fleet", "plan", "-", "--format", "yaml").status == 0
    assert daemon.asked[0].body == {"text": "projects: {}", "format": "yaml"}


def test_an_export_is_the_file_itself(daemon: DaemonStub, run: Run) -> None:
    """So that it can be sent into one."""
    daemon.says("GET /api/v1/fleet", Said({"format": "yaml", "text": "projects: {}\n"}))
    ended = run("fleet", "export", "--format", "yaml")
    assert (ended.out, daemon.asked[0].query) == ("projects: {}\n", {"format": "yaml"})
