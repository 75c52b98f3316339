"""Our scripts as they reach a host: whole or not at all, and what their end means."""

import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import (
    CommandFailed,
    Interrupted,
    NameTaken,
    PreconditionFailed,
    ReconcilerError,
    RolloutError,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.secret import Secret
from reconciler.ports import Command, Machine
from reconciler.strategies.units.steps import Step, Steps, script
from reconciler.testing import RecordingRunner

FAILURES = {
    70: CommandFailed,
    71: PreconditionFailed,
    72: NameTaken,
    73: PreconditionFailed,
    74: WorkTreeDirty,
    75: CommandFailed,
    76: RolloutError,
    77: TargetUnreachable,
    1: CommandFailed,
    127: CommandFailed,
}


def answering(status: int, stdout: str, stderr: str) -> Machine:
    """Return a machine whose every command ends like that."""
    runner = RecordingRunner({("sh",): (status, stdout, stderr)})
    return LocalMachine(runner, DockerEngine(), SystemClock())


@pytest.mark.parametrize(("status", "kind"), FAILURES.items())
def test_an_exit_status_says_what_helps_and_the_last_line_why(
    status: int, kind: type[ReconcilerError]
) -> None:
    machine = answering(status, "", "some tool: noise\nthe reason\n")
    with pytest.raises(kind, match="host local: the reason") as caught:
        Steps(machine).run(Step.APPLY, "/opt/apps/web")
    assert type(caught.value) is kind


def test_changed_files_are_named_in_the_message_and_as_evidence() -> None:
    machine = answering(74, "a.py\nb c.py\n", "2 tracked files were changed\n")
    with pytest.raises(WorkTreeDirty, match=r"changed: a\.py, b c\.py") as caught:
        Steps(machine).run(Step.BUILD)
    assert caught.value.evidence["files"] == "a.py, b c.py"


def test_a_step_that_says_nothing_is_named() -> None:
    with pytest.raises(CommandFailed, match="step confirm failed"):
        Steps(answering(1, "", "")).run(Step.CONFIRM)


def test_scripts_and_python_agree_on_what_an_exit_status_means() -> None:
    named = re.findall(r"^\w+\(\) \{ refuse (\d+)", script(Step.LINES), re.MULTILINE)
    assert set(map(int, named)) == {status for status in FAILURES if 70 <= status < 80}


@pytest.mark.parametrize("step", Step)
def test_a_script_that_arrives_cut_short_does_nothing(step: Step, tmp_path: Path) -> None:
    """A connection may be lost in the middle of it: then no line of it may have run."""
    runner, text = LocalRunner("test-steps"), script(step)
    end = text.rindex('main "$@"')
    cuts = [*range(0, end, max(end // 8, 1)), end, *range(end + 1, len(text) - 12)]
    folder = tmp_path / "apps/web"
    folder.mkdir(parents=True)
    arguments = [str(folder), "web.service", *("1" for _ in range(10))]
    for cut in cuts:
        command = Command(
            ("sh", "-s", "--", *arguments),
            cwd=tmp_path,
            stdin=Secret.of(text[:cut] or " "),
            timeout=timedelta(seconds=5),
        )
        assert runner.run(command).stdout == ""
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["apps", "apps/web"]


def test_a_step_ends_with_the_deployment(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Interrupted):
        Steps(answering(0, "", ""), cancel).run(Step.LOOK)
