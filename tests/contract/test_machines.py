"""``Machine``: this one and one behind a real sshd do the same."""

import os
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.errors import (
    CommandFailed,
    Interrupted,
    PreconditionFailed,
    RevisionNotFound,
)
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports import Command, Machine
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository, run_git
from tests.parts.hosts import Hosts
from tests.parts.sshd import Sshd

pytestmark = pytest.mark.needs_sshd

AWKWARD = ["a b", "c'd", '"', "$HOME", "`id`", "\\\\", "*", "-n", "", "é\n2", "; false", "!x"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, server: Sshd) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        hosts.declare(server)
        yield hosts


@pytest.fixture(params=["local", "ssh"])
def machine(request: pytest.FixtureRequest, shared: Hosts) -> Machine:
    """Each kind in turn; the connection of the second is kept from test to test."""
    return shared.machines.get(LOCAL if request.param == "local" else HostName("web"))


def shell(script: str, **rest: object) -> Command:
    return Command(("sh", "-c", script), **rest)  # type: ignore[arg-type]


def path(folder: Path, *names: str) -> HostPath:
    return HostPath(str(folder.joinpath(*names)))


# ── What both do ──────────────────────────────────────────────────────────────────────────────


def test_a_machine_says_what_it_is(machine: Machine) -> None:
    """Who we are there, and what it has; and its health is known from then on."""
    facts = machine.check()
    assert (facts.user, facts.is_root) == (Path("~").expanduser().owner(), os.getuid() == 0)
    assert facts.has_systemd == Path("/run/systemd/system").is_dir()
    assert {"git", "rsync", "flock"} <= facts.tools
    assert machine.health.reachable


def test_arguments_arrive_as_they_were_given(machine: Machine) -> None:
    """No shell on the way makes anything of them."""
    done = machine.run(Command(("printf", "%s|", *AWKWARD)))
    assert done.stdout == "".join(f"{argument}|" for argument in AWKWARD)
    assert done.argv[0] == "printf"


def test_a_command_sees_its_own_environment_alone(machine: Machine) -> None:
    """Nothing of ours, and nothing that a login shell sets."""
    done = machine.run(Command(("env",), env={"NAME": "a b'c"}))
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert "NAME=a b'c" in done.stdout.splitlines()
    assert names <= {"NAME", "PATH", "LC_ALL", "PWD", "OLDPWD", "RECONCILER_LIFE"}


