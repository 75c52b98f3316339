"""What an operator writes to declare a host, and the rules it has to meet. Pure."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import (
    LOCAL,
    Host,
    HostName,
    parse_address,
    parse_alias,
    parse_host_name,
    parse_user,
)
from reconciler.domain.numbers import parse_port
from reconciler.domain.problems import Problems

DEFAULT_PORT = 22
_IN_FULL = ("address", "user", "port")


@dataclass(frozen=True, slots=True)
class HostDraft:
    """A host as it was asked for: nobody has checked it yet."""

    name: str
    alias: str | None = None  #: of the operator's SSH configuration; or the three others
    address: str | None = None
    user: str | None = None
    port: int | None = None


def draft_of(host: Host) -> HostDraft:
    """Return the draft that ``parse_host`` makes ``host`` of."""
    if host.alias:
        return HostDraft(host.name, alias=host.alias)
    return HostDraft(host.name, address=host.address, user=host.user, port=host.port)


def parse_host(draft: HostDraft, now: datetime) -> Host:
    """Return the host that ``draft`` declares, new at ``now``, with no key confirmed.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    name = problems.collect(lambda: _parse_name(draft.name)) or LOCAL
    if draft.alias is not None:
        host = _by_alias(name, draft.alias, draft, problems, now)
    else:
        host = _in_full(name, draft, problems, now)
    if problems.found:
        raise problems.error()
    return host


def _parse_name(text: str) -> HostName:
    name = parse_host_name(text, "name")
    if name == LOCAL:
        raise InvalidInput("name", text, "is the daemon's own machine: it is there without asking")
    return name


def _by_alias(
    name: HostName, alias: str, draft: HostDraft, problems: Problems, now: datetime
) -> Host:
    parsed = problems.collect(lambda: parse_alias(alias)) or ""
    for field in _IN_FULL:
        if (value := getattr(draft, field)) is not None:
            problem = "is what the SSH configuration says of an alias; leave it out"
            problems.found.append(InvalidInput(field, value, problem))
    return Host(name, now, alias=parsed)


def _in_full(name: HostName, draft: HostDraft, problems: Problems, now: datetime) -> Host:
    port = DEFAULT_PORT if draft.port is None else draft.port
    return Host(
        name,
        now,
        address=problems.collect(lambda: _parse_given_address(draft.address)) or "",
        user=problems.collect(lambda: _parse_given_user(draft.user)) or "",
        port=problems.collect(lambda: parse_port(port)) or DEFAULT_PORT,
    )


def _parse_given_address(text: str | None) -> str:
    if text is None:
        raise InvalidInput("address", None, "is missing, and so is `alias`: give one of them")
    return parse_address(text)


def _parse_given_user(text: str | None) -> str:
    if text is None:
        raise InvalidInput("user", None, "is missing: whom to be on the host")
    return parse_user(text)
