"""The keys that a host shows to somebody who knows none."""

from collections.abc import Iterator

from reconciler.adapters.hosts.access import Access, Way
from reconciler.adapters.hosts.failures import connection_failure
from reconciler.adapters.openssh import Trouble, find_trouble, quoted
from reconciler.domain.errors import TargetUnreachable
from reconciler.domain.host import fingerprint_of
from reconciler.ports import CommandResult, OfferedKey

#: Strongest first. A host shows one key a connection: the first of these that it has.
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256",
    "rsa-sha2-512,rsa-sha2-256",
)


def offered_keys(access: Access) -> tuple[OfferedKey, ...]:
    """Return them, strongest first; see ``Machines.offered_keys``.

    Unlike `ssh-keyscan` this takes the way of every later connection, hops included.

    Raises:
        TargetUnreachable: it does not answer.
    """
    way = access.write()
    found = tuple(key for kind in _KINDS for key in _shown(access, way, kind))
    if not found:
        problem = "shows no key of a kind that we take: ed25519, ecdsa or rsa"
        raise TargetUnreachable(f"host {access.host.name} {problem}", host=access.host.name)
    return found


def _shown(access: Access, way: Way, kinds: str) -> Iterator[OfferedKey]:
    """Give the one key of these kinds that it has, if any."""
    seen = access.files.known_hosts.with_name("seen")
    seen.unlink(missing_ok=True)
    result = access.knock(
        HostKeyAlgorithms=kinds,
        UserKnownHostsFile=quoted(seen),
        StrictHostKeyChecking="accept-new",
    )
    if seen.exists():
        for line in seen.read_text().splitlines():
            key = " ".join(line.split()[1:3])
            yield OfferedKey(key, fingerprint_of(key))
    elif "no matching host key type" not in result.stderr_tail:
        raise _failure(access, way, result)


def _failure(access: Access, way: Way, result: CommandResult) -> Exception:
    """Return the error of a host that showed nothing, be it for a hop on the way to it."""
    error = connection_failure(access, way, result)
    if find_trouble(result.stderr_tail) is Trouble.UNREACHABLE:
        return error
    return TargetUnreachable(error.message, **error.evidence)
