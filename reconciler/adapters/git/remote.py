"""Git servers elsewhere: the ``GitRemote`` that speaks HTTP(S) and SSH, always within limits."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from dulwich.client import GitClient
from dulwich.objects import ObjectID

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.git.compare import compare_elsewhere
from reconciler.adapters.git.fetch import Fetcher, FetchLimits, Wanted
from reconciler.adapters.git.history import receive_history
from reconciler.adapters.git.http import GitOverHttp
from reconciler.adapters.git.ssh import GitOverSsh, HostKeys
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.timed_connections import timed_pool
from reconciler.domain.history import History
from reconciler.domain.references import BranchName, CommitSha, GitScheme, GitUrl, RepositoryPath
from reconciler.ports import CommandRunner, Comparison, GitCredentials

DEFAULT_LIMIT = timedelta(seconds=30)


class DulwichRemote:
    """``GitRemote`` on dulwich. Threads may share it; connections are kept between calls.

    ``close`` ends what is kept. Nothing is read from the environment: no proxies, no credentials.
    """

    def __init__(
        self,
        folder: Path,
        runner: CommandRunner,
        host_keys: HostKeys,
        *,
        limit: timedelta = DEFAULT_LIMIT,
        fetch_limits: FetchLimits | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Make ready; nothing is asked of anyone yet.

        Args:
            folder: a private one, for sockets and for keys while they are in use. Connections
                over SSH are kept only where its path is short (some 70 bytes).
            runner: runs git on packs that were received.
            host_keys: where the keys of SSH servers are pinned.
            limit: for a whole ``tip``, ``read_files``, ``compare`` or ``history``, whatever the
                server does.
            fetch_limits: for what is fetched.
            ca_file: authorities (PEM) trusted instead of the system's.
        """
        self._limit = limit
        self._fetch_limits = fetch_limits or FetchLimits()
        self._pool = timed_pool(ca_file=ca_file)
        self._http = GitOverHttp(self._pool, SystemClock())
        self._ssh = GitOverSsh(folder / "ssh", host_keys)
        self._fetcher = Fetcher(self._lend, runner, folder, self._fetch_limits)

    def tip(
        self, url: GitUrl, branch: BranchName, credentials: GitCredentials | None = None
    ) -> CommitSha | None:
        """Return the branch's tip; see ``GitRemote``."""
        server = self._ssh if url.scheme is GitScheme.SSH else self._http
        return server.tip(url, branch, credentials, Deadline.after(self._limit))

    def read_files(
        self,
        url: GitUrl,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those of ``paths`` that are regular files; see ``GitRemote``.

        Where a server sends all files although only some were asked for, and they are over
        32 MiB, they are fetched to the disk, within ``FetchLimits``.
        """
        wanted = Wanted(url, commit, credentials, Deadline.after(self._limit))
        return self._fetcher.read_files(wanted, paths)

    def compare(
        self,
        url: GitUrl,
        before: CommitSha,
        after: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> Comparison:
        """Return how ``after`` differs from ``before``; see ``GitRemote``, and `read_files`."""
        wanted = Wanted(url, after, credentials, Deadline.after(self._limit))
        return compare_elsewhere(self._fetcher, wanted, before)

    def fetch(
        self, url: GitUrl, commit: CommitSha, into: Path, credentials: GitCredentials | None = None
    ) -> None:
        """Bring ``commit`` into ``into``, and keep it there; see ``GitRemote``."""
        wanted = Wanted(url, commit, credentials, Deadline.after(self._fetch_limits.time))
        self._fetcher.fetch(wanted, into)

    def history(
        self,
        url: GitUrl,
        tip: CommitSha,
        base: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> History:
        """Return the commits between; see ``GitRemote``."""
        wanted = Wanted(url, tip, credentials, Deadline.after(self._limit))

        def receive(objects: list[ObjectID], depth: int) -> bytes:
            return self._fetcher.receive(wanted, objects, filter_spec=b"tree:0", depth=depth)

        return receive_history(receive, tip, base)

    def close(self) -> None:
        """Let every kept connection go."""
        self._pool.clear()
        self._ssh.close()

    @contextmanager
    def _lend(
        self,
        url: GitUrl,
        credentials: GitCredentials | None,
        deadline: Deadline,
        limit_bytes: int,
    ) -> Iterator[GitClient]:
        server = self._ssh if url.scheme is GitScheme.SSH else self._http
        with server.client(url, credentials, deadline, limit_bytes) as client:
            yield client
