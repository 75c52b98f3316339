"""Bare git repositories, and commits made in them without a work tree."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: Nothing of the machine's or the user's configuration, and one author: runs repeat themselves.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.test",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.test",
}
FIRST_COMMIT_AT = 1_700_000_000


class GitFailed(Exception):
    """A git command ended with another status than 0; the message holds what it said."""


class Repository:
    """A bare repository; its default branch is ``main``."""

    def __init__(self, path: Path) -> None:
        """Make an empty one at ``path``, or take the one that is there."""
        self.path = path
        self._commits = 0
        if not (path / "HEAD").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run_git("init", "--quiet", "--bare", "--initial-branch=main", path)
            # What forges allow: a fetch of a commit that no branch names any more.
            self.git("config", "uploadpack.allowAnySHA1InWant", "true")
            self.git("config", "uploadpack.allowFilter", "true")

    def git(self, *arguments: str | Path, stdin: bytes | None = None) -> str:
        """Run git in the repository and return what it printed, without the last line break."""
        return run_git("--git-dir", self.path, *arguments, stdin=stdin)

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "change",
        branch: str = "main",
        *,
        parent: str | None = None,
    ) -> str:
        """Commit ``files`` on top of ``branch`` and return the sha.

        A file that is None is deleted, one that starts with ``#!`` is executable. Another
        ``parent`` than the branch's tip makes it a forced push; ``""`` makes a root commit.
        """
        self._commits += 1
        if parent is None:
            parent = self.find_tip(branch) or ""
        text = message.encode()
        at = FIRST_COMMIT_AT + self._commits
        lines = [
            b"feature done",
            f"commit refs/heads/{branch}".encode(),
            f"committer Test <test@example.test> {at} +0000".encode(),
            f"data {len(text)}".encode(),
            text,
        ]
        if parent:
            lines.append(f"from {parent}".encode())
        for path, content in files.items():
            lines += _change(path, content)
        lines += [b"", b"done", b""]
        self.git("fast-import", "--quiet", "--force", stdin=b"\n".join(lines))
        return self.tip(branch)

    def tip(self, branch: str = "main") -> str:
        """Return the commit at the tip of ``branch``."""
        return self.git("rev-parse", "--verify", f"refs/heads/{branch}")

    def find_tip(self, branch: str) -> str | None:
        """Return the commit at the tip of ``branch``, or None where there is no such branch."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def add_refs(self, count: int, prefix: str = "refs/heads/many") -> None:
        """Add ``count`` branches at main's tip at once; 100,000 take well under a second."""
        self.git("pack-refs", "--all")
        packed = self.path / "packed-refs"
        tip = self.tip()
        entries = {
            line.split(" ", 1)[1]: line
            for line in packed.read_text().splitlines()
            if line and line[0] not in "#^"
        }
        for number in range(count):
            name = f"{prefix}/{number:06}"
            entries[name] = f"{tip} {name}"
        header = "# pack-refs with: peeled fully-peeled sorted \n"
        packed.write_text(header + "".join(f"{entries[name]}\n" for name in sorted(entries)))


def run_git(
    *arguments: str | Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run git apart from this machine's configuration; return what it printed.

    ``env`` is added to the environment, e.g. ``GIT_SSH_COMMAND`` or ``GIT_SSL_CAINFO``.

    Raises:
        GitFailed: it did not end with 0.
    """
    done = subprocess.run(
        ["git", *map(str, arguments)],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=120,
        env={**environment(), **(env or {})},
        check=False,
    )
    if done.returncode:
        what = " ".join(map(str, arguments))
        raise GitFailed(f"git {what}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").strip()


def environment() -> dict[str, str]:
    """Return this process's environment with git's part of it replaced by ours."""
    apart = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**apart, **ENVIRONMENT}


def _change(path: str, content: str | bytes | None) -> list[bytes]:
    if content is None:
        return [f"D {path}".encode()]
    data = content.encode() if isinstance(content, str) else content
    mode = "100755" if data.startswith(b"#!") else "100644"
    return [f"M {mode} inline {path}".encode(), f"data {len(data)}".encode(), data]
