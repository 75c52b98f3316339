"""What compose is given, and what its failures mean."""

import base64
import json
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.errors import (
    BuildFailed,
    CommandFailed,
    PreconditionFailed,
    ReconcilerError,
    RevisionNotFound,
    SourceDenied,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, LineSink, RegistryCredentials
from reconciler.strategies.compose.cli import ComposeCall, ComposeCli, ComposeOptions
from reconciler.strategies.compose.failures import masked
from reconciler.strategies.compose.private import (
    private_folder,
    write_docker_config,
    write_variables,
)

CALL = ComposeCall(
    ProjectName("app"),
    Path("/tree"),
    (Path("/tree/compose.yaml"), Path("/tree/.deploy/o.yaml")),
    Path("/private/variables.env"),
    Path("/private/docker"),
)


def quiet(line: str) -> None:
    """Take a line of output, and leave it."""


class Answering:
    """``CommandRunner`` that ends each command as it was told."""

    def __init__(self, status: int = 0, stderr: str = "", *, timed_out: bool = False) -> None:
        self.commands: list[Command] = []
        self._end = (status, stderr, timed_out)

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        self.commands.append(command)
        status, stderr, timed_out = self._end
        for line in stderr.splitlines():
            if on_line:
                on_line(line)
        return CommandResult(command.argv, status, "{}", stderr, timedelta(0), timed_out)


def cli(runner: Answering, **mask: str) -> ComposeCli:
    secrets = {name: Secret.of(value) for name, value in mask.items()}
    return ComposeCli(runner, ComposeOptions(Path("/data")), secrets)


def test_up_is_given_both_files_and_nothing_that_builds() -> None:
    """The project's file first, then ours; the project's variables after its ``.env``."""
    runner = Answering()
    cli(runner).up(CALL, quiet, threading.Event())
    (command,) = runner.commands
    assert command.argv == (
        *("docker", "compose", "--ansi", "never", "--progress", "plain"),
        *("--project-name", "app", "--project-directory", "/tree"),
        *("--env-file", "/private/variables.env"),
        *("--file", "/tree/compose.yaml", "--file", "/tree/.deploy/o.yaml"),
        *("up", "--detach", "--remove-orphans", "--no-build", "--pull", "missing"),
    )
    assert command.cwd == Path("/tree")
    assert command.env == {
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        "DOCKER_CONFIG": "/private/docker",
    }


def test_pull_names_its_services_after_a_separator() -> None:
    """No service's name can become an option."""
    runner = Answering()
    cli(runner).pull(CALL, ["web", "db"], quiet, threading.Event())
    assert runner.commands[0].argv[-4:] == ("pull", "--", "web", "db")


def test_rendering_is_limited_in_memory_and_time() -> None:
    """Compose is no safe parser: 287 bytes once took 2 GB."""
    runner = Answering()
    cli(runner).render(CALL, threading.Event())
    (command,) = runner.commands
    assert command.timeout == timedelta(seconds=30)
    assert "prlimit" in command.argv[0]
    assert command.argv[1:4] == (f"--as={2 << 30}", "--cpu=30", "--")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        pytest.param("Cannot connect to the Docker daemon at x", TargetUnreachable, id="gone"),
        pytest.param(
            "permission denied while trying to connect to the Docker daemon socket",
            PreconditionFailed,
            id="no-permission",
        ),
        pytest.param("'compose' is not a docker command.", PreconditionFailed, id="no-plugin"),
        pytest.param("unknown flag: --project-directory", PreconditionFailed, id="old-compose"),
        pytest.param("write /x: no space left on device", PreconditionFailed, id="disk-full"),
        pytest.param("a:1 not found: manifest unknown", RevisionNotFound, id="no-image"),
        pytest.param('Head "https://r/v2/": unauthorized', SourceDenied, id="denied"),
        pytest.param("pull access denied for a", SourceDenied, id="hub-denied"),
        pytest.param("dial tcp: connection refused", SourceUnreachable, id="refused"),
        pytest.param("toomanyrequests: pull rate limit", SourceUnreachable, id="429"),
        pytest.param("port is already allocated", CommandFailed, id="anything-else"),
        pytest.param("", CommandFailed, id="silent"),
    ],
)
def test_failures_say_what_helps(said: str, kind: type[ReconcilerError]) -> None:
    """A passing reason is retried, a bad revision is not, a person is asked for the rest."""
    with pytest.raises(kind) as caught:
        cli(Answering(1, said)).up(CALL, quiet, threading.Event())
    assert type(caught.value) is kind
    assert said.split(":", maxsplit=1)[0] in caught.value.message


def test_a_command_that_took_too_long_is_said_to() -> None:
    """Not with the last line that it happened to write."""
    with pytest.raises(CommandFailed, match="longer than allowed"):
        cli(Answering(-15, "Container web Starting", timed_out=True)).up(
            CALL, quiet, threading.Event()
        )


