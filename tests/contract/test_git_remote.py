"""``GitRemote`` against real git servers, over every transport that we speak."""

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import (
    HostKeyMismatch,
    InvalidComposeFile,
    RevisionNotFound,
    SourceDenied,
)
from reconciler.domain.references import BranchName, CommitSha, GitUrl, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials
from tests.parts.git_repository import Repository, run_git
from tests.parts.git_server import GitServer, Login
from tests.parts.sshd import Sshd

pytestmark = pytest.mark.needs_git

MAIN = BranchName("main")
NOWHERE = CommitSha("1" * 40)
COMPOSE = RepositoryPath("compose.yaml")
DEEP = RepositoryPath("deploy/app/compose.yaml")


@dataclass
class Place:
    """A repository on a running server, and a remote that may ask it."""

    server: GitServer | Sshd
    repository: Repository
    url: GitUrl
    credentials: GitCredentials | None
    remote: DulwichRemote
    pinned: dict[str, str]

    def tip(self, branch: BranchName = MAIN) -> CommitSha | None:
        return self.remote.tip(self.url, branch, self.credentials)

    def read(self, commit: CommitSha, *paths: RepositoryPath) -> dict[RepositoryPath, bytes]:
        return dict(self.remote.read_files(self.url, commit, paths, self.credentials))

    def commit(self, files: dict[str, str | bytes | None], **options: str) -> CommitSha:
        return CommitSha.parse(self.repository.commit(files, **options))


