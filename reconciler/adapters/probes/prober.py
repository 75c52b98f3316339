"""``Prober``: each check asked where its declaration says, each version on its host."""

import shlex
from collections.abc import Callable

from reconciler.adapters.probes import from_here, on_host
from reconciler.adapters.probes.http_answer import (
    LOOPBACK,
    HttpQuestion,
    NoAnswer,
    bracketed,
    expected_text,
    never_asked,
    problem_with,
    sent_on,
    target_of,
)
from reconciler.adapters.probes.version_answer import read_version
from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Machine, Machines


class HealthProber:
    """``Prober`` over the network and on hosts. Keeps nothing between calls; threads may share it.

    HTTP and TCP on ``local`` are asked directly: that is the host's own loopback.
    """

    def __init__(self, machines: Machines, address_of: Callable[[HostName], str]) -> None:
        """Make one.

        Args:
            machines: where it asks on the host itself, and where commands run.
            address_of: host, other than ``local`` → name or IP address by which the network
                knows it.
        """
        self._machines = machines
        self._address_of = address_of

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Ask once; see ``Prober``. A target without that check is well."""
        check = target.ready if ready else target.health
        return Reading("") if check is None else self._ask(target.host, check, commit)

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        """Ask one container once; see ``Prober``."""
        asked = _url(address, check.port, check.path)
        path = never_asked(check.path)
        question = HttpQuestion(address, check.port, path, check.timeout, whole=True)
        try:
            if target.host == LOCAL:
                answer = from_here.ask_http(question)
            else:
                answer = on_host.ask_http(self._machines.get(target.host), question)
        except NoAnswer as error:
            return Reading(asked, str(error))
        return read_version(asked, answer, check, commit)

    def _ask(self, host: HostName, check: HealthCheck, commit: CommitSha | None) -> Reading:
        from_daemon = check.origin is ProbeOrigin.DAEMON
        if check.kind is ProbeKind.COMMAND:
            machine = self._machines.get(LOCAL if from_daemon else host)
            return Reading(shlex.join(check.command), on_host.run_command(machine, check))
        if from_daemon or host == LOCAL:
            address = LOOPBACK if host == LOCAL else self._address_of(host)
            return _ask_port(None, address, check, commit)
        return _ask_port(self._machines.get(host), LOOPBACK, check, commit)


def _ask_port(
    machine: Machine | None, address: str, check: HealthCheck, commit: CommitSha | None
) -> Reading:
    """Ask over TCP or HTTP on ``machine``, or from here."""
    is_tcp = check.kind is ProbeKind.TCP
    asked = _url(address, check.port, "" if is_tcp else check.path, "tcp" if is_tcp else "http")
    try:
        if is_tcp:
            _connect(machine, address, check)
            return Reading(asked)
        question = _question(address, check, commit)
        answer = on_host.ask_http(machine, question) if machine else from_here.ask_http(question)
    except NoAnswer as error:
        return Reading(asked, str(error))
    problem = problem_with(answer, check, question.text)
    return Reading(asked, problem, answer.status, sent_on(answer).strip(" ()"))


def _connect(machine: Machine | None, address: str, check: HealthCheck) -> None:
    if machine:
        on_host.ask_tcp(machine, check)
    else:
        from_here.ask_tcp(address, check.port, check.timeout)


def _question(address: str, check: HealthCheck, commit: CommitSha | None) -> HttpQuestion:
    text = expected_text(check, commit)
    return HttpQuestion(address, check.port, target_of(check), check.timeout, text)


def _url(address: str, port: int | None, path: str, scheme: str = "http") -> str:
    return f"{scheme}://{bracketed(address)}{f':{port}' if port else ''}{path}"
