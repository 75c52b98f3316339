"""The command that brings an app's data up to a new version, and how an operator writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from reconciler.domain.argv import parse_argv
from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import parse_seconds, parse_whole, seconds_of
from reconciler.domain.problems import Problems, unknown_fields
from reconciler.domain.references import ServiceName, parse_declared_service

#: Exit status of a migration that can't run just now. Source: sysexits.h, ``EX_TEMPFAIL``.
NOT_NOW_STATUS = 75
DEFAULT_TIMEOUT = timedelta(minutes=30)
_LONGEST_SECONDS = 24 * 3600
_FIELDS = ("command", "service", "timeout_seconds", "approval_status")


@dataclass(frozen=True, slots=True)
class Migration:
    """A command that runs in the new image before anything is switched.

    Exit status 0: go on. 75: not now, try again later. ``approval_status``: there is pending work
    that a person has to approve. Any other: the deployment stops, what runs goes on.
    """

    command: tuple[str, ...]
    #: Whose image, environment and network it has; None: the service that faces users.
    service: ServiceName | None = None
    timeout: timedelta = DEFAULT_TIMEOUT
    approval_status: int | None = None  #: 1 to 255, but not 75; None: no status means that


class MigrationState(StrEnum):
    """How far the migration of one deployment got on one host."""

    STARTED = "started"  #: nobody saw its end: it is never run again by itself
    DONE = "done"
    NOT_NOW = "not-now"  #: it ended, and asks for another try
    NEEDS_APPROVAL = "needs-approval"  #: it ended, and a person has to look at what is pending
    FAILED = "failed"  #: it ended otherwise


def parse_migration(declared: Mapping[str, object], field: str = "migration") -> Migration:
    """Return the migration that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``command``, a list or a line; ``service``; ``timeout_seconds``;
            ``approval_status``, a whole number.
        field: what problems are named after, e.g. ``migration.command``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    given = {name: value for name, value in declared.items() if value is not None}
    problems.found.extend(unknown_fields(given, _FIELDS, field, "a migration"))
    command = problems.collect(lambda: _parse_command(given.get("command"), f"{field}.command"))
    service = problems.collect(
        lambda: parse_declared_service(given.get("service"), f"{field}.service")
    )
    timeout = problems.collect(
        lambda: parse_seconds(
            given.get("timeout_seconds", seconds_of(DEFAULT_TIMEOUT)),
            f"{field}.timeout_seconds",
            1,
            _LONGEST_SECONDS,
        )
    )
    status = problems.collect(
        lambda: _parse_status(given.get("approval_status"), f"{field}.approval_status")
    )
    if problems.found or command is None or timeout is None:
        raise problems.error()
    return Migration(command, service, timeout, status)


def declaration_of(migration: Migration) -> dict[str, object]:
    """Return what ``parse_migration`` makes ``migration`` of, as JSON has it."""
    every: dict[str, object] = {
        "command": list(migration.command),
        "service": migration.service,
        "timeout_seconds": seconds_of(migration.timeout),
        "approval_status": migration.approval_status,
    }
    return {name: value for name, value in every.items() if value is not None}


def _parse_command(value: object, field: str) -> tuple[str, ...]:
    if value is None:
        raise InvalidInput(field, None, "is missing: it is what runs in the new image")
    return parse_argv(value, field)


def _parse_status(value: object, field: str) -> int | None:
    if value is None:
        return None
    status = parse_whole(value, field, 255)
    if status == NOT_NOW_STATUS:
        problem = "means 'not now, try again later' already; choose another status"
        raise InvalidInput(field, status, problem)
    return status
