"""Where an app says which commit it is, and how an operator writes that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.errors import InvalidInput
from reconciler.domain.health_check import parse_path
from reconciler.domain.numbers import parse_port, parse_seconds, seconds_of, shown
from reconciler.domain.problems import Problems, unknown_fields
from reconciler.domain.references import ServiceName, parse_declared_service

DEFAULT_TIMEOUT = timedelta(seconds=5)
#: Names of members, from the outermost one inwards: ``build.commit``.
_JSON_PATH = re.compile(r"[A-Za-z0-9_-]{1,100}(\.[A-Za-z0-9_-]{1,100}){0,9}")
#: In a row, as of a health check, each asked anew.
_ANSWERS = 3
_FIELDS = ("port", "path", "json_path", "service", "timeout_seconds")


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """An HTTP endpoint of the app itself that tells its commit.

    It is asked of every container on that container's own address, several times in a row.
    """

    port: int  #: inside the container
    path: str = "/"  #: with its query
    #: Where the commit stands in a JSON answer, e.g. ``build.commit``; empty: it is a word of the
    #: answer's text.
    json_path: str = ""
    service: ServiceName | None = None  #: None: the service that faces users
    timeout: timedelta = DEFAULT_TIMEOUT  #: of one answer


@dataclass(frozen=True, slots=True)
class VersionHistory:
    """What one container answered so far."""

    good_in_a_row: int = 0
    problem: str = "it has not been asked yet"  #: of the last answer

    def after(self, problem: str) -> "VersionHistory":
        """Return the history with one more answer; ``problem`` is empty for the right commit."""
        return VersionHistory(0 if problem else self.good_in_a_row + 1, problem)

    @property
    def doubt(self) -> str:
        """Why it is not proven to be the commit; empty once it has been said often enough."""
        if self.problem or self.good_in_a_row >= _ANSWERS:
            return self.problem
        return f"{self.good_in_a_row} of {_ANSWERS} answers in a row"


def parse_version_check(declared: Mapping[str, object], field: str = "version") -> VersionCheck:
    """Return the check that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``port``; ``path``; ``json_path``, like ``build.commit``; ``service``;
            ``timeout_seconds``.
        field: what problems are named after, e.g. ``version.port``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    given = {name: value for name, value in declared.items() if value is not None}
    problems.found.extend(unknown_fields(given, _FIELDS, field, "a version check"))
    port = problems.collect(lambda: _parse_port(given.get("port"), f"{field}.port"))
    path = problems.collect(lambda: parse_path(given.get("path", "/"), f"{field}.path"))
    json_path = problems.collect(
        lambda: _parse_json_path(given.get("json_path", ""), f"{field}.json_path")
    )
    service = problems.collect(
        lambda: parse_declared_service(given.get("service"), f"{field}.service")
    )
    seconds = given.get("timeout_seconds", seconds_of(DEFAULT_TIMEOUT))
    timeout = problems.collect(lambda: parse_seconds(seconds, f"{field}.timeout_seconds", 0.1, 60))
    if problems.found or port is None or path is None or json_path is None or timeout is None:
        raise problems.error()
    return VersionCheck(port, path, json_path, service, timeout)


def declaration_of(check: VersionCheck) -> dict[str, object]:
    """Return what ``parse_version_check`` makes ``check`` of, as JSON has it."""
    every: dict[str, object] = {
        "port": check.port,
        "path": check.path,
        "json_path": check.json_path or None,
        "service": check.service,
        "timeout_seconds": seconds_of(check.timeout),
    }
    return {name: value for name, value in every.items() if value is not None}


def _parse_port(value: object, field: str) -> int:
    if value is None:
        raise InvalidInput(field, None, "is missing: it is where the app tells its version")
    return parse_port(value, field)


def _parse_json_path(value: object, field: str) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not _JSON_PATH.fullmatch(value):
        problem = "must name members from the outermost inwards, like 'build.commit'"
        raise InvalidInput(field, shown(value), problem)
    return value
