"""What it means that ssh, rsync or git did not do what they should."""

import re
from collections.abc import Sequence

from reconciler.adapters.hosts.access import Access, Way
from reconciler.adapters.openssh import Trouble, find_trouble, shown_fingerprint
from reconciler.domain.errors import (
    HostKeyMismatch,
    HostRefused,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.host import HostName, fingerprint_of
from reconciler.ports import CommandResult

#: In what ssh says when the command that leads to the host has ended: there is no address.
CUT_OFF = "by UNKNOWN port"
#: What ssh says last when the command that leads to the host has ended; the reason is before it.
_NO_REASON = re.compile(
    r"Connection (closed|reset) by UNKNOWN|stdio forwarding failed|kex_exchange_identification|"
    r"mux_client_request_session|ControlSocket .* already exists"
)
_LONGEST_LINE = 200


def last_useful_line(said: str) -> str:
    """Return the last line that gives a reason; the very last if none does."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    useful = [line for line in lines if not _NO_REASON.search(line)] or lines
    return useful[-1][:_LONGEST_LINE] if useful else ""


def evidence_of(name: HostName, said: str) -> dict[str, str]:
    """Return what an error keeps of a failure."""
    return {"host": name, "stderr": said.strip()[-1000:]}


def connection_failure(access: Access, way: Way, result: CommandResult) -> ReconcilerError:
    """Return why no connection came about.

    Args:
        access: what was tried.
        way: where its name leads.
        result: of the ssh that should have opened it.
    """
    name, said = access.host.name, result.stderr_tail
    evidence = evidence_of(name, said)
    line = last_useful_line(said) or last_useful_line(result.stdout)
    if result.timed_out:
        seconds = result.duration.total_seconds()
        return TargetUnreachable(f"host {name} gave no answer within {seconds:.0f} s", **evidence)
    trouble = find_trouble(said)
    if trouble is Trouble.OTHER_KEY:
        return _other_key(access, said)
    if trouble is Trouble.DENIED:
        return HostRefused(f"host {name} does not let us in: {line.rstrip('.')}", **evidence)
    if result.exit_status != 255:
        # ssh's own failures are 255: this is a login shell that is none.
        problem = f"ended with exit status {result.exit_status}"
        return HostRefused(f"host {name} runs nothing for us: {line or problem}", **evidence)
    if "Could not resolve" in said and way.address == access.host.alias:
        problem = f"the SSH configuration has no alias {way.address}, and no host is called so"
        return TargetUnreachable(f"host {name}: {problem}", **evidence)
    return TargetUnreachable(f"host {name} can't be reached: {line or 'ssh failed'}", **evidence)


def key_mismatch(access: Access, observed: Sequence[str]) -> HostKeyMismatch:
    """Return the error of a host that shows other keys than the pinned ones.

    Args:
        access: with the pinned keys.
        observed: fingerprints of what it shows; empty if they could not be found out.
    """
    name = access.host.name
    pinned = ", ".join(map(fingerprint_of, access.host.host_keys))
    shown = ", ".join(observed) or "a key of another kind"
    message = f"host {name} shows {shown}, and its pinned key is {pinned}; nothing was sent to it"
    error = HostKeyMismatch(message, host=name, expected=pinned, observed=shown)
    if len(observed) == 1:
        error.remedy = (
            "find out why it changed; if the new one is right, "
            f"`reconciler host trust {name} --fingerprint {shown}` takes it over"
        )
    return error


def lost(name: HostName, what: str, said: str) -> TargetUnreachable:
    """Return the error of a connection that ended while ``what`` used it."""
    line = last_useful_line(said)
    message = f"host {name}: the connection was lost while {what}" + (f": {line}" if line else "")
    return TargetUnreachable(message, **evidence_of(name, said))


def _other_key(access: Access, said: str) -> HostKeyMismatch:
    # A hop's key is checked by an ssh of its own, which says so through the same stderr.
    ours = access.known_as in said or "no matching host key type" in said
    if not ours:
        name, line = access.host.name, last_useful_line(said)
        message = f"host {name}: a hop on the way to it is not known: {line}"
        return HostKeyMismatch(message, **evidence_of(name, said))
    shown = shown_fingerprint(said)
    return key_mismatch(access, [shown] if shown else [])