def test_a_command_runs_in_its_folder(machine: Machine, tmp_path: Path) -> None:
    """Whatever its name is."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    assert machine.run(Command(("pwd",), cwd=folder)).stdout == f"{folder}\n"


def test_stdin_comes_whole(machine: Machine) -> None:
    """More than any pipe holds, and not a byte of it is changed."""
    text = "\x00é\r\n" * 100_000
    command = Command(("cat",), stdin=Secret.of(text), output_limit_bytes=1 << 20)
    assert machine.run(command).stdout == text


@pytest.mark.parametrize("status", [0, 1, 126, 127, 255])
def test_the_exit_status_is_the_commands_own(machine: Machine, status: int) -> None:
    """Also the one that ssh uses for itself."""
    done = machine.run(shell(f"echo out; echo err >&2; exit {status}"))
    assert (done.exit_status, done.stdout, done.stderr_tail) == (status, "out\n", "err\n")


def test_an_error_that_reads_like_one_of_ssh_is_the_commands_own(machine: Machine) -> None:
    """Such as that of an ssh that runs there."""
    done = machine.run(shell("echo 'connect to host db: Connection refused' >&2; exit 255"))
    assert done.exit_status == 255


def test_a_command_that_a_signal_ended_is_no_success(machine: Machine) -> None:
    """As python says it here, and as shells say it there."""
    assert machine.run(shell("kill -9 $$")).exit_status in {-9, 128 + 9}


def test_lines_come_as_they_are_written(machine: Machine) -> None:
    """Not at the end only: the first one stops the command."""
    lines: list[str] = []
    cancel = threading.Event()

    def take(line: str) -> None:
        lines.append(line)
        cancel.set()

    with pytest.raises(Interrupted, match="`sh` was stopped"):
        machine.run(shell("echo ready; sleep 50"), on_line=take, cancel=cancel)
    assert lines == ["ready"]


@pytest.mark.parametrize(
    "command", [Command(("no-such-program",)), Command(("true",), Path("/no"))]
)
def test_what_can_t_be_started_is_told_apart(machine: Machine, command: Command) -> None:
    """A program or a folder that is missing needs a person."""
    with pytest.raises(PreconditionFailed, match=r"there is no|can't be started"):
        machine.run(command)


def test_time_runs_out(machine: Machine) -> None:
    """For the command and what it started, and the next one is none the worse."""
    done = machine.run(shell("sleep 50; echo late", timeout=timedelta(seconds=0.5)))
    assert done.timed_out
    assert not done.ok
    assert done.duration < timedelta(seconds=10)
    assert machine.run(Command(("true",))).ok


def test_endless_output_is_bounded(machine: Machine) -> None:
    """An error where all of it is wanted."""
    with pytest.raises(CommandFailed, match="`yes` wrote more than 1000000 bytes"):
        machine.run(Command(("yes",), output_limit_bytes=1_000_000))


def test_much_output_that_is_followed_is_cut(machine: Machine) -> None:
    """20 MB go by; the end is kept, in bounded memory."""
    count = 0

    def take(_: str) -> None:
        nonlocal count
        count += 1

    script = "yes 0123456789012345678 | head -c 20000000; echo end"
    done = machine.run(shell(script, output_limit_bytes=1 << 16), on_line=take)
    assert count == 1_000_001
    assert len(done.stdout) <= 1 << 16
    assert done.stdout.endswith("end\n")


@pytest.mark.slow
def test_a_gigabyte_of_output_is_cut(machine: Machine) -> None:
    """As the test before, of a build that has lost its mind."""
    script = "yes 0123456789012345678 | head -c 1000000000; echo end"
    done = machine.run(shell(script, output_limit_bytes=1 << 16), on_line=lambda _: None)
    assert len(done.stdout) <= 1 << 16
    assert done.stdout.endswith("end\n")


class TestFiles:
    def test_a_file_is_written_with_its_mode(self, machine: Machine, tmp_path: Path) -> None:
        """Private unless said otherwise; an older one is replaced."""
        where = tmp_path / "it's a name"
        where.write_text("before")
        machine.write(path(where), Secret.of("é\nno end"))
        assert where.read_text() == "é\nno end"
        assert stat.S_IMODE(where.stat().st_mode) == 0o600
        machine.write(path(where), Secret.of(""), mode=0o755)
        assert (where.read_text(), stat.S_IMODE(where.stat().st_mode)) == ("", 0o755)
        assert list(tmp_path.iterdir()) == [where]

    def test_a_folder_is_not_replaced(self, machine: Machine, tmp_path: Path) -> None:
        """Nor is the file moved into it."""
        (tmp_path / "folder").mkdir()
        with pytest.raises(CommandFailed, match="can't be written"):
            machine.write(path(tmp_path, "folder"), Secret.of("x"))
        assert [file.name for file in tmp_path.rglob("*")] == ["folder"]

    def test_a_folder_that_is_missing_is_said_to_be(self, machine: Machine, tmp_path: Path) -> None:
        """With the path in the error."""
        with pytest.raises(CommandFailed, match="no/file can't be written: "):
            machine.write(path(tmp_path, "no", "file"), Secret.of("x"))


class TestFolders:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = tmp_path / "its source"
        (source / "bin").mkdir(parents=True)
        (source / "bin" / "app").write_text("#!/bin/sh\n")
        (source / "bin" / "app").chmod(0o755)
        (source / "current").symlink_to("bin/app")
        (source / "passwd").symlink_to("/etc/passwd")
        (source / "é 'n $x").write_text("odd")
        return source

    def test_a_folder_is_made_the_same(
        self, machine: Machine, tmp_path: Path, source: Path
    ) -> None:
        """What is not in the source goes; links that lead out of it do not come."""
        into = tmp_path / "in to"
        into.mkdir()
        (into / "old").write_text("x")
        machine.send(source, path(into))
        assert {str(file.relative_to(into)) for file in into.rglob("*")} == {
            *("bin", "bin/app", "current", "é 'n $x"),
        }
        assert os.access(into / "bin" / "app", os.X_OK)
        assert (into / "current").readlink() == Path("bin/app")

    def test_a_change_that_neither_size_nor_time_shows_is_sent(
        self, machine: Machine, tmp_path: Path, source: Path
    ) -> None:
        """Builds may give all their files the same time."""
        app, into = source / "bin" / "app", tmp_path / "into"
        machine.send(source, path(into))
        app.write_text("#!/bin/ad\n")
        os.utime(app, (1, 1))
        os.utime(into / "bin" / "app", (1, 1))
        machine.send(source, path(into))
        assert (into / "bin" / "app").read_text() == "#!/bin/ad\n"

    def test_the_log_says_how_much_was_sent(
        self, machine: Machine, tmp_path: Path, source: Path
    ) -> None:
        """Two lines, whatever the number of files."""
        lines: list[str] = []
        machine.send(source, path(tmp_path, "into"), log=lines.append)
        assert any(line.startswith("sent ") for line in lines)
        assert len(lines) <= 3

    def test_where_nothing_can_be_written_it_says_so(
        self, machine: Machine, tmp_path: Path, source: Path
    ) -> None:
        """With rsync's own reason, not what followed from it."""
        with pytest.raises(CommandFailed, match="No such file or directory"):
            machine.send(source, path(tmp_path, "no", "folder"))

    def test_sending_can_be_stopped(self, machine: Machine, tmp_path: Path, source: Path) -> None:
        """Before it begins, too."""
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(Interrupted):
            machine.send(source, path(tmp_path, "into"), cancel=cancel)


