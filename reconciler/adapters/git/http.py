"""Tips of branches over HTTP(S): a poll is one small request over a kept connection."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from dulwich.refs import Ref

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.git.http_client import (
    ADVERTISEMENT_LIMIT_BYTES,
    ADVERTISEMENT_TYPE,
    REFS_TAIL,
    REQUEST_TYPE,
    RESULT_TYPE,
    BoundedHttpClient,
)
from reconciler.adapters.git.refs import (
    find_in_advertisement,
    find_in_ls_refs,
    ls_refs_request,
    named_errors,
    parse_tip,
)
from reconciler.adapters.git.visit import Visit, authorization, check_type
from reconciler.domain.errors import SourceDenied, SourceProtocolError, SourceRedirected
from reconciler.domain.references import BranchName, CommitSha, GitUrl
from reconciler.ports import Clock, GitCredentials

#: One ref is 100 bytes; as a prefix, a short name may match thousands.
LS_REFS_LIMIT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What first contact told of one repository."""

    base: str  #: where it is, redirects within its origin followed; ends with a slash
    version: int
    object_format: str


class GitOverHttp:
    """Asks for tips, and makes the dulwich clients that fetch. Threads may share it."""

    def __init__(self, pool: urllib3.PoolManager, clock: Clock) -> None:
        """Speak over the kept connections of ``pool``."""
        self._pool = pool
        self._clock = clock
        self._learnt: dict[GitUrl, _Learnt] = {}
        self._lock = threading.Lock()

    def tip(
        self,
        url: GitUrl,
        branch: BranchName,
        credentials: GitCredentials | None,
        deadline: Deadline,
    ) -> CommitSha | None:
        """Return the branch's tip; see ``GitRemote.tip``."""
        visit = Visit(self._pool, url, authorization(url, credentials), deadline, self._clock)
        if learnt := self._learnt.get(url):
            try:
                return _ask(visit, learnt, branch)
            except (SourceProtocolError, SourceRedirected, SourceDenied):
                # What we knew may be out of date: a move, another server, a connection gone stale.
                self._forget(url)
        return self._first_contact(visit, branch)

    @contextmanager
    def client(
        self,
        url: GitUrl,
        credentials: GitCredentials | None,
        deadline: Deadline,
        limit_bytes: int,
    ) -> Iterator[BoundedHttpClient]:
        """Lend a client of at most ``limit_bytes`` an answer; what goes wrong is named.

        Raises:
            SourceError: whatever dulwich, the server or the way there said.
        """
        visit = Visit(self._pool, url, authorization(url, credentials), deadline, self._clock)
        with named_errors(url):
            yield BoundedHttpClient(visit, limit_bytes)

    def _first_contact(self, visit: Visit, branch: BranchName) -> CommitSha | None:
        client = BoundedHttpClient(visit, LS_REFS_LIMIT_BYTES)
        ref = Ref(branch.ref.encode())
        with named_errors(visit.url):
            answer = client.get_refs(b"", protocol_version=2, ref_prefix=[ref])
        learnt = _Learnt(client.base, client.protocol_version, answer.object_format or "sha1")
        with self._lock:
            self._learnt[visit.url] = learnt
        sha = answer.refs.get(ref)
        return parse_tip(sha) if sha else None

    def _forget(self, url: GitUrl) -> None:
        with self._lock:
            self._learnt.pop(url, None)


def _ask(visit: Visit, learnt: _Learnt, branch: BranchName) -> CommitSha | None:
    """Ask once, in the way that first contact found to work."""
    if learnt.version == 2:
        headers = {"Content-Type": REQUEST_TYPE, "Accept": RESULT_TYPE, "Git-Protocol": "version=2"}
        body = ls_refs_request(branch, learnt.object_format)
        response = visit.post(f"{learnt.base}git-upload-pack", headers, body)
        check_type(visit.url, response, RESULT_TYPE)
        return find_in_ls_refs(visit.read(response, LS_REFS_LIMIT_BYTES), branch)
    response, _ = visit.get(learnt.base + REFS_TAIL, {"Accept": "*/*"})
    check_type(visit.url, response, ADVERTISEMENT_TYPE)
    return find_in_advertisement(visit.read(response, ADVERTISEMENT_LIMIT_BYTES), branch)
