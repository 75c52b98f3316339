"""The bare repositories that this daemon keeps: served by git, read from disk."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from reconciler.adapters.git.binary import Git
from reconciler.adapters.git.compare import compare_on_disk
from reconciler.adapters.git.files import read_files
from reconciler.adapters.git.history import read_history
from reconciler.adapters.git.recording import record_files
from reconciler.domain.errors import (
    InvalidReference,
    NotFound,
    PreconditionFailed,
    SourceProtocolError,
)
from reconciler.domain.history import History
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    ProjectName,
    RepositoryPath,
    parse_project_name,
)
from reconciler.ports import CommandRunner, Comparison

PUSH_LIMIT_BYTES = 1 << 30
_SHARED = ".shared"
_MOST_LINKS = 5

# One file for all of them, so that what a newer version wants holds for old repositories too.
# `git config` quotes paths in double quotes, with backslashes before quotes and backslashes.
_CONFIG = """\
[core]
\thooksPath = "{hooks}"
\tlogAllRefUpdates = true
[receive]
\tdenyNonFastForwards = false
\tdenyDeletes = false
\tfsckObjects = true
\tmaxInputSize = {limit}
\tadvertisePushOptions = false
\tautogc = true
[transfer]
\tfsckObjects = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[http]
\treceivepack = true
[gc]
\tauto = 6700
\tautoDetach = true
[reconciler]
\tsocket = "{socket}"
"""


class BareRepositories:
    """``Repositories`` in one folder, each as ``NAME.git``. Threads may share it.

    Their hooks are ours alone, and lie outside of them: a push can't change what runs.
    """

    def __init__(
        self,
        folder: Path,
        runner: CommandRunner,
        *,
        hook: Path,
        socket: Path,
        push_limit_bytes: int = PUSH_LIMIT_BYTES,
    ) -> None:
        """Write the hook and the configuration that all repositories share.

        Args:
            folder: made if need be.
            runner: runs git.
            hook: the ``post-receive`` to install.
            socket: where the hook finds the daemon.
            push_limit_bytes: of one push.
        """
        self._folder = folder
        self._runner = runner
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        hooks = folder / _SHARED / "hooks"
        hooks.mkdir(parents=True, exist_ok=True)
        _write(hooks / "post-receive", hook.read_text(), mode=0o755)
        config = _CONFIG.format(
            hooks=_quoted(hooks.absolute()),
            socket=_quoted(socket.absolute()),
            limit=push_limit_bytes,
        )
        _write(folder / _SHARED / "config", config, mode=0o644)

    def create(self, name: ProjectName) -> Path:
        """Make an empty repository and return its folder. Atomic, and safe to repeat."""
        repository = self._path(name)
        if (repository / "HEAD").exists():
            return repository
        new = Path(mkdtemp(prefix=".new-", dir=self._folder))
        try:
            made = new / "made"
            git = Git(self._runner, made)
            git.create()
            git.output("config", "include.path", f"../{_SHARED}/config")
            git.output("config", "reconciler.repository", name)
            made.rename(repository)
        finally:
            shutil.rmtree(new)
        return repository

    def remove(self, name: ProjectName) -> None:
        """Delete it with all it holds. Safe to repeat."""
        repository = self._path(name)
        if repository.exists():
            # Out of sight in one step: nobody reads or pushes to half a repository.
            gone = Path(mkdtemp(prefix=".gone-", dir=self._folder))
            repository.rename(gone / "repository")
        for folder in self._folder.glob(".gone-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def names(self) -> Sequence[ProjectName]:
        """Return all there are, sorted."""
        found = []
        for entry in self._folder.glob("*.git"):
            try:
                found.append(parse_project_name(entry.name.removesuffix(".git")))
            except InvalidReference:
                continue
        return sorted(found)

    def path(self, name: ProjectName) -> Path:
        """Return its folder.

        Raises:
            NotFound: there is no such repository.
        """
        repository = self._path(name)
        if not (repository / "HEAD").exists():
            raise NotFound(
                f"there is no repository {name}; `reconciler repo list` shows all", repository=name
            )
        return repository

    def tip(self, name: ProjectName, branch: BranchName) -> CommitSha | None:
        """Return the branch's tip, read from disk in well under a millisecond; None without one.

        Raises:
            NotFound: there is no such repository.
        """
        return _read_ref(self.path(name), branch.ref)

    def branches(self, name: ProjectName) -> Mapping[BranchName, CommitSha]:
        """Return branch → tip, by name, of the branches whose name we accept.

        Raises:
            NotFound: there is no such repository.
        """
        git = Git(self._runner, self.path(name))
        listing = git.output("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/")
        found: dict[BranchName, CommitSha] = {}
        for commit, _, ref in (line.partition(" ") for line in listing.splitlines()):
            with suppress(InvalidReference):
                found[BranchName.parse(ref.removeprefix("refs/heads/"))] = CommitSha.parse(commit)
        return found

    def read_files(
        self, name: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, from disk."""
        return read_files(Git(self._runner, self.path(name)), commit, paths)

    def record(
        self,
        name: ProjectName,
        branch: BranchName,
        files: Mapping[RepositoryPath, bytes],
        message: str,
        at: datetime,
    ) -> CommitSha:
        """Make a branch hold exactly ``files``; see ``Repositories``."""
        return record_files(self.path(name), branch.ref, files, message, at)

    def compare(self, name: ProjectName, before: CommitSha, after: CommitSha) -> Comparison:
        """As ``GitRemote.compare``, from disk."""
        return compare_on_disk(Git(self._runner, self.path(name)), before, after)

    def history(self, name: ProjectName, tip: CommitSha, base: CommitSha) -> History:
        """As ``GitRemote.history``, from disk."""
        return read_history(Git(self._runner, self.path(name)), tip, base)

    def _path(self, name: ProjectName) -> Path:
        return self._folder / f"{name}.git"


