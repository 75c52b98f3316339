"""Every failure is one line on stderr with an exit status of its own, and never a traceback."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

# The HTTP library leaves a socket that could not connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

READS = [
    "status",
    "why shop",
    "project list",
    "project show shop",
    "project images shop",
    "project triggers shop",
    "secret list shop",
    "repo list",
    "token list",
    "deployments",
    "settings",
    "logs 12",
    "logs shop",
    "deploy shop",
    "deploy shop --wait",
    "rollback shop",
]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be nobody for a while, if we are root: root may open everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("command", READS)
def test_daemon_that_does_not_run(run: Run, command: str) -> None:
    """It says how to start one."""
    ended = run(*command.split())
    assert ended.status == 69
    assert ended.out == ""
    assert ended.err.startswith("error: the daemon can't be reached at ")
    assert ended.err.endswith("(nothing listens there); start it with `reconciler serve`\n")


def test_version_needs_no_daemon(run: Run) -> None:
    """The command's own version is shown all the same."""
    ended = run("version")
    assert ended.status == 0
    assert ended.out.startswith("reconciler ")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        pytest.param(
            problem(401, "access-denied", "no token"),
            77,
            "asks for a token; set RECONCILER_TOKEN",
            id="401",
        ),
        pytest.param(problem(403, "access-denied", "scope"), 77, "scope", id="403"),
        pytest.param(problem(404, "not-found", "no project shop"), 66, "no project shop", id="404"),
        pytest.param(problem(409, "conflict", "it runs"), 1, "it runs", id="409"),
        pytest.param(
            problem(422, "invalid-input", "bad", remedy="mend it"), 65, "bad; mend it", id="422"
        ),
        pytest.param(
            problem(
                422,
                "invalid-input",
                "",
                problems=[{"field": "a", "detail": "x"}, {"field": "b", "detail": "b: y"}],
            ),
            65,
            "a: x; b: y",
            id="422-several",
        ),
        pytest.param(problem(500, "internal-error", "id 7"), 1, "id 7", id="500"),
        pytest.param(problem(502, "source-unreachable", "git"), 75, "git", id="502"),
        pytest.param(problem(503, "draining", "it stops"), 75, "it stops", id="503"),
        pytest.param(Said("<html>", 500, "text/html"), 1, "answered 500", id="500-html"),
        pytest.param(Said("[" * 100_000, 400), 65, "answered 400", id="deep"),
        pytest.param(
            Said("", 302, headers={"Location": "https://x/"}),
            1,
            "sends us to 'https://x/'",
            id="redirect",
        ),
        pytest.param(Said("<html>"), 1, "can't be understood", id="html"),
        pytest.param(Said("[1, 2]"), 1, "can't be understood", id="list"),
        pytest.param(Said("[" * 100_000), 1, "can't be understood", id="deep-200"),
        pytest.param(Said("\udcff\udcfe"), 1, "can't be understood", id="binary"),
    ],
)
def test_answer_that_is_none(
    daemon: DaemonStub, run: Run, answer: Said, status: int, said: str
) -> None:
    """What the daemon refuses and what nobody can read end with a line and a status."""
    daemon.says("GET /api/v1/projects/shop", answer)
    ended = run("project", "show", "shop")
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


SHAPES = [
    {},
    {"items": None},
    {"items": {"a": 1}},
    {"items": [1, None, "x", {}]},
    {"items": [{"name": {"deep": []}, "live": 5, "source": [], "causes": {}, "error": "text"}]},
    {"name": 5, "live": [], "source": 7, "quarantined": [None], "counts": [], "registries": [{}]},
    {"id": 12, "stages": 5, "revision": [], "error": 1, "status": None, "causes": [5]},
]


@pytest.mark.parametrize(
    "shape", [pytest.param(shape, id=str(n)) for n, shape in enumerate(SHAPES)]
)
def test_answers_of_another_shape(daemon: DaemonStub, run: Run, shape: dict[str, object]) -> None:
    """An answer of an older or newer daemon shows what it has; nothing breaks."""
    daemon.answer = lambda asked: Said(shape)  # type: ignore[method-assign]
    for command in READS:
        if "--wait" in command:
            continue  # it would wait for an end that such a daemon never tells
        ended = run(*command.split())
        assert "bug" not in ended.err, command
        assert "Traceback" not in ended.err


def test_daemon_that_hangs_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks is a line, too."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "s")
        listener.bind(str(path))
        listener.listen()
        monkeypatch.setenv("RECONCILER_SOCKET", str(path))
        child = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "status"], stderr=subprocess.PIPE, text=True
        )
        listener.accept()[0].close()
        _, said = child.communicate(timeout=20)
    assert child.returncode == 69
    assert said.startswith("error: the daemon can't be reached")


def test_socket_of_somebody_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that may not be opened names the way around."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "closed", "s")
        path.parent.mkdir()
        path.parent.chmod(0)
        monkeypatch.setenv("RECONCILER_SOCKET", str(path))
        run("status")  # loads all that it takes, which an ordinary user may not be able to
        with ordinary_user():
            ended = run("status")
        path.parent.chmod(stat.S_IRWXU)
    assert ended.status == 77
    assert "RECONCILER_URL" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ("nonsense",), "no such command 'nonsense'; `reconciler --help`", id="command"
        ),
        pytest.param(
            ("deploy",), "missing argument 'PROJECT'; `reconciler deploy --help`", id="argument"
        ),
        pytest.param(
            ("deploy", "x", "--wat"),
            "no such option: --wat (Possible options: --wait); `reconciler deploy",
            id="option",
        ),
        pytest.param(("rollback", "x", "--to", "y"), "`reconciler rollback --help`", id="type"),
        pytest.param(("project", "set", "x"), "nothing to change", id="nothing-to-change"),
        pytest.param(("--url", "example.com", "status"), "'example.com' is no URL", id="url"),
        pytest.param(("--url", "http://[", "status"), "is no URL", id="broken-url"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """A wrong command line says what is wrong and where to read on."""
    ended = run(*arguments)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_wrong_configuration_names_everything(run: Run, tmp_path: Path) -> None:
    """``serve`` and ``check-config`` refuse to start, with all problems."""
    file = tmp_path / "config.toml"
    file.write_text("kept_revisions = 0\nnonsense = 1")
    for command in ("serve", "check-config"):
        ended = run(command, "--config", str(file))
        assert ended.status == 78
        assert len(ended.err.splitlines()) == 2
        assert "error: kept_revisions: 0 is below the minimum of 1" in ended.err


def test_configuration_that_is_fine(run: Run, home: Path) -> None:
    """It says so, and what follows from it."""
    ended = run("check-config")
    assert ended.status == 0
    assert str(home / ".local/state/reconciler/run/reconciler.sock") in ended.out


def test_token_is_sent_and_never_shown(
    daemon: DaemonStub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token comes from the environment, and goes into one header."""
    monkeypatch.setenv("RECONCILER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RECONCILER_TOKEN", "s3cret-t0ken")
    ended = run("status")
    assert ended.status == 69
    assert "s3cret" not in ended.err


def test_url_on_the_command_line_wins(
    daemon: DaemonStub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for another daemon, it does not talk to the one here."""
    ended = run("--url", "http://127.0.0.1:1", "status")
    assert ended.status == 69
    assert "http://127.0.0.1:1" in ended.err
    assert daemon.asked == []