def test_errors_show_a_secrets_name_in_place_of_its_value() -> None:
    """Compose repeats what it could not read."""
    with pytest.raises(CommandFailed) as caught:
        cli(Answering(1, "invalid port hunter22"), PASSWORD="hunter22").up(
            CALL, quiet, threading.Event()
        )
    assert "invalid port ${PASSWORD}" in caught.value.message
    assert "hunter22" not in str(caught.value.evidence)


def test_progress_bars_stay_out_of_the_log() -> None:
    """One line per step is what a person follows."""
    said = " a Downloading [==>   ] 1MB/2MB\n a Extracting\n web Pulled\n a Waiting"
    lines: list[str] = []
    cli(Answering(0, said)).pull(CALL, ["web"], lines.append, threading.Event())
    assert lines == [" web Pulled"]


def test_longer_secrets_are_masked_first() -> None:
    """One may be the beginning of another."""
    secrets = {"A": Secret.of("abcd"), "B": Secret.of("abcdefgh"), "C": Secret.of("x")}
    assert masked("abcdefgh abcd x", secrets) == "${B} ${A} x"


values_of_any_kind = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.dictionaries(st.sampled_from(["A", "B", "C_1"]), values_of_any_kind))
def test_variables_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    """Whatever is in them: quotes, dollars, newlines, comments."""
    with private_folder(tmp_path_factory.getbasetemp() / "variables") as private:
        path = write_variables(private, {name: Secret.of(value) for name, value in values.items()})
        assert RuamelComposeReader().read_environment(path.read_bytes()) == values


def test_what_is_private_is_ours_alone_and_gone_afterwards(tmp_path: Path) -> None:
    """Folders 0700, files 0600; what a killed daemon left is removed at the next start."""
    parent = tmp_path / "private" / "app"
    (parent / "left-over").mkdir(parents=True)
    with private_folder(parent) as private:
        assert not (parent / "left-over").exists()
        known = RegistryCredentials("r.example", "me", Secret.of("pw"))
        token = RegistryCredentials("docker.io", "", Secret.of("t0ken"), identity_token=True)
        config = write_docker_config(private, [known, token])
        variables = write_variables(private, {"A": Secret.of("b")})
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (parent, private.folder, config)]
        assert modes == [0o700] * 3
        for path in (variables, config / "config.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        auths = json.loads((config / "config.json").read_text())["auths"]
    assert base64.b64decode(auths["r.example"]["auth"]) == b"me:pw"
    assert auths["https://index.docker.io/v1/"]["identitytoken"] == "t0ken"
    assert not parent.exists()


@pytest.mark.parametrize(
    ("said", "name", "tries"),
    [
        pytest.param("", "2e509e0e81d5_app-web-1", 2, id="new-one-left"),
        pytest.param("Error when allocating new name: ", "app-web-1", 2, id="old-one-left"),
        pytest.param("", "app-web-1", 1, id="somebody-else's"),
    ],
)
def test_a_container_that_a_killed_compose_left_is_tried_once_more(
    said: str, name: str, tries: int
) -> None:
    """It is gone by then; one that is in the way for good is told of at once."""
    conflict = f'Conflict. The container name "/{name}" is already in use by container "be5"'
    runner = Answering(1, f"Error response from daemon: {said}{conflict}")
    with pytest.raises(CommandFailed, match="already in use"):
        ComposeCli(runner, ComposeOptions(Path("/data"))).up(CALL, quiet, threading.Event())
    assert len(runner.commands) == tries


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("failed to solve: executor failed running [/bin/false]: exit code: 1", BuildFailed),
        ("failed to solve: connection refused by what a step called", BuildFailed),
        ("failed to solve: write /x: no space left on device", PreconditionFailed),
        ("Cannot connect to the Docker daemon at x", TargetUnreachable),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", TargetUnreachable),
    ],
)
def test_a_build_fails_for_its_own_reasons(said: str, kind: type[ReconcilerError]) -> None:
    """What a step prints decides nothing; an engine that is gone comes back."""
    with pytest.raises(kind):
        cli(Answering(17, said)).build(CALL, ["web"], quiet, threading.Event())


def test_a_build_has_a_time_limit_and_the_builder_that_knows_secrets() -> None:
    """Services after a separator, as everywhere."""
    runner = Answering()
    cli(runner).build(CALL, ["web"], quiet, threading.Event())
    (command,) = runner.commands
    assert command.argv[-3:] == ("build", "--", "web")
    assert command.timeout == timedelta(minutes=30)
    assert command.env["DOCKER_BUILDKIT"] == "1"


def test_what_moves_while_an_image_is_built_is_not_told_in_full() -> None:
    """Steps are; a line a second for each layer is not."""
    said = (
        "#1 [web 1/2] FROM x\n#1 sha256:ab 1MB / 2MB\n\n#1 transferring context: 2B\n#1 DONE 0.1s"
    )
    told: list[str] = []
    with pytest.raises(CommandFailed):
        cli(Answering(1, said)).build(CALL, ["web"], told.append, threading.Event())
    assert told == ["#1 [web 1/2] FROM x", "#1 DONE 0.1s"]
