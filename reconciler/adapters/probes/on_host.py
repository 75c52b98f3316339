"""Asking on the host itself, with what is on a plain Debian: curl, bash, and the command's own."""

import re
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from reconciler.adapters.probes.http_answer import (
    BODY_LIMIT_BYTES,
    HEADERS,
    LOOPBACK,
    HttpAnswer,
    HttpQuestion,
    NoAnswer,
    bracketed,
    no_answer_in_time,
    no_connection,
)
from reconciler.domain.errors import TargetUnreachable
from reconciler.domain.health_check import HealthCheck
from reconciler.domain.secret import Secret
from reconciler.log import plain, shorten
from reconciler.ports import Command, CommandResult, Machine

_LONGEST_LINE = 200
_KILL_AFTER_SECONDS = 1
#: Source: timeout(1), "EXIT STATUS"; KILL, which ends it as well, where TERM was not minded.
_ENDED_BY_TIMEOUT = frozenset({124, 128 + 9, -9})
# Source: curl(1), "EXIT CODES".
_COULD_NOT_CONNECT = 7
_CUT_BY_HEAD = 23
_TIMED_OUT = 28
_MISSING = 0  #: none of curl's own
#: Of the headers, which are rarely over 8 KiB.
_HEAD_LIMIT_BYTES = 64 << 10
#: What asking there takes beside the asking itself.
_GRACE = timedelta(seconds=10)
_HEADERS = " ".join(f"--header '{name}: {value}'" for name, value in HEADERS.items())
# `$1` are the seconds, `$2` is the URL, `$3` are the bytes after which `head` ends the answer: curl
# itself can't, where the server does not say the length. What curl has to say stands on stderr.
_CURL = f"""\
command -v curl >/dev/null 2>&1 || {{ echo "curl: ({_MISSING}) is not installed there" >&2; exit; }}
curl -q --silent --show-error --include --no-buffer --globoff --noproxy '*' --proto =http \\
  --http1.1 {_HEADERS} --max-time "$1" --url "$2" | head -c "$3"
"""
_CONNECT = f'exec 3<>"/dev/tcp/{LOOPBACK}/$1"'
_HEAD = re.compile(r"HTTP/[0-9.]+ (?P<status>[0-9]{3})[^\n]*\n(?P<lines>(?:[^\r\n]++\r?\n)*+)\r?\n")
_HEAD_BEGINS = re.compile(r"^HTTP/[0-9.]+ [0-9]{3}", re.MULTILINE)  #: after the host's greeting
_LOCATION = re.compile(r"^location:[ \t]*(?P<target>[^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_CURL_SAYS = re.compile(r"^curl: \((?P<code>[0-9]+)\) (?P<reason>.*)$", re.MULTILINE)


def ask_http(machine: Machine, question: HttpQuestion) -> HttpAnswer:
    """Ask once; the body comes along only if something is wanted of it.

    Raises:
        NoAnswer: no connection, no whole headers in time, or no curl on the host.
        TargetUnreachable: the host itself did not answer.
    """
    seconds = f"{question.timeout.total_seconds():g}"
    url = f"http://{bracketed(question.address)}:{question.port}{question.target}"
    limit = _HEAD_LIMIT_BYTES + (BODY_LIMIT_BYTES if question.text or question.whole else 0)
    argv = ("sh", "-s", "--", seconds, url, str(limit))
    command = Command(argv, stdin=Secret.of(_CURL), timeout=question.timeout + _GRACE)
    result = machine.run(command)
    if result.timed_out:
        raise TargetUnreachable(f"host {machine.name} hangs: asking took too long there")
    return _parse(result, question)


def ask_tcp(machine: Machine, check: HealthCheck) -> None:
    """Connect once over the host's loopback.

    Raises:
        NoAnswer: no connection, none in time, or no bash on the host.
        TargetUnreachable: the host itself did not answer.
    """
    ended = _run(machine, ("bash", "--norc", "-c", _CONNECT, "probe", str(check.port)), check)
    if not ended.in_time:
        raise NoAnswer(no_answer_in_time(check.timeout))
    if ended.status:
        raise NoAnswer(no_connection(check.port, ended.said.rpartition(": ")[2]))


def run_command(machine: Machine, check: HealthCheck) -> str:
    """Run the check's command there once; return how it ended, empty if with exit status 0.

    Raises:
        TargetUnreachable: the host itself did not answer.
    """
    ended = _run(machine, check.command, check)
    said = f": {ended.said}" if ended.said else ""
    if not ended.in_time:
        return f"no end within {check.timeout.total_seconds():g} s{said}"
    return f"exit status {ended.status}{said}" if ended.status else ""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a command on a host ended."""

    status: int
    in_time: bool
    said: str  #: the last line that it wrote


def _run(machine: Machine, argv: tuple[str, ...], check: HealthCheck) -> _Ended:
    """Run ``argv`` there; its time is measured there, so that a slow way to it costs none."""
    lines: deque[str] = deque(maxlen=1)
    limit = f"{check.timeout.total_seconds():g}"
    command = Command(
        ("timeout", f"--kill-after={_KILL_AFTER_SECONDS}", "--", limit, *argv),
        timeout=check.timeout + _GRACE,
    )
    result = machine.run(command, on_line=lambda line: lines.append(line) if line.strip() else None)
    overdue = result.exit_status in _ENDED_BY_TIMEOUT and result.duration >= check.timeout
    return _Ended(
        status=result.exit_status,
        in_time=not (overdue or result.timed_out),
        said=shorten(plain(lines[0].strip()), _LONGEST_LINE) if lines else "",
    )


def _parse(result: CommandResult, question: HttpQuestion) -> HttpAnswer:
    broken = _broken(result, question)
    # One after another: to look for them anywhere takes time that grows with the square of it.
    begin = _HEAD_BEGINS.search(result.stdout)
    head = _HEAD.match(result.stdout, begin.start()) if begin else None
    while head is not None and head["status"].startswith("1"):
        head = _HEAD.match(result.stdout, head.end())
    if head is None:
        raise NoAnswer(broken or "no answer over HTTP")
    location = _LOCATION.search(head["lines"])
    body = result.stdout[head.end() :].encode()
    return HttpAnswer(int(head["status"]), location["target"] if location else "", body, broken)


def _broken(result: CommandResult, question: HttpQuestion) -> str:
    """Return what curl said of an answer that is not whole, in an operator's words."""
    said = _CURL_SAYS.search(result.stderr_tail)
    if said is None:
        return ""
    code, reason = int(said["code"]), said["reason"].strip()
    texts = {
        _MISSING: f"curl {reason}",
        _CUT_BY_HEAD: "",
        _TIMED_OUT: no_answer_in_time(question.timeout),
        _COULD_NOT_CONNECT: no_connection(question.port, reason.rpartition(": ")[2]),
    }
    return texts.get(code, f"no answer over HTTP: {reason}")