class TestCommits:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Repository:
        return Repository(tmp_path / "source.git")

    def test_a_commit_is_brought_and_kept(
        self, machine: Machine, tmp_path: Path, repository: Repository
    ) -> None:
        """Under its own name; no branch moves, and a second time changes nothing."""
        into = Repository(tmp_path / "in to.git")
        before = into.commit({"other": "x"})
        commit = CommitSha.parse(repository.commit({"file": "content"}))
        for _ in range(2):
            machine.push(repository.path, commit, path(into.path))
        assert into.git("show", f"refs/reconciler/{commit.text}:file") == "content"
        assert into.tip() == before

    def test_a_commit_without_its_history_can_be_brought(
        self, machine: Machine, tmp_path: Path, repository: Repository
    ) -> None:
        """Ours are fetched with the least transfer; the next one follows on it."""
        repository.commit({"file": "1"})
        repository.commit({"file": "2"})
        into = Repository(tmp_path / "into.git")
        ours = tmp_path / "shallow.git"
        origin = f"file://{repository.path}"
        run_git("clone", "--quiet", "--bare", "--depth=1", origin, ours)
        for number in (3, 4):
            commit = CommitSha.parse(repository.commit({"file": str(number)}))
            run_git("-C", ours, "fetch", "--quiet", "--depth=1", origin, commit.text)
            machine.push(ours, commit, path(into.path))
            assert into.git("show", f"refs/reconciler/{commit.text}:file") == str(number)

    def test_no_hook_of_the_repository_there_runs(
        self, machine: Machine, tmp_path: Path, repository: Repository
    ) -> None:
        """It is data to us."""
        into = Repository(tmp_path / "into.git")
        hook = into.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        commit = CommitSha.parse(repository.commit({"file": "x"}))
        machine.push(repository.path, commit, path(into.path))
        assert into.git("cat-file", "-t", commit.text) == "commit"

    def test_what_goes_wrong_is_said(
        self, machine: Machine, tmp_path: Path, repository: Repository
    ) -> None:
        """A commit that is not here, and a repository that is not there."""
        commit = CommitSha.parse(repository.commit({"file": "x"}))
        with pytest.raises(CommandFailed, match="not appear to be a git repository"):
            machine.push(repository.path, commit, path(tmp_path, "nothing"))
        with pytest.raises(RevisionNotFound):
            machine.push(repository.path, CommitSha("0" * 40), path(tmp_path, "nothing"))


@pytest.mark.needs_docker
def test_the_engine_of_a_machine_is_asked(engine: DockerEngine, machine: Machine) -> None:
    """The same one here, by two ways."""
    assert machine.engine().ping() == engine.docker("version", "--format", "{{.Server.Version}}")
    assert machine.engine().containers(engine.unique("none")) == []  # type: ignore[arg-type]
