"""What the step ``look`` prints, and what it says of a unit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.domain.references import CommitSha, Digest, ServiceName
from reconciler.domain.verification import RunState, Sample
from reconciler.ports import TargetReport

#: Added to a signal's number, as shells do. Source: systemd.exec(5), ``$EXIT_CODE``: 2 and 3 of
#: ``ExecMainCode`` are killed and dumped (``CLD_KILLED``, ``CLD_DUMPED``).
_SIGNALLED = 128
_BY_SIGNAL = frozenset({"2", "3"})
#: Source: systemd(1), "UNITS", and `systemctl --state=help`.
_STATES: Mapping[str, RunState] = {
    "active": RunState.RUNNING,
    "reloading": RunState.RUNNING,
    "refreshing": RunState.RUNNING,
    "activating": RunState.CREATED,
    "deactivating": RunState.RESTARTING,
    "failed": RunState.EXITED,
    "inactive": RunState.EXITED,
    "maintenance": RunState.DEAD,
}
_LOOPBACK = "127.0.0.1"  #: where a unit's own port is asked on its host
#: Source: systemd.time(7), "DISPLAYING TIMESTAMPS"; the step asks for UTC.
_INSTANT = re.compile(r"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a unit: systemd's properties, and ours."""

    values: Mapping[str, str]

    @property
    def exists(self) -> bool:
        """Whether systemd knows such a unit."""
        return self.values.get("LoadState", "not-found") != "not-found"

    @property
    def invocation(self) -> str:
        """The unit's present run; empty where it does not run."""
        return self.values.get("InvocationID", "")

    @property
    def key(self) -> str:
        """Stays the same as long as the file that runs does; empty if nobody knows that."""
        return self.values.get("Key", "")

    @property
    def running(self) -> Digest | None:
        """The digest of what runs, where it was asked for anew."""
        return _digest(self.values.get("Running", ""))

    def sample(self, service: ServiceName, unit: str, running: Digest | None) -> Sample:
        """Return what is judged; ``running`` is the digest of what the main process runs."""
        state = self._state()
        return Sample(
            # The unit, not its invocation: restarts by systemd are counted within one id.
            id=unit,
            service=service,
            state=state,
            address=_LOOPBACK,
            digests=frozenset({running} if running else ()),
            restarts=_number(self.values.get("NRestarts", "")),
            exit_status=self._exit_status() if state is RunState.EXITED else None,
            started_at=f"{self.values.get('ExecMainStartTimestamp', '')} "
            f"{self.values.get('InvocationID', '')}".strip(),
        )

    def report(self, running: Digest | None) -> TargetReport:
        """Return what is shown."""
        values = self.values
        if not self.exists:
            return TargetReport("no such unit", None, "", "")
        deployed = _digest(values.get("Digest", ""))
        as_deployed = running is not None and running == deployed
        active = self._state() is RunState.RUNNING
        commit = values.get("Commit", "")
        return TargetReport(
            state=f"{values.get('ActiveState', '')} ({values.get('SubState', '')})",
            commit=CommitSha.parse(commit) if commit and active and as_deployed else None,
            release=values.get("Release", "") if active and as_deployed else "",
            since=_instant(values.get("StateChangeTimestamp", "")),
            detail=tuple(self._detail(running, as_deployed)),
        )

    def _state(self) -> RunState:
        active, sub = self.values.get("ActiveState", ""), self.values.get("SubState", "")
        if sub.startswith("auto-restart"):
            return RunState.RESTARTING
        if (active, sub) == ("active", "exited"):
            return RunState.EXITED
        return _STATES.get(active, RunState.DEAD)

    def _exit_status(self) -> int:
        status = _number(self.values.get("ExecMainStatus", ""))
        return status + _SIGNALLED if self.values.get("ExecMainCode") in _BY_SIGNAL else status

    def _detail(self, running: Digest | None, as_deployed: bool) -> list[tuple[str, str]]:
        values = self.values
        facts = [
            ("result", values.get("Result", "")),
            ("restarts", values.get("NRestarts", "")),
            ("deployment", values.get("Deployment", "")),
            ("current", values.get("Release", "")),
            ("image", values.get("Image", "")),
            ("runs", running.text if running else ""),
        ]
        if values.get("Release") and not as_deployed:
            what = running.short if running else values.get("Program", "") or "an unknown program"
            facts.append(("differs", f"current is {values['Release']}, and {what} runs"))
        if pending := values.get("Pending", ""):
            facts.append(("unconfirmed", f"deployment {pending.partition(' ')[0]}"))
        if reverted := values.get("Reverted", ""):
            number, _, at = reverted.partition(" ")
            facts.append(("went back", f"deployment {number} was not confirmed in time: {at}"))
        return [(name, value) for name, value in facts if value]


def parse_look(printed: str) -> Look:
    """Return what the step printed: ``Name=value`` lines, of which the first of a name counts."""
    values: dict[str, str] = {}
    for line in printed.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values.setdefault(name, value)
    return Look(values)


def _digest(hexadecimal: str) -> Digest | None:
    return Digest.parse(f"sha256:{hexadecimal}") if hexadecimal else None


def _instant(text: str) -> str:
    """Return what systemd writes as ``Wed 2026-11-25 17:00:00 UTC`` as ISO 8601 has it."""
    found = _INSTANT.fullmatch(text)
    return f"{found[1]}T{found[2]}Z" if found else text


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