@pytest.fixture(
    params=[
        pytest.param("http"),
        pytest.param("https"),
        pytest.param("https with a login"),
        pytest.param("ssh", marks=pytest.mark.needs_sshd),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A server of each kind, with one repository."""
    login = Login("bob", "t0ken") if "login" in request.param else None
    server = (
        Sshd() if request.param == "ssh" else GitServer(login=login, tls="https" in request.param)
    )
    pinned: dict[str, str] = {}
    with server:
        repository = server.repository("team/web.git")
        url = GitUrl.parse(server.url("team/web.git"))
        remote = DulwichRemote(
            tmp_path / "git",
            LocalRunner("tests"),
            HostKeys(lambda origin: pinned.get(origin, ""), pinned.__setitem__),
            limit=timedelta(seconds=20),
            ca_file=server.ca_path if isinstance(server, GitServer) else None,
        )
        yield Place(server, repository, url, _credentials(server, url), remote, pinned)
        remote.close()


def _credentials(server: GitServer | Sshd, url: GitUrl) -> GitCredentials | None:
    if isinstance(server, Sshd):
        return GitCredentials(url.origin, ssh_key=Secret.of(server.key_path.read_text()))
    if server.login:
        return GitCredentials(url.origin, server.login.username, Secret.of(server.login.password))
    return None


asking_for_credentials = pytest.mark.parametrize(
    "place",
    ["https with a login", pytest.param("ssh", marks=pytest.mark.needs_sshd)],
    indirect=True,
)


def test_the_tip_follows_the_branch(place: Place) -> None:
    """Asked again and again, the answer is the commit that the branch names at that moment."""
    first = place.commit({"a": "1"})
    assert place.tip() == first
    second = place.commit({"a": "2"})
    assert place.tip() == second
    rewritten = place.commit({"a": "3"}, parent=first.text)
    assert place.tip() == rewritten


def test_only_the_very_branch_counts(place: Place) -> None:
    """Neither a longer name, nor one that ends so, nor a tag of the name is the branch."""
    commit = place.commit({"a": "1"}, branch="main-2")
    place.repository.git("update-ref", "refs/heads/a/refs/heads/main", commit.text)
    place.repository.git("update-ref", "refs/tags/main", commit.text)
    place.repository.git("update-ref", "refs/heads/mai", commit.text)
    assert place.tip() is None
    assert place.tip() is None
    assert place.tip(BranchName("main-2")) == commit


def test_an_empty_repository_has_no_tip(place: Place) -> None:
    """Before the first push a branch is absent, which is no error."""
    assert place.tip() is None
    assert place.tip() is None


def test_a_deleted_branch_is_absent(place: Place) -> None:
    """A branch that goes is told apart from every failure."""
    place.commit({"a": "1"}, branch="other")
    place.commit({"a": "1"})
    assert place.tip() is not None
    place.repository.git("update-ref", "-d", "refs/heads/main")
    assert place.tip() is None


def test_a_missing_repository_takes_a_person(place: Place) -> None:
    """No server says whether a repository is private or not there: someone has to look."""
    url = dataclasses.replace(place.url, path=f"{place.url.path}-nix")
    with pytest.raises(SourceDenied, match="nix"):
        place.remote.tip(url, MAIN, place.credentials)


def test_files_are_read_at_the_commit(place: Place) -> None:
    """Those there are come byte for byte; those missing, and folders, are left out."""
    old = place.commit({COMPOSE: b"a: \xff\n", DEEP: "b: 1\n", "big": os.urandom(3 << 20)})
    new = place.commit({COMPOSE: "a: 2\n"})
    wanted = (COMPOSE, DEEP, RepositoryPath("deploy"), RepositoryPath("no/such"))
    assert place.read(old, *wanted) == {COMPOSE: b"a: \xff\n", DEEP: b"b: 1\n"}
    assert place.read(new, *wanted) == {COMPOSE: b"a: 2\n", DEEP: b"b: 1\n"}


def test_files_over_their_limit_are_refused(place: Place) -> None:
    """A compose file of more than 1 MiB is none, however well it packs."""
    commit = place.commit({COMPOSE: bytes((1 << 20) + 1), DEEP: bytes(1 << 20)})
    with pytest.raises(InvalidComposeFile, match="1 MiB"):
        place.read(commit, COMPOSE)
    assert len(place.read(commit, DEEP)[DEEP]) == 1 << 20


@pytest.mark.parametrize(
    "mode", [pytest.param("120000", id="symlink"), pytest.param("160000", id="submodule")]
)
def test_what_is_no_file_is_refused(place: Place, mode: str) -> None:
    """A symlink or submodule where the compose file should be is an error that says so."""
    target = place.commit({"a": "1"})
    blob = run_git(
        "--git-dir", place.repository.path, "hash-object", "-w", "--stdin", stdin=b"/etc/passwd"
    )
    entry = target.text if mode == "160000" else blob
    line = f"{mode} {'commit' if mode == '160000' else 'blob'} {entry}\t{COMPOSE}\n"
    tree = place.repository.git("mktree", "--missing", stdin=line.encode())
    commit = CommitSha.parse(place.repository.git("commit-tree", "-m", "x", tree))
    place.repository.git("update-ref", "refs/heads/main", commit.text)
    with pytest.raises(InvalidComposeFile, match=r"symlink|submodule"):
        place.read(commit, COMPOSE)


def test_a_fetched_commit_is_whole(place: Place, tmp_path: Path) -> None:
    """Of a long history one commit comes, with all of its files, and git finds nothing wrong."""
    for number in range(5):
        place.commit({"a": str(number)})
    commit = place.commit({"b/c": os.urandom(200_000)})
    later = place.commit({"a": "later"})
    into = tmp_path / "bare.git"
    for wanted in (commit, commit, later):
        place.remote.fetch(place.url, wanted, into, place.credentials)
    assert run_git("--git-dir", into, "rev-list", "--count", "--all") == "2"
    assert run_git("--git-dir", into, "ls-tree", "-r", "--name-only", commit.text) == "a\nb/c"
    run_git("--git-dir", into, "fsck", "--full", "--strict")
    assert not list(into.glob("incoming-*"))


def test_a_commit_that_is_gone_is_named(place: Place, tmp_path: Path) -> None:
    """A commit that a forced push took away is an answer of its own, not a broken server."""
    place.commit({"a": "1"})
    with pytest.raises(RevisionNotFound, match="11111111"):
        place.read(NOWHERE, COMPOSE)
    with pytest.raises(RevisionNotFound, match="11111111"):
        place.remote.fetch(place.url, NOWHERE, tmp_path / "bare.git", place.credentials)


@asking_for_credentials
def test_wrong_credentials_are_denied(place: Place, tmp_path: Path) -> None:
    """A token or key that the server does not take is said so, and appears nowhere."""
    assert place.credentials
    place.commit({"a": "1"})
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True
    )
    wrong = dataclasses.replace(
        place.credentials,
        token=Secret.of("wr0ng-token"),
        ssh_key=Secret.of((tmp_path / "other").read_text()),
    )
    with pytest.raises(SourceDenied) as raised:
        place.remote.tip(place.url, MAIN, wrong)
    shown = f"{raised.value} {raised.value.evidence}"
    assert "wr0ng" not in shown
    assert "PRIVATE" not in shown


@asking_for_credentials
def test_missing_credentials_are_denied(place: Place) -> None:
    """A server that asks for credentials, and gets none, says that they are needed."""
    assert place.credentials
    with pytest.raises(SourceDenied):
        place.remote.tip(place.url, MAIN, None)


@asking_for_credentials
def test_credentials_stay_with_their_origin(place: Place) -> None:
    """Credentials that belong elsewhere are not even tried."""
    assert place.credentials
    elsewhere = dataclasses.replace(place.credentials, origin="https://elsewhere.example")
    with pytest.raises(SourceDenied, match=r"elsewhere\.example"):
        place.remote.tip(place.url, MAIN, elsewhere)
    if isinstance(place.server, GitServer):
        assert place.server.requests == []


def test_nothing_of_a_key_stays_behind(place: Place, tmp_path: Path) -> None:
    """After any call no file holds a private key or a token."""
    place.commit({"a": "1"})
    place.tip()
    with pytest.raises(RevisionNotFound):
        place.read(NOWHERE, COMPOSE)
    kept = [path for path in (tmp_path / "git").rglob("*") if path.is_file()]
    assert kept == []


@pytest.mark.needs_sshd
@pytest.mark.parametrize("place", ["ssh"], indirect=True)
def test_another_host_key_is_never_accepted(place: Place, tmp_path: Path) -> None:
    """The key of first contact is pinned; another one is refused with both fingerprints."""
    assert isinstance(place.server, Sshd)
    commit = place.commit({"a": "1"})
    assert place.tip() == commit
    assert place.pinned == {place.url.origin: place.server.host_key}
    place.remote.close()
    place.server.change_host_key()
    for _ in range(2):
        with pytest.raises(HostKeyMismatch) as raised:
            place.tip()
        expected, observed = raised.value.evidence["expected"], raised.value.evidence["observed"]
        assert expected.startswith("SHA256:")
        assert observed.startswith("SHA256:")
        assert expected != observed
    assert place.pinned[place.url.origin] != place.server.host_key
