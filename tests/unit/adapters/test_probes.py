"""What is made of an answer, and of what curl says on a host."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.probes import on_host
from reconciler.adapters.probes.http_answer import (
    LOOPBACK,
    HttpAnswer,
    HttpQuestion,
    NoAnswer,
    expected_text,
    problem_with,
    target_of,
)
from reconciler.adapters.probes.version_answer import read_version
from reconciler.domain.errors import TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.references import CommitSha
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Command, CommandResult, CommandRunner, LineSink
from reconciler.testing import ManualClock, RecordingRunner

CHECK = HealthCheck(ProbeKind.HTTP, port=8080, path="/healthz")
QUESTION = HttpQuestion(LOOPBACK, 8080, "/healthz", CHECK.timeout)
COMMIT = CommitSha("1" * 40)
OK = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"
CUT = "curl: (23) Failure writing output to destination\n"
LATE = "curl: (28) Operation timed out after 5000 milliseconds with 0 bytes received\n"


@pytest.mark.parametrize(
    ("answer", "check", "problem"),
    [
        (HttpAnswer(200), CHECK, ""),
        (HttpAnswer(399), CHECK, ""),
        (HttpAnswer(199), CHECK, "answered 199, expected 200 to 399"),
        (HttpAnswer(503), CHECK, "answered 503, expected 200 to 399"),
        (HttpAnswer(200), replace(CHECK, status=(204, 204)), "answered 200, expected 204"),
        (
            HttpAnswer(302, "http://x.example/\x1b[2J"),
            replace(CHECK, status=(200, 299)),
            "answered 302 (sent on to http://x.example/), expected 200 to 299",
        ),
        (HttpAnswer(200, body=b"all well"), replace(CHECK, text="well"), ""),
        (HttpAnswer(200, body=b"well", broken="no answer"), replace(CHECK, text="well"), ""),
        (HttpAnswer(200, broken="no answer"), CHECK, ""),
        (HttpAnswer(200, broken="no answer"), replace(CHECK, text="well"), "no answer"),
        (HttpAnswer(200, body="größer".encode()), replace(CHECK, text="größer"), ""),
        (
            HttpAnswer(200, body=b"ill"),
            replace(CHECK, text="well"),
            "answered 200, but the text 'well' is not in the answer",
        ),
        (
            HttpAnswer(200, body=b" " * 65536 + b"well"),
            replace(CHECK, text="well"),
            "answered 200, but the text 'well' is not in its first 64 KiB",
        ),
    ],
)
def test_answer(answer: HttpAnswer, check: HealthCheck, problem: str) -> None:
    """The status comes first, then the text, wherever the rest of the body went."""
    assert problem_with(answer, check, check.text) == problem


def test_text_with_the_commit() -> None:
    """The deployed commit stands in for its name; without one nothing can be expected."""
    check = replace(CHECK, text='"v": "{commit}"')
    assert expected_text(check, COMMIT) == f'"v": "{"1" * 40}"'
    assert expected_text(CHECK, None) == ""
    with pytest.raises(NoAnswer, match="needs a commit"):
        expected_text(check, None)


def test_every_question_is_new() -> None:
    """No cache knows the path with a random parameter; a query of the operator's own stays."""
    first, second = target_of(CHECK), target_of(CHECK)
    assert first.startswith("/healthz?reconciler-probe=")
    assert first != second
    assert target_of(replace(CHECK, path="/healthz?a=1")) == "/healthz?a=1"


BUILD = VersionCheck(8080, "/version", "build.commit")
TEXT = VersionCheck(8080, "/version")


def told(commit: object) -> bytes:
    return json.dumps({"build": {"commit": commit}}).encode()


@pytest.mark.parametrize(
    ("check", "body"),
    [
        (BUILD, told("1" * 40)),
        (BUILD, told("1" * 7)),
        (BUILD, told("1" * 12)),
        (TEXT, b"1" * 40),
        (TEXT, b"shop 2.1 (1111111, built 20260101)\n"),
        (TEXT, b'{"commit": "%s"}' % (b"1" * 40)),
    ],
)
def test_the_deployed_version(check: VersionCheck, body: bytes) -> None:
    """The commit in full, or as git abbreviates it; without a path it is a word of the text."""
    reading = read_version("http://app/", HttpAnswer(200, body=body), check, COMMIT)
    assert (reading.problem, reading.status) == ("", 200)
    assert len(reading.told) >= 7
    assert COMMIT.text.startswith(reading.told.lower())


