"""How one asks whether a target is well, and how an operator writes that."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import unquote

from reconciler.domain.argv import parse_argv
from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import (
    parse_port,
    parse_seconds,
    parse_whole,
    seconds_of,
    shown,
)
from reconciler.domain.problems import Given, Problems, unknown_fields


class ProbeKind(StrEnum):
    """What a health check does."""

    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"


class ProbeOrigin(StrEnum):
    """From where a health check asks."""

    HOST = "host"  #: on the host itself, over its loopback
    DAEMON = "daemon"  #: from the daemon's machine, over the network


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How one asks whether a target is well; every sample that counts is one of these."""

    kind: ProbeKind
    port: int | None = None  #: http and tcp
    path: str = "/"  #: http, with its query
    status: tuple[int, int] = (200, 399)  #: http: the lowest and the highest that are good
    #: http: must be in the first 64 KiB of the body; ``{commit}`` in it is the commit that is
    #: deployed. Empty: any body is good.
    text: str = ""
    command: tuple[str, ...] = ()  #: command: exit status 0 is good
    origin: ProbeOrigin = ProbeOrigin.HOST
    start_period: timedelta = timedelta(seconds=30)  #: in which a bad answer is no verdict
    interval: timedelta = timedelta(seconds=1)
    timeout: timedelta = timedelta(seconds=5)  #: of one sample
    retries: int = 3  #: bad samples in a row, after the start period, that are a verdict
    successes: int = 3  #: good samples in a row before it counts as well


_LONGEST = 1000
_MOST_IN_A_ROW = 100
#: Field → kinds that it belongs to; the fields that are not here belong to all.
_BELONGS_TO: Mapping[str, frozenset[ProbeKind]] = {
    "port": frozenset({ProbeKind.HTTP, ProbeKind.TCP}),
    **dict.fromkeys(("path", "status", "text"), frozenset({ProbeKind.HTTP})),
    "command": frozenset({ProbeKind.COMMAND}),
}
_REQUIRED = frozenset({"port", "command"})
_DURATIONS = ("start_period_seconds", "interval_seconds", "timeout_seconds")
_FIELDS = ("kind", *_BELONGS_TO, "origin", *_DURATIONS, "retries", "successes")
_STATUS = re.compile(r"(?P<low>[1-5][0-9]{2})(?:-(?P<high>[1-5][0-9]{2}))?")
#: Source: RFC 3986, sections 3.3 and 3.4.
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


