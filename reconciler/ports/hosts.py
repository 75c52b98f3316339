"""Machines that deployments run on, and how they are reached."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reconciler.domain.host import Host, HostHealth, HostName, HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports.processes import Command, CommandResult, LineSink
from reconciler.ports.targets import Engine


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host said of itself when it was asked last."""

    user: str  #: whom we are there
    is_root: bool
    has_systemd: bool  #: systemd runs it
    tools: frozenset[str]  #: those of git, rsync, flock, curl, docker and compose that it has
    free_bytes: int | None = None  #: on the disk of deployments; None: it does not tell


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A key that a host showed, for a person to confirm."""

    key: str  #: ``ssh-ed25519 AAAA…``
    fingerprint: str  #: ``SHA256:…``, as ssh shows it


class Machine(Protocol):
    """One host. Threads may share it; all calls share one connection.

    Every call may raise:
        TargetUnreachable: there is no way to it now.
        HostKeyMismatch: it shows another key than the pinned ones; nothing was sent to it.
        HostKeyUnconfirmed: no key of it was ever pinned.
        HostRefused: it doesn't let us in.
        PreconditionFailed: ssh, rsync or git is missing at one end, or can't be used.
        Interrupted: ``cancel`` was set.
    """

    @property
    def name(self) -> HostName:
        """Its name here."""
        ...

    @property
    def health(self) -> HostHealth:
        """How reaching it went last: its last check, or a connection opened or lost since."""
        ...

    def check(self) -> HostFacts:
        """Ask what it is, over a connection that is shown to work."""
        ...

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
        fresh: bool = False,
    ) -> CommandResult:
        """Run ``command`` there, as ``CommandRunner`` does here.

        Its ``env`` is no place for secrets: it is part of the remote command line. Its ``stdin``
        is. ``cwd`` is a folder on the host; over SSH it is our home unless given. What a signal
        ended has its number as a negative exit status here, and added to 128 over SSH. What is
        stopped, or lost with the connection, may go on there until its time is over; whoever runs
        what has to outlive the connection runs it in a transient unit.
        A ``fresh`` one has a connection of its own, which shows that new ones can be made.
        """
        ...

    def send(
        self,
        source: Path,
        into: HostPath,
        *,
        log: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Make the folder ``into`` on the host hold exactly what the local folder ``source`` does.

        Modes and symbolic links that stay inside are kept, owners are not. Safe to repeat: it
        goes on where it was cut off.

        Raises:
            CommandFailed: it could not be written there; ``no space`` says so.
        """
        ...

    def write(self, path: HostPath, content: Secret, *, mode: int = 0o600) -> None:
        """Write one file whole, or not at all; its folder is there."""
        ...

    def push(self, repository: Path, commit: CommitSha, into: HostPath) -> None:
        """Bring ``commit`` from a bare repository here into the git repository ``into`` there.

        It is kept there as ``refs/reconciler/<commit>``; no branch and no file of it changes.
        """
        ...

    def engine(self) -> Engine:
        """Return the Docker engine of the host, looked at through the connection."""
        ...


class Machines(Protocol):
    """All hosts."""

    def get(self, name: HostName) -> Machine:
        """Return it; ``local`` is the daemon's own.

        Nothing is opened before it is asked for something. To be called anew for each deployment:
        a machine whose declaration has changed is another one, and the old one refuses.

        Raises:
            NotFound: no such host is declared.
        """
        ...

    def offered_keys(self, host: Host) -> Sequence[OfferedKey]:
        """Return the keys that ``host`` shows to somebody who knows none, strongest first.

        Nothing but the key exchange happens: no credential is shown to it.

        Raises:
            TargetUnreachable: it does not answer.
        """
        ...

    def forget(self, name: HostName) -> None:
        """Let go of the connection: what is declared of the host has changed."""
        ...


class HostStore(Protocol):
    """The hosts that were declared, and our keys to them."""

    def create_host(self, host: Host) -> None:
        """Add it. Raises ``AlreadyExists``, also where a cluster has that name."""
        ...

    def update_host(self, host: Host, seen: Host | None = None) -> None:
        """Replace the declaration that was ``seen``, or whatever there is; our key for it stays.

        Raises:
            NotFound: no such host.
            ChangedMeanwhile: it is declared otherwise by now.
        """
        ...

    def remove_host(self, name: HostName, seen: Host | None = None) -> None:
        """Delete it with our key.

        Raises:
            NotFound: no such host.
            Conflict: a project has a target on it. ``ChangedMeanwhile``: see ``update_host``.
        """
        ...

    def get_host(self, name: HostName) -> Host:
        """Return it. Raises ``NotFound``."""
        ...

    def list_hosts(self) -> Sequence[Host]:
        """Return all, by name."""
        ...

    def put_host_secret(
        self, name: HostName, key: Secret, now: datetime, seen: Host | None = None
    ) -> str:
        """Store our private key for it; return its fingerprint.

        Raises:
            NotFound: no such host.
            ChangedMeanwhile: see ``update_host``.
        """
        ...

    def find_host_secret(self, name: HostName) -> Secret | None:
        """Return our private key for it; None where there is none. Raises ``NotFound``."""
        ...
