"""Rotations that are killed: `python -m tests.parts.rotation_worker FOLDER TRIALS`.

Each trial is a process of its own that rotates the key of a fresh copy of a data folder, and kills
itself as it comes to one line of our code; the lines are spread evenly over all that a whole
rotation executes. Then the rotation is gone on with, by the command and by a start of the daemon
in turns. Prints what came of it as JSON.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.app.keys import key_status, rotate_key
from reconciler.config import Config, load_config
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.store.opening import open_store
from tests.parts.stores import NOW, WEB, project

_TRACED = ("store/keys.py", "store/sealed.py", "app/keys.py", "adapters/master_key.py")
_HOOK = WebhookName("hook")
#: More than a transaction takes.
_VARIABLES = 60


def main() -> None:
    """Do what the arguments say."""
    folder, trials = Path(sys.argv[1]), int(sys.argv[2])
    template = folder / "template"
    _fill(template)
    lines = _count_lines(_copy(template, folder / "whole"))
    outcomes: dict[str, list[int]] = {}
    for trial in range(trials):
        line = 1 + trial * (lines - 1) // max(trials - 1, 1)
        data = _copy(template, folder / f"trial-{trial}")
        killed = _run(lambda data=data, line=line: _rotate(data, kill_at=line))  # type: ignore[misc]
        outcome = _go_on(data, by_start=trial % 2 == 1) if killed == -signal.SIGKILL else "ended"
        outcomes.setdefault(outcome, []).append(line)
        shutil.rmtree(data)
    sys.stdout.write(json.dumps({"lines": lines, "outcomes": outcomes}))


def _go_on(data: Path, *, by_start: bool) -> str:
    """Go on with what was killed; return what is wrong, or that nothing is."""
    config = _config(data)
    if by_start:
        _open(data).close()
    half_way = key_status(config, KeySources(data)).state
    if by_start and half_way.rotating_from:
        return "a start did not finish it"
    rotate_key(config, KeySources(data), lambda _done, _all: None, keep_old=False)
    status = key_status(config, KeySources(data))
    left = sorted(path.name for path in data.glob("*master_key*"))
    if left != ["master_key"] or status.old:
        return f"left: {left}"
    if set(status.state.counts) != {status.key} or status.state.wanted != status.key:
        return f"keys: {status.state}"
    return "well" if _read(data) == _EXPECTED else "something is lost"


_EXPECTED = ([f"value {number}" for number in range(_VARIABLES)], ["second", "first"], True)


def _read(data: Path) -> tuple[list[str], list[str], bool]:
    store = _open(data)
    try:
        found = store.find_webhook_secrets(_HOOK)
        variables = store.variables(WEB)
        return (
            [variables[f"V{number}"].reveal() for number in range(_VARIABLES)],
            [one.reveal() for one in found[1]] if found else [],
            store.check_audit().intact,
        )
    finally:
        store.close()


def _fill(data: Path) -> None:
    store = _open(data, may_create=True)
    store.create_project(project())
    for number in range(_VARIABLES):
        value = Secret.of(f"value {number}")
        store.put_secret(WEB, f"variable:V{number}", value, bound_to="", username="", now=NOW)
    store.create_webhook(Webhook(_HOOK, Provider.GITEA, NOW), Secret.of("first"))
    store.rotate_webhook_secret(_HOOK, Secret.of("second"), NOW)
    store.close()


def _count_lines(data: Path) -> int:
    """Return how many lines of ours a whole rotation executes."""
    reading, writing = os.pipe()
    _run(lambda: os.write(writing, str(_rotate(data)).encode()))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())


def _rotate(data: Path, *, kill_at: int = 0) -> int:
    count = 0

    def on_line(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return on_line

    def on_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return on_line if frame.f_code.co_filename.endswith(_TRACED) else None

    sys.settrace(on_call)
    rotate_key(_config(data), KeySources(data), lambda _done, _all: None, keep_old=False)
    sys.settrace(None)
    return count


def _run(work: Callable[[], object]) -> int:
    """Do ``work`` in a process of its own; return how that ended."""
    if (child := os.fork()) == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _copy(template: Path, folder: Path) -> Path:
    return Path(shutil.copytree(template, folder))


def _config(data: Path) -> Config:
    return load_config(environment={"HOME": str(data), "RECONCILER_DATA_FOLDER": str(data)})


def _open(data: Path, *, may_create: bool = False) -> Any:
    keys = KeySources(data)
    database = _config(data).database_file
    return open_store(database, lambda _: keys.open(may_create=may_create), SystemClock())


if __name__ == "__main__":
    main()
