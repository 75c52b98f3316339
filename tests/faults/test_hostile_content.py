"""T40: content that is small and becomes large: aliases, nesting, packs, archives.

The figures: at most 100 MB more memory and 10 s for each, whatever it is, and a refusal.
"""

import base64
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.documents import BoundedDocuments
from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.fetch import FetchLimits
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.project import ExternalSource
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    RepositoryPath,
)
from tests.parts.git_server import GitServer
from tests.parts.web_client import WebDaemon

MEMORY_BYTES = 100 << 20
SECONDS = 10.0
COMPOSE = RepositoryPath("compose.yaml")


@contextmanager
def stays_small(pid: int | str = "self") -> Iterator[None]:
    """The block takes no more memory at its peak, and no more work of the process's and others."""
    process = Path("/proc", str(pid))
    (process / "clear_refs").write_text("5")  # the peak counts from now on; see proc(5)
    before, began = _bytes(process, "VmRSS"), _seconds(process)
    yield
    assert _seconds(process) - began < SECONDS
    assert _bytes(process, "VmHWM") - before < MEMORY_BYTES


def _bytes(process: Path, field: str) -> int:
    status = (process / "status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def _seconds(process: Path) -> float:
    """Return what it has worked so far: others that use the machine meanwhile don't count."""
    numbers = (process / "stat").read_text().rpartition(") ")[2].split()[11:15]
    return sum(map(int, numbers)) / os.sysconf("SC_CLK_TCK")


def refusal(read: Callable[[], object]) -> str:
    """Return why it is not read; empty where it is. Any other error is a bug."""
    try:
        read()
    except ReconcilerError as refused:
        return refused.message
    return ""


# ── Files that are read here ──────────────────────────────────────────────────────────────────


def aliases(levels: int, each: int) -> str:
    """Return a file that names ``each ** levels`` values."""
    lines = [f"a0: &a0 [{', '.join(['x'] * each)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * each)}]" for n in range(1, levels)]
    return "\n".join([*lines, "services: {web: {image: busybox}}"])


def merges(levels: int) -> str:
    """Return a file whose merge keys double what they merge on each line."""
    lines = ["x0: &x0 {k: v}"]
    lines += [
        f"x{n}: &x{n} {{<<: [*x{n - 1}, *x{n - 1}], k{n}: *x{n - 1}}}" for n in range(1, levels)
    ]
    return "\n".join([*lines, "services: {web: {image: busybox}}"])


SMALL = "services: {web: {image: busybox}}\n"
YAML: dict[str, str | bytes] = {
    "287 bytes of aliases": aliases(7, 9),
    "a thousand million laughs": aliases(10, 9),
    "an alias of itself": "a: &a [*a]\nservices: {web: {image: *a}}",
    "merge keys": merges(30),
    "nested lists": "services: " + "[" * 200_000,
    "nested maps": "{a: " * 100_000,
    "nested blocks": "\n".join(f"{' ' * depth}a:" for depth in range(1400)),
    "indentation": "\n".join(f"{' ' * depth}-" for depth in range(1400)),
    "many keys": SMALL + "\n".join(f"k{number}: 1" for number in range(30_000)),
    "many anchors": SMALL + "\n".join(f"k{number}: &a{number} 1" for number in range(60_000)),
    "many documents": "---\n" * 200_000 + SMALL,
    "many directives": "%TAG ! x\n" * 100_000,
    "one long word": SMALL + "x: " + "a" * 1_000_000,
    "one long number": SMALL + "x: " + "9" * 1_000_000,
    "one long quote": SMALL + 'x: "' + "\\" * 1_000_000,
    "a long key": SMALL + "? " + "a" * 1_000_000,
    "question marks": "? " * 400_000,
    "tags": "!" * 900_000,
    "open quotes": "'" * 900_001,
    "flow commas": "[" + "," * 900_000,
    "a float": SMALL + "x: 1e999999999",
    "a sexagesimal number": SMALL + "x: " + ":".join(["59"] * 200_000),
    "a date": SMALL + "x: 9999-99-99",
    "bytes of no text": b"\xff\xfe" + b"\x00\xd8" * 300_000,
    "2 MB": SMALL + "#" * (2 << 20),
}


#: As long as others, and read the same way.
ALIKE = ("one long word", "one long number", "a long key", "a sexagesimal number", "open quotes")


@pytest.mark.parametrize(
    "name",
    [
        *(n for n in YAML if n not in ALIKE),
        *(pytest.param(n, marks=pytest.mark.slow) for n in ALIKE),
    ],
)
def test_t40_a_compose_file_that_grows(name: str) -> None:
    """Read or refused, within its bounds: what is left of it is no larger than it looks."""
    content = YAML[name]
    raw = content.encode() if isinstance(content, str) else content
    with stays_small():
        said = refusal(lambda: RuamelComposeReader().read(raw))
    assert len(said) < 2000


DEEP = 100_000
DOCUMENTS: dict[str, tuple[DocumentForm, str]] = {
    "JSON, nested": (DocumentForm.JSON, "[" * DEEP + "]" * DEEP),
    "JSON, maps": (DocumentForm.JSON, '{"a":' * DEEP + "1" + "}" * DEEP),
    "JSON, a long number": (DocumentForm.JSON, '{"a": ' + "9" * 900_000 + "}"),
    "TOML, nested": (DocumentForm.TOML, "a = " + "[" * DEEP + "]" * DEEP),
    "TOML, dotted": (DocumentForm.TOML, ".".join(["a"] * DEEP) + " = 1"),
    "TOML, tables": (DocumentForm.TOML, "\n".join(f"[a{n}]" for n in range(100_000))),
    "TOML, a long number": (DocumentForm.TOML, "a = " + "9" * 900_000),
    "YAML, aliases": (DocumentForm.YAML, aliases(10, 9)),
    "YAML, merge keys": (DocumentForm.YAML, merges(30)),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_t40_a_fleet_file_that_grows(name: str) -> None:
    """The same for what an operator, or a repository of the fleet's, hands over."""
    form, text = DOCUMENTS[name]
    with stays_small():
        said = refusal(lambda: BoundedDocuments().read(text.encode(), form))
    assert len(said) < 2000


# ── Packs ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def large_file(folder: Path, megabytes: int) -> Iterator[tuple[DulwichRemote, GitUrl, CommitSha]]:
    """Give a commit with a file of zeros, a thousandth of which is sent, and where it is."""
    keys = HostKeys(lambda _: "", lambda *_: None)
    limit = timedelta(seconds=60)
    remote = DulwichRemote(folder / "g", LocalRunner("tests"), keys, limit=limit)
    with GitServer() as server:
        repository = server.repository("team/web.git")
        repository.git("config", "uploadpack.allowFilter", "false")
        files: dict[str, str | bytes | None] = {COMPOSE: SMALL, "bomb": bytes(megabytes << 20)}
        commit = CommitSha(repository.commit(files))
        yield remote, GitUrl.parse(server.url("team/web.git")), commit
    remote.close()


@pytest.mark.needs_git
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_t40_a_large_file_beside_what_is_read(tmp_path: Path) -> None:
    """A gigabyte of it is never whole in our memory. Its short version is of 70 MB, elsewhere."""
    with large_file(tmp_path, 1024) as (remote, url, commit), stays_small():
        assert remote.read_files(url, commit, [COMPOSE]) == {COMPOSE: SMALL.encode()}


@pytest.mark.needs_git
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "megabytes", [pytest.param(120, id="short"), pytest.param(1024, marks=pytest.mark.slow)]
)
def test_t40_a_large_file_in_a_small_pack(tmp_path: Path, megabytes: int) -> None:
    """Brought here and read from, it is never whole in our memory either."""
    runner, web = LocalRunner("tests"), ProjectName("web")
    kept = BareRepositories(tmp_path / "h", runner, hook=find_hook(), socket=tmp_path / "s")
    with large_file(tmp_path, megabytes) as (remote, url, commit):
        checkouts = GitCheckouts(tmp_path / "c", runner, remote, kept)
        with stays_small():
            checkouts.fetch(web, ExternalSource(url, BranchName("main")), commit, None)
            assert checkouts.read_files(web, commit, [COMPOSE]) == {COMPOSE: SMALL.encode()}


@pytest.mark.needs_git
def test_t40_a_pack_over_its_quota(tmp_path: Path) -> None:
    """It is cut off when it is over, not when it is whole; nothing of it stays."""
    keys = HostKeys(lambda _: "", lambda *_: None)
    limits = FetchLimits(pack_bytes=1 << 20)
    remote = DulwichRemote(tmp_path / "g", LocalRunner("tests"), keys, fetch_limits=limits)
    with GitServer() as server:
        files: dict[str, str | bytes | None] = {"noise": os.urandom(6 << 20)}
        commit = CommitSha(server.repository("team/web.git").commit(files))
        url, into = GitUrl.parse(server.url("team/web.git")), tmp_path / "web.git"
        with stays_small(), pytest.raises(ReconcilerError):
            remote.fetch(url, commit, into)
    remote.close()
    left = sum(file.stat().st_size for file in into.rglob("*") if file.is_file())
    assert left < 2 << 20


# ── Bodies ────────────────────────────────────────────────────────────────────────────────────


def _zip(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(size))
    return packed.getvalue()


def _tar(size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("a")
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))
    return packed.getvalue()


