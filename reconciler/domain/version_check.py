"""Where an app says which commit it is, and how an operator writes that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.errors import InvalidInput
from reconciler.domain.health_check import (
    parse_in_a_row,
    parse_interval,
    parse_path,
    parse_start_period,
    parse_timeout,
)
from reconciler.domain.numbers import parse_port, seconds_of, shown
from reconciler.domain.problems import Given, Problems, unknown_fields
from reconciler.domain.references import ServiceName, parse_declared_service

#: Names of members, from the outermost one inwards: ``build.commit``.
_JSON_PATH = re.compile(r"[A-Za-z0-9_-]{1,100}(\.[A-Za-z0-9_-]{1,100}){0,9}")
_DURATIONS = ("start_period_seconds", "interval_seconds", "timeout_seconds")
_FIELDS = ("port", "path", "json_path", "service", *_DURATIONS, "retries", "successes")


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """An HTTP endpoint of the app itself that tells its commit.

    It is asked of every container on that container's own address, or of a unit over the loopback
    of its host, several times in a row.
    """

    #: Inside the container. None: a unit is asked where its target listens.
    port: int | None = None
    path: str = "/"  #: with its query
    #: Where the commit stands in a JSON answer, e.g. ``build.commit``; empty: it is a word of the
    #: answer's text.
    json_path: str = ""
    service: ServiceName | None = None  #: None: the one that faces users, or every one
    timeout: timedelta = timedelta(seconds=5)  #: of one answer
    #: In which a bad answer is no verdict; at least as long as the target's other checks give it.
    start_period: timedelta = timedelta(seconds=30)
    interval: timedelta = timedelta(seconds=0.1)  #: at most at each look
    retries: int = 3  #: bad answers in a row, after the start period, that are a verdict
    successes: int = 3  #: good answers in a row before it is proven


def parse_version_check(declared: Mapping[str, object], field: str = "version") -> VersionCheck:
    """Return the check that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``port``; ``path``; ``json_path``, like ``build.commit``; ``service``;
            ``timeout_seconds``, ``start_period_seconds`` and ``interval_seconds``; ``retries`` and
            ``successes``.
        field: what problems are named after, e.g. ``version.port``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    fields = {name: value for name, value in declared.items() if value is not None}
    problems.found.extend(unknown_fields(fields, _FIELDS, field, "a version check"))
    take, usual = Given(fields, field, problems).take, VersionCheck()
    check = VersionCheck(
        port=take("port", parse_port, usual.port),
        path=take("path", parse_path, usual.path),
        json_path=take("json_path", _parse_json_path, usual.json_path),
        service=take("service", parse_declared_service, usual.service),
        timeout=take("timeout_seconds", parse_timeout, usual.timeout),
        start_period=take("start_period_seconds", parse_start_period, usual.start_period),
        interval=take("interval_seconds", parse_interval, usual.interval),
        retries=take("retries", parse_in_a_row, usual.retries),
        successes=take("successes", parse_in_a_row, usual.successes),
    )
    if problems.found:
        raise problems.error()
    return check


def require_port(check: VersionCheck, field: str = "version") -> VersionCheck:
    """Return ``check`` of what runs in containers. Raises ``InvalidInput``: it has no port."""
    if check.port is None:
        problem = "is missing: it is where the app tells its version"
        raise InvalidInput(f"{field}.port", None, problem)
    return check


def declaration_of(check: VersionCheck) -> dict[str, object]:
    """Return what ``parse_version_check`` makes ``check`` of, in full, as JSON has it."""
    every: dict[str, object] = {
        "port": check.port,
        "path": check.path,
        "json_path": check.json_path or None,
        "service": check.service,
        "timeout_seconds": seconds_of(check.timeout),
        "start_period_seconds": seconds_of(check.start_period),
        "interval_seconds": seconds_of(check.interval),
        "retries": check.retries,
        "successes": check.successes,
    }
    return {name: value for name, value in every.items() if value is not None}


def _parse_json_path(value: object, field: str) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not _JSON_PATH.fullmatch(value):
        problem = "must name members from the outermost inwards, like 'build.commit'"
        raise InvalidInput(field, shown(value), problem)
    return value
