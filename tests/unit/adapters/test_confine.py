"""Commands of others, run by our own runner as root, and by an ordinary user."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

import pytest

from reconciler.adapters import confine
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import PreconditionFailed
from reconciler.ports import Command
from tests.parts.waiting import eventually

pytestmark = pytest.mark.needs_namespaces

#: An ordinary user, who may read where this Python is.
_ORDINARY = (
    *("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a secret, and one of a build in it."""
    for name in ("data/builds/own/tmp", "data/builds/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/state.db").write_text("secret")
    (tmp_path / "socket").write_text("secret")
    return tmp_path / "data"


@pytest.fixture(params=[pytest.param((), id="root"), pytest.param(_ORDINARY, id="user")])
def become(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Begins what the daemon starts: it is root, or an ordinary user."""
    prefix: tuple[str, ...] = request.param
    return prefix


@pytest.fixture
def run(data: Path, become: tuple[str, ...]) -> Run:
    """Runs a shell's script, confined to the build's folder."""
    if become:
        _give_away(data.parent)
        _let_through(data.parent)
    own = data / "builds/own"

    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        hidden, kept = (data, data.parent / "socket"), (own / "tmp", own)
        python = (*become, sys.executable, "-I", "-S", confine.__file__)
        argv = (
            *python,
            "allow",
            *map(str, hidden),
            "--",
            *map(str, kept),
            "--",
            "sh",
            "-c",
            script,
            "sh",
            *arguments,
        )
        return subprocess.run(
            argv,
            cwd=own,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def _give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 4321, 4321)


def _let_through(folder: Path) -> None:
    """Let others pass, whom pytest keeps from what is around its folders."""
    for path in (folder, *folder.parents):
        if path.is_relative_to(Path(gettempdir()) / "pytest-of-root"):
            path.chmod(path.stat().st_mode | 0o011)


def test_it_works_in_its_own_folders(run: Run, data: Path) -> None:
    """And sees the system, and how the command ended."""
    said = run("pwd; echo made >file; echo made >/tmp/file; yes | head -n 0; ls /bin/sh; exit 3")
    own = data / "builds/own"
    assert (said.returncode, said.stdout, said.stderr) == (3, f"{own}\n/bin/sh\n", "")
    assert (own / "file").read_text() == (own / "tmp/file").read_text() == "made\n"


def test_nothing_else_of_ours_is_there(run: Run, data: Path) -> None:
    """Neither by its name, nor below what covers it."""
    names = [str(data / "state.db"), str(data.parent / "socket"), str(data / "builds/other")]
    said = run('for one; do cat -- "$one"; ls -d -- "$one/"; done', *names)
    assert said.stdout == ""
    uncover = "umount -l /tmp; umount -l /; umount -l $1; cat $1/state.db; find /tmp -name state.db"
    for become in ("sh -c", "unshare --user --map-root-user --mount sh -c"):
        assert run(f"{become} '{uncover}' sh $1", str(data)).stdout == ""


def test_nothing_else_is_written(run: Run, data: Path) -> None:
    """Also where the daemon's user may: its program would be another one at the next start."""
    beside = Path(f"/opt/confine-{os.getpid()}")
    beside.mkdir()
    beside.chmod(0o777)
    try:
        said = run(f"touch {beside}/x; touch {data}/x; echo x >/dev/null && echo written")
        assert (said.stdout, list(beside.iterdir()), (data / "x").exists()) == (
            "written\n",
            [],
            False,
        )
    finally:
        beside.rmdir()


def test_the_daemons_processes_are_not_looked_into(run: Run, become: tuple[str, ...]) -> None:
    """What the daemon has open and in its environment is its own, whoever it runs as."""
    with subprocess.Popen((*become, "cat"), stdin=subprocess.PIPE) as like_us:
        looks = (
            "cat /proc/$1/environ",
            "cat /proc/$1/fd/0",
            "ls /proc/$1/root/",
            "ls /proc/$1/cwd/",
        )
        said = run("; ".join(looks), str(like_us.pid))
        assert (said.stdout, said.stderr.count("denied")) == ("", len(looks))


def test_no_process_is_left_when_it_has_ended(run: Run) -> None:
    """Neither does one stay that left the group, to change what was made while it is looked at."""
    said = run("setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    assert said.returncode == 0
    eventually(lambda: not Path(f"/proc/{said.stdout.strip()}").exists())


def test_a_program_that_is_not_there_is_named(run: Run) -> None:
    """With the status that a shell has for it."""
    said = run("exec no-such-program")
    assert said.returncode == 127
    assert "no-such-program" in said.stderr


@pytest.mark.parametrize("where_not", ["refuse", "allow"])
def test_where_it_can_not_be_confined_it_is_refused(data: Path, where_not: str) -> None:
    """Or run all the same, and said so: here a folder that is to be kept is not there."""
    python = (sys.executable, "-I", "-S", confine.__file__)
    argv = (*python, where_not, "--", str(data / "none"), "--", "echo", "run")
    said = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if where_not == "allow":
        assert (said.returncode, said.stdout) == (0, "run\n")
        assert "this command is not confined" in said.stderr
    else:
        assert (said.returncode, said.stdout) == (confine.REFUSED_STATUS, "")
        assert said.stderr.startswith(confine.REFUSED)


def test_what_is_refused_tells_what_helps(data: Path) -> None:
    """A build that was not run is no failed build: somebody has to decide."""
    command = Command(("true",), confined_to=(data / "none",))
    with pytest.raises(PreconditionFailed, match="unconfined_builds"):
        LocalRunner("test-confine").run(command)
    assert LocalRunner("test-confine", allow_unconfined=True).run(command).ok