def parse_health_check(declared: Mapping[str, object], field: str = "health") -> HealthCheck:
    """Return the health check that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``kind`` (http, tcp or command); ``port`` of http and tcp; ``path``, ``status``
            (like ``200`` or ``200-399``) and ``text`` of http; ``command``, a list or a line;
            ``origin`` (host or daemon); ``start_period_seconds``, ``interval_seconds`` and
            ``timeout_seconds``; ``retries`` and ``successes``.
        field: what problems are named after, e.g. ``health.port``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    given = {name: value for name, value in declared.items() if value is not None}
    kind = problems.collect(lambda: _parse_kind(given.get("kind"), f"{field}.kind"))
    if kind is None:
        raise problems.error()
    problems.found.extend(_misplaced(given, kind, field))
    check = _read(Given(given, field, problems), kind)
    if problems.found:
        raise problems.error()
    return check


def declaration_of(check: HealthCheck) -> dict[str, object]:
    """Return what ``parse_health_check`` makes ``check`` of, in full, as JSON has it."""
    low, high = check.status
    every: dict[str, object] = {
        "kind": check.kind.value,
        "port": check.port,
        "path": check.path,
        "status": str(low) if low == high else f"{low}-{high}",
        "text": check.text or None,
        "command": list(check.command),
        "origin": check.origin.value,
        "start_period_seconds": seconds_of(check.start_period),
        "interval_seconds": seconds_of(check.interval),
        "timeout_seconds": seconds_of(check.timeout),
        "retries": check.retries,
        "successes": check.successes,
    }
    return {
        name: value
        for name, value in every.items()
        if value is not None and check.kind in _BELONGS_TO.get(name, ProbeKind)
    }


def _read(reading: Given, kind: ProbeKind) -> HealthCheck:
    take, usual = reading.take, HealthCheck(kind)
    return HealthCheck(
        kind,
        port=take("port", parse_port, usual.port),
        path=take("path", parse_path, usual.path),
        status=take("status", _parse_status, usual.status),
        text=take("text", _parse_text, usual.text),
        command=take("command", parse_argv, usual.command),
        origin=take("origin", _parse_origin, usual.origin),
        start_period=take("start_period_seconds", parse_start_period, usual.start_period),
        interval=take("interval_seconds", parse_interval, usual.interval),
        timeout=take("timeout_seconds", parse_timeout, usual.timeout),
        retries=take("retries", parse_in_a_row, usual.retries),
        successes=take("successes", parse_in_a_row, usual.successes),
    )


def _parse_kind(value: object, field: str) -> ProbeKind:
    kinds = ", ".join(ProbeKind)
    if value is None:
        raise InvalidInput(field, None, f"is missing: it is one of {kinds}")
    if not isinstance(value, str) or value not in set(ProbeKind):
        raise InvalidInput(field, shown(value), f"is not one of {kinds}")
    return ProbeKind(value)


def _misplaced(given: Mapping[str, object], kind: ProbeKind, field: str) -> Iterator[InvalidInput]:
    if len(given) > len(_FIELDS):
        raise InvalidInput(
            field, len(given), f"fields are more than the {len(_FIELDS)} that it has"
        )
    for name, value in given.items():
        yield from unknown_fields((name,), _FIELDS, field, "a health check")
        if kind not in _BELONGS_TO.get(name, ProbeKind):
            problem = f"does not belong in a health check of kind {kind}; leave it out"
            yield InvalidInput(f"{field}.{name}", shown(value), problem)
    for name in _BELONGS_TO:
        if name in _REQUIRED and kind in _BELONGS_TO[name] and name not in given:
            problem = f"is missing: a health check of kind {kind} needs it"
            yield InvalidInput(f"{field}.{name}", None, problem)


def parse_path(value: object, field: str = "path") -> str:
    """Return ``value`` as the path of a URL, with its query. Raises ``InvalidInput``."""
    if not isinstance(value, str) or not _PATH.fullmatch(value) or len(value) > _LONGEST:
        problem = "must be a path like '/healthz' or '/ready?full=1', with all else as %XX"
        raise InvalidInput(field, shown(value), problem)
    # Also as %2E: who passes it on, as a cluster's API server does, may read it as a way upwards.
    if {".", ".."} & set(unquote(value.partition("?")[0]).split("/")):
        raise InvalidInput(field, value, "must hold neither '.' nor '..'")
    return value


def _parse_status(value: object, field: str) -> tuple[int, int]:
    text = str(value) if isinstance(value, int) else value
    match = _STATUS.fullmatch(text) if isinstance(text, str) else None
    low, high = (int(match["low"]), int(match["high"] or match["low"])) if match else (1, 0)
    if low > high:
        problem = "must be a status like '200', or the lowest and highest good one like '200-399'"
        raise InvalidInput(field, shown(value), problem)
    return low, high


def _parse_text(value: object, field: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST or not value.isprintable():
        problem = f"must be 1 to {_LONGEST} characters on one line"
        raise InvalidInput(field, shown(value), problem)
    return value


def _parse_origin(value: object, field: str) -> ProbeOrigin:
    if not isinstance(value, str) or value not in set(ProbeOrigin):
        raise InvalidInput(field, shown(value), f"is not one of {', '.join(ProbeOrigin)}")
    return ProbeOrigin(value)


def parse_start_period(value: object, field: str) -> timedelta:
    """Return in which time a bad answer is no verdict. Raises ``InvalidInput``."""
    return parse_seconds(value, field, 0, 3600)


def parse_interval(value: object, field: str) -> timedelta:
    """Return the time between two answers. Raises ``InvalidInput``."""
    return parse_seconds(value, field, 0.1, 300)


def parse_timeout(value: object, field: str) -> timedelta:
    """Return how long one answer may take. Raises ``InvalidInput``."""
    return parse_seconds(value, field, 0.1, 60)


def parse_in_a_row(value: object, field: str) -> int:
    """Return how many answers in a row are a verdict. Raises ``InvalidInput``."""
    return parse_whole(value, field, _MOST_IN_A_ROW)
