"""``Prober``: each health check asked where its declaration says, each version on its host."""

from collections.abc import Callable

from reconciler.adapters.probes import from_here, on_host
from reconciler.adapters.probes.http_answer import (
    LOOPBACK,
    HttpQuestion,
    NoAnswer,
    expected_text,
    never_asked,
    problem_with,
    target_of,
)
from reconciler.adapters.probes.version_answer import problem_with_version
from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Machines


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

    def probe(self, target: Target, commit: CommitSha | None) -> str:
        """Ask once; see ``Prober``. A target without a health check is well."""
        if target.health is None:
            return ""
        try:
            return self._ask(target.host, target.health, commit)
        except NoAnswer as error:
            return str(error)

    def probe_version(
        self, host: HostName, address: str, check: VersionCheck, commit: CommitSha
    ) -> str:
        """Ask one container once; see ``Prober``."""
        target = never_asked(check.path)
        question = HttpQuestion(address, check.port, target, check.timeout, whole=True)
        try:
            if host == LOCAL:
                answer = from_here.ask_http(question)
            else:
                answer = on_host.ask_http(self._machines.get(host), question)
        except NoAnswer as error:
            return str(error)
        return problem_with_version(answer, check, commit)

    def _ask(self, host: HostName, check: HealthCheck, commit: CommitSha | None) -> str:
        from_daemon = check.origin is ProbeOrigin.DAEMON
        if check.kind is ProbeKind.COMMAND:
            return on_host.run_command(self._machines.get(LOCAL if from_daemon else host), check)
        if from_daemon or host == LOCAL:
            return self._ask_from_here(host, check, commit)
        machine = self._machines.get(host)
        if check.kind is ProbeKind.TCP:
            on_host.ask_tcp(machine, check)
            return ""
        question = _question(LOOPBACK, check, commit)
        return problem_with(on_host.ask_http(machine, question), check, question.text)

    def _ask_from_here(self, host: HostName, check: HealthCheck, commit: CommitSha | None) -> str:
        address = LOOPBACK if host == LOCAL else self._address_of(host)
        if check.kind is ProbeKind.TCP:
            from_here.ask_tcp(address, check.port, check.timeout)
            return ""
        question = _question(address, check, commit)
        return problem_with(from_here.ask_http(question), check, question.text)


def _question(address: str, check: HealthCheck, commit: CommitSha | None) -> HttpQuestion:
    text = expected_text(check, commit)
    return HttpQuestion(address, check.port, target_of(check), check.timeout, text)