def find_hook() -> Path:
    """Return the ``post-receive`` that came with us: in the package, or in a checkout's folder.

    Raises:
        PreconditionFailed: it is in neither; the installation is not whole.
    """
    package = Path(__file__).parents[2]
    places = (package / "post-receive", package.parent / "packaging" / "post-receive")
    for place in places:
        if place.is_file():
            return place
    raise PreconditionFailed("post-receive is missing from the installation", path=str(places[0]))


def _read_ref(repository: Path, ref: str) -> CommitSha | None:
    """Return what ``ref`` names: its own file, else its line in packed-refs, as git looks.

    Source: git's ``gitrepository-layout``, "refs" and "packed-refs". In that order a ref that is
    being packed is never missed: git writes packed-refs before it removes the file.
    """
    for _ in range(_MOST_LINKS):
        text = _read_loose(repository / ref)
        if text is None:
            return _read_packed(repository / "packed-refs", ref)
        if not text.startswith("ref: "):
            return _parse(text, ref)
        ref = text.removeprefix("ref: ").strip()
        if not ref.startswith("refs/heads/") or ".." in ref:
            break
    raise SourceProtocolError(f"{ref} in {repository.name} leads nowhere")


def _read_loose(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _read_packed(path: Path, ref: str) -> CommitSha | None:
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        return None
    end = packed.find(f" {ref}\n".encode())
    if end < 0:
        return None
    return _parse(packed[packed.rfind(b"\n", 0, end) + 1 : end].decode(), ref)


def _parse(text: str, ref: str) -> CommitSha:
    try:
        return CommitSha.parse(text)
    except InvalidReference:
        raise SourceProtocolError(f"{ref} is damaged: it names no commit") from None


def _write(path: Path, content: str, *, mode: int) -> None:
    """Write ``path`` in one step; a push may read it at any moment."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(content)
    new.chmod(mode)
    new.replace(path)


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
