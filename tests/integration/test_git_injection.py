"""Hostile names that got past every parser still run nothing: the second line of defence."""

from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.project import HostedSource
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitScheme,
    GitUrl,
    ProjectName,
    RepositoryPath,
)
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer
from tests.parts.sshd import Sshd

pytestmark = [pytest.mark.needs_git, pytest.mark.needs_sshd]

WEB = ProjectName("web")
PATTERNS = (
    "--upload-pack=touch {marker}",
    "--output={marker}",
    "-oProxyCommand=touch {marker}",
    "$(touch {marker})",
    "'; touch {marker}; '",
    "ext::sh -c touch% {marker}",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_nothing_is_executed(pattern: str, tmp_path: Path) -> None:
    """As branch, path, commit, user or host, over HTTP, SSH and on disk: no file appears."""
    marker = tmp_path / "executed"
    text = pattern.format(marker=marker)
    runner = LocalRunner("tests")
    hosted = BareRepositories(tmp_path / "h", runner, hook=find_hook(), socket=tmp_path / "s")
    remote = DulwichRemote(tmp_path / "g", runner, HostKeys(lambda _: "", lambda *_: None))
    checkouts = GitCheckouts(tmp_path / "c", runner, remote, hosted)
    with GitServer() as server, Sshd() as sshd:
        good = CommitSha(server.repository("web.git").commit({"a": "1"}))
        sshd.repository("web.git").commit({"a": "1"})
        Repository(hosted.create(WEB)).commit({"a": "1"})
        key = Secret.of(sshd.key_path.read_text())
        over_http, over_ssh = GitUrl.parse(server.url("web.git")), GitUrl.parse(sshd.url("web.git"))
        urls = [over_http, over_ssh]
        urls += [GitUrl(GitScheme.SSH, "127.0.0.1", sshd.port, sshd.user, text)]
        urls += [GitUrl(GitScheme.SSH, "127.0.0.1", sshd.port, text, over_ssh.path)]
        urls += [GitUrl(GitScheme.SSH, text, None, "git", "web.git")]
        urls += [GitUrl(GitScheme.HTTP, over_http.host, over_http.port, None, text)]
        for url in urls:
            # Where the address is hostile, the branch need not be.
            branch = BranchName(text if url in {over_http, over_ssh} else "main")
            with suppress(ReconcilerError, ValueError):
                remote.tip(url, branch, GitCredentials(url.origin, ssh_key=key))
        for url in (over_http, over_ssh):
            credentials = GitCredentials(url.origin, ssh_key=key)
            with suppress(ReconcilerError, ValueError):
                remote.read_files(url, good, [RepositoryPath(text)], credentials)
            with suppress(ReconcilerError, ValueError):
                remote.fetch(url, CommitSha(text), tmp_path / "bare.git", credentials)
    for hostile in (CommitSha(text), good):
        with suppress(ReconcilerError, ValueError):
            hosted.read_files(WEB, hostile, [RepositoryPath(text)])
        with suppress(ReconcilerError, ValueError):
            checkouts.fetch(WEB, HostedSource(WEB, BranchName(text)), hostile, None)
        with suppress(ReconcilerError, ValueError):
            checkouts.switch(WEB, hostile)
        with suppress(ReconcilerError, ValueError):
            checkouts.keep(WEB, [hostile])
    remote.close()
    assert not marker.exists()
