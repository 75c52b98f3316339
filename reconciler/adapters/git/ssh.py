"""Git servers over SSH: dulwich's protocol through the system's ssh, with a host key we pinned."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from dulwich.client import SSHGitClient
from dulwich.protocol import Protocol
from dulwich.refs import Ref

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.git.http_client import ADVERTISEMENT_LIMIT_BYTES
from reconciler.adapters.git.refs import PROTOCOL_ERRORS, parse_tip
from reconciler.adapters.git.ssh_errors import failure
from reconciler.adapters.git.ssh_process import SshProcess, SshVendor
from reconciler.adapters.openssh import (
    LONGEST_SOCKET_PATH,
    STRICT_OPTIONS,
    algorithms,
    end_kept_connection,
    quoted,
    write_private_key,
)
from reconciler.adapters.timed_connections import resolve
from reconciler.domain.errors import (
    HostKeyMismatch,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceUnreachable,
)
from reconciler.domain.references import BranchName, CommitSha, GitUrl
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials

_KEPT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class HostKeys:
    """Where pinned host keys are remembered, each as ``ssh-ed25519 AAAA…`` by origin."""

    find: Callable[[str], str]  #: empty before first contact
    pin: Callable[[str, str], None]


class GitOverSsh:
    """Asks for tips, and makes the dulwich clients that fetch. Threads may share it.

    Private keys lie in ``folder`` for the time of one call, readable by nobody else; what a
    killed process left there goes when the next one begins.
    """

    def __init__(self, folder: Path, host_keys: HostKeys) -> None:
        """Use ``folder`` alone, which is made private."""
        self._folder = folder
        self._host_keys = host_keys
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for leftover in folder.glob("call-*"):
            shutil.rmtree(leftover)
        self.close()

    def tip(
        self,
        url: GitUrl,
        branch: BranchName,
        credentials: GitCredentials | None,
        deadline: Deadline,
    ) -> CommitSha | None:
        """Return the branch's tip; see ``GitRemote.tip``."""
        ref = Ref(branch.ref.encode())
        with self.client(url, credentials, deadline, ADVERTISEMENT_LIMIT_BYTES) as client:
            answer = client.get_refs(path_of(url).encode(), protocol_version=2, ref_prefix=[ref])
        sha = answer.refs.get(ref)
        return parse_tip(sha) if sha else None

    @contextmanager
    def client(
        self,
        url: GitUrl,
        credentials: GitCredentials | None,
        deadline: Deadline,
        limit_bytes: int,
    ) -> Iterator[SSHGitClient]:
        """Lend a client for one conversation; what goes wrong in the block is named.

        Raises:
            SourceError: whatever dulwich or ssh said.
        """
        login = self._login(url, credentials, deadline)
        call = Path(mkdtemp(prefix="call-", dir=self._folder))
        try:
            (call / "known_hosts").write_text(login.known_hosts)
            write_private_key(call / "key", login.private_key)
            vendor = SshVendor(self._argv(login, call), call, deadline, limit_bytes)
            client = _Client(url.host, vendor=vendor, thin_packs=False, quiet=True)
            try:
                yield client
            except (SourceError, *PROTOCOL_ERRORS) as error:
                named = _named(login, error, vendor.process)
                if isinstance(named, SourceUnreachable | HostKeyMismatch):
                    self._let_go(login)
                raise named from error
            finally:
                client.end()
                vendor.end()
                self._pin(login, call / "known_hosts")
        finally:
            shutil.rmtree(call, ignore_errors=True)

    def close(self) -> None:
        """Let every kept connection go."""
        for socket in self._folder.glob("kept-*"):
            end_kept_connection(socket, at_once=True)

    def _login(
        self, url: GitUrl, credentials: GitCredentials | None, deadline: Deadline
    ) -> "_Login":
        if credentials is None or credentials.ssh_key is None:
            message = f"{url}: SSH takes a private key, and there is none stored for {url.origin}"
            raise SourceDenied(message)
        if credentials.origin != url.origin:
            message = f"the credentials belong to {credentials.origin}, not to {url.origin}"
            raise SourceDenied(message)
        pinned = credentials.known_host_key or self._host_keys.find(url.origin)
        return _Login(url, credentials.ssh_key, pinned, _address_of(url, deadline))

    def _pin(self, login: "_Login", known_hosts: Path) -> None:
        """Keep the key that the host showed at first contact."""
        if not login.pinned and (shown := known_hosts.read_text().split()):
            self._host_keys.pin(login.url.origin, " ".join(shown[1:3]))

    def _argv(self, login: "_Login", call: Path) -> tuple[str, ...]:
        options = {
            **_FIXED_OPTIONS,
            # What was looked at is what is connected to: a second look-up might say otherwise.
            "HostName": login.address,
            "HostKeyAlias": login.url.host,
            "IdentityFile": quoted(call / "key"),
            "UserKnownHostsFile": quoted(call / "known_hosts"),
            # Without a pinned key the first one shown is written to our empty file; never another.
            "StrictHostKeyChecking": "yes" if login.pinned else "accept-new",
            **self._kept_connection(login),
        }
        if login.pinned:
            options["HostKeyAlgorithms"] = algorithms([login.pinned])
        return (
            *("ssh", "-F", "/dev/null", "-x", "-T", "-a"),
            *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
            *("-p", str(login.url.port or 22), "-l", login.url.user or "git"),
        )

    def _kept_connection(self, login: "_Login") -> dict[str, str]:
        socket = self._socket(login)
        if not login.pinned or len(str(socket).encode()) > LONGEST_SOCKET_PATH:
            return {"ControlMaster": "no", "ControlPath": "none"}
        return {
            "ControlMaster": "auto",
            "ControlPath": quoted(socket),
            "ControlPersist": str(_KEPT_SECONDS),
        }

    def _socket(self, login: "_Login") -> Path:
        """Name the connection after all that it was opened with."""
        with_all = "\0".join((str(login.url.user), login.url.origin, login.pinned))
        digest = hashlib.sha256(f"{with_all}\0{login.private_key.reveal()}".encode())
        return self._folder / f"kept-{digest.hexdigest()[:16]}"

    def _let_go(self, login: "_Login") -> None:
        """Don't use this connection again: it may be the reason. Others may still be in it."""
        if (socket := self._socket(login)).exists():
            end_kept_connection(socket, at_once=False)