@pytest.mark.parametrize(
    ("check", "answer", "problem"),
    [
        (BUILD, HttpAnswer(200, body=told("2" * 40)), f"tells '{'2' * 40}', expected is commit 1"),
        (BUILD, HttpAnswer(200, body=told("1" * 6)), "tells '111111', expected"),
        (BUILD, HttpAnswer(200, body=told("1" * 41)), "expected is commit"),
        (BUILD, HttpAnswer(200, body=told(f"v1-{'1' * 40}")), "expected is commit"),
        (BUILD, HttpAnswer(200, body=told("")), "tells '', expected"),
        (BUILD, HttpAnswer(200, body=told(None)), "no text at build.commit"),
        (BUILD, HttpAnswer(200, body=told(1111111)), "no text at build.commit"),
        (BUILD, HttpAnswer(200, body=b'{"build": "%s"}' % (b"1" * 40)), "no text at build.commit"),
        (BUILD, HttpAnswer(200, body=b"1" * 40), "no text at build.commit: '1111"),
        (BUILD, HttpAnswer(200, body=b"[" * 60_000), "no text at build.commit"),
        (BUILD, HttpAnswer(200, body=b"\xff\x1b[2J"), "no text at build.commit"),
        (TEXT, HttpAnswer(200, body=b""), "tells '', expected"),
        (TEXT, HttpAnswer(200, body=b"x" + b"1" * 40), "expected is commit"),
        (TEXT, HttpAnswer(200, body=b"2" * 40), "expected is commit"),
        (TEXT, HttpAnswer(200, body=b"1" * 40, broken="no answer within 5 s"), "no answer within"),
        (TEXT, HttpAnswer(503, body=b"1" * 40), "answered 503, expected 200 to 299"),
        (TEXT, HttpAnswer(302, "/v", b"1" * 40), "answered 302 (sent on to /v), expected"),
    ],
)
def test_another_version(check: VersionCheck, answer: HttpAnswer, problem: str) -> None:
    """Whatever is not the commit is none, and both are told."""
    reading = read_version("http://app/", answer, check, COMMIT)
    assert problem in reading.problem
    assert "\x1b" not in f"{reading.problem}{reading.told}"


def ask(runner: CommandRunner) -> HttpAnswer:
    engine = DockerEngine()
    try:
        return on_host.ask_http(LocalMachine(runner, engine, ManualClock()), QUESTION)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("stdout", "stderr", "answer"),
    [
        pytest.param(OK + "well", "", HttpAnswer(200, body=b"well"), id="whole"),
        pytest.param("HTTP/1.0 204\n\n", "", HttpAnswer(204), id="bare-newlines"),
        pytest.param("HTTP/2 200\r\n\r\nx", "", HttpAnswer(200, body=b"x"), id="no-reason"),
        pytest.param(f"Welcome!\n{OK}", "", HttpAnswer(200), id="after-a-greeting"),
        pytest.param(
            f"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK}well",
            "",
            HttpAnswer(200, body=b"well"),
            id="after-hints",
        ),
        pytest.param(
            f"{OK}\r\nHTTP/1.1 500 No\r\n\r\n",
            "",
            HttpAnswer(200, body=b"\r\nHTTP/1.1 500 No\r\n\r\n"),
            id="another-head-in-the-body",
        ),
        pytest.param(
            "HTTP/1.1 302 Found\r\nlocation: \t/login \r\n\r\nLocation: /no\r\n",
            "",
            HttpAnswer(302, "/login ", b"Location: /no\r\n"),
            id="redirect",
        ),
        pytest.param(f"{OK}xx", CUT, HttpAnswer(200, body=b"xx"), id="cut-by-us"),
        pytest.param(
            f"{OK}xx", LATE, HttpAnswer(200, body=b"xx", broken="no answer within 5 s"), id="late"
        ),
    ],
)
def test_what_curl_shows(stdout: str, stderr: str, answer: HttpAnswer) -> None:
    """The first head that is not for the time being counts, and all behind it is body."""
    assert ask(RecordingRunner({("sh",): (0, stdout, stderr)})) == answer


@pytest.mark.parametrize(
    ("stdout", "stderr", "problem"),
    [
        ("", LATE, "no answer within 5 s"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n", LATE, "no answer within 5 s"),
        ("", "curl: (0) is not installed there\n", "curl is not installed there"),
        (
            "",
            "curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms: Couldn't connect\n",
            "no connection to port 8080: Couldn't connect",
        ),
        (
            "",
            "motd\ncurl: (52) Empty reply from server\n",
            "no answer over HTTP: Empty reply from server",
        ),
        ("", "", "no answer over HTTP"),
    ],
)
def test_what_curl_complains_of(stdout: str, stderr: str, problem: str) -> None:
    """Its complaints are told in the words of a question that is asked from here."""
    with pytest.raises(NoAnswer) as refused:
        ask(RecordingRunner({("sh",): (0, stdout, stderr)}))
    assert str(refused.value) == problem


@pytest.mark.timeout(10)
def test_an_answer_of_heads_alone_takes_no_time() -> None:
    """Nobody else gets a turn meanwhile."""
    for head in ("HTTP/1.1 100 x\n", "HTTP/1.1 100 x\n\n"):
        with pytest.raises(NoAnswer):
            ask(RecordingRunner({("sh",): (0, head * (250_000 // len(head)), "")}))


class HangingRunner:
    """Runs nothing, for ever."""

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        assert command.timeout > CHECK.timeout
        return CommandResult(command.argv, -9, "", "", timedelta(0), timed_out=True)


def test_a_host_that_hangs_is_not_an_application_that_does() -> None:
    """What asks there ends by itself: if it does not, nothing is known of the application."""
    with pytest.raises(TargetUnreachable, match="host local hangs"):
        ask(HangingRunner())