def _gzip(size: int) -> bytes:
    return gzip.compress(bytes(10 << 20), 9) * (size // (10 << 20))


BOMBS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "gzip": ("gzip", _gzip),
    "deflate": ("deflate", lambda size: zlib.compress(bytes(size), 9)),
    "zip": ("zip", _zip),
    "tar": ("x-gzip", _tar),
}


@pytest.mark.needs_git
@pytest.mark.parametrize(
    ("kind", "megabytes"),
    [
        pytest.param("gzip", 200, id="short"),
        *(pytest.param(kind, 900, id=kind, marks=pytest.mark.slow) for kind in BOMBS),
    ],
)
def test_t40_a_body_that_unpacks_to_far_more(daemon: WebDaemon, kind: str, megabytes: int) -> None:
    """To the API, a webhook, and a hosted repository: refused, and the daemon stays as it was."""
    name, (encoding, pack) = f"bomb-{kind}-{megabytes}", BOMBS[kind]
    token, content = daemon.make_repository(name), pack(megabytes << 20)
    of_git = {"authorization": f"Basic {base64.b64encode(f'any:{token}'.encode()).decode()}"}
    with stays_small(daemon.child.pid):
        for path, media_type in (
            ("/api/v1/projects", "application/json"),
            ("/webhook/nobody", "application/json"),
            (f"/git/{name}.git/git-receive-pack", "application/x-git-receive-pack-request"),
            (f"/git/{name}.git/git-upload-pack", "application/x-git-upload-pack-request"),
        ):
            answer = (daemon.local if path.startswith("/api") else daemon.remote()).post(
                path,
                content=content,
                headers={"content-type": media_type, "content-encoding": encoding, **of_git},
            )
            told = path, answer.status_code, answer.text[:200]
            # git's own programs answer in git's own way: 200, and what is wrong.
            assert 400 <= answer.status_code < 500 or path.startswith("/git"), told
    assert not _moved(daemon, name)
    assert daemon.local.get("/api/version").status_code == 200


def _moved(daemon: WebDaemon, name: str) -> bool:
    """Tell whether anything was pushed."""
    packed = daemon.folder / "data" / "repositories" / f"{name}.git" / "refs" / "heads"
    return any(packed.iterdir())