class _Client(SSHGitClient):
    """dulwich's client, which forgets to close a conversation that ends before it began."""

    _protocol: Protocol | None = None

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        self.end()
        connected = super()._connect(cmd, path, protocol_version)
        self._protocol = connected[0]
        return connected

    def end(self) -> None:
        """Close what was opened last. Safe to repeat."""
        if self._protocol:
            self._protocol.close()


@dataclass(frozen=True, slots=True)
class _Login:
    """Whom we are to whom, for one call."""

    url: GitUrl
    private_key: Secret
    pinned: str
    address: str  #: where the host is

    @property
    def known_hosts(self) -> str:
        """The content of a known_hosts file that trusts the pinned key alone."""
        return f"{self.url.host} {self.pinned}\n" if self.pinned else ""


#: Nothing of the user's or the machine's configuration, and no agent.
_FIXED_OPTIONS = {
    **STRICT_OPTIONS,
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "PreferredAuthentications": "publickey",
    "ClearAllForwardings": "yes",
    "ProxyCommand": "none",
    "SetEnv": "GIT_PROTOCOL=version=2",
}


def _address_of(url: GitUrl, deadline: Deadline) -> str:
    """Return where the URL's host is. Raises ``SourceUnreachable``."""
    try:
        return resolve(url.host, url.port or 22, deadline.seconds_left())
    except OSError as error:
        message = f"{url}: {url.host} can't be reached: {error.strerror or error}"
        raise SourceUnreachable(message, host=url.host) from error


def path_of(url: GitUrl) -> str:
    """Return what the server is asked for; ``~`` forms are the login's home there."""
    return url.path if url.path.startswith("~") else f"/{url.path}"


def _named(login: _Login, error: Exception, process: SshProcess | None) -> SourceError:
    """Prefer what ssh or the server said on stderr; it knows why the stream ended."""
    timed_out = isinstance(error, SourceError) and not isinstance(error, SourceProtocolError)
    if not timed_out and process and (said := process.said()):
        return failure(login.url, said, login.pinned)
    if isinstance(error, SourceError):
        return error
    return SourceProtocolError(f"{login.url}: the answer breaks off, or is none of git: {error}")
