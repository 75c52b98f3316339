"""The git program, told to trust nothing that it finds: no configuration, hooks or helpers."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.process import check
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, CommandRunner

#: A commit that is whole in a repository of ours has a ref below this, named by its id.
KEPT_REFS = "refs/kept/"

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.bigFileThreshold": "16m",  # larger files are streamed, never held in memory
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
}
_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}


class Git:
    """Runs git in one repository of ours."""

    def __init__(self, runner: CommandRunner, repository: Path) -> None:
        """Work in the bare repository ``repository``, which may not exist yet."""
        self._runner = runner
        self.repository = repository

    def run(
        self,
        *arguments: str,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: timedelta = timedelta(minutes=10),
    ) -> CommandResult:
        """Run git to its end, whatever that is; paths and ids in ``arguments`` are ours.

        Raises:
            PreconditionFailed: git is not installed.
            CommandFailed: it wrote more than 32 MiB.
        """
        settings = {**_CONFIG, **(config or {})}
        options = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        command = Command(
            argv=("git", *options, *arguments),
            env={**_ENVIRONMENT, "GIT_DIR": str(self.repository), **(env or {})},
            stdin=None if stdin is None else Secret.of(stdin),
            timeout=timeout,
            output_limit_bytes=32 << 20,
        )
        return self._runner.run(command)

    def output(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Return what git prints.

        Raises:
            CommandFailed: it ended with another status than 0.
        """
        return check(self.run(*arguments, env=env)).stdout

    def create(self, object_format: str = "sha1") -> None:
        """Make the bare repository if it is not there. Atomic, and safe to repeat."""
        if (self.repository / "HEAD").exists():
            return
        self.repository.parent.mkdir(parents=True, exist_ok=True)
        new = self.repository.with_name(f".{self.repository.name}.new-{os.getpid()}")
        arguments = ("--quiet", "--bare", "--template=", "--initial-branch=main")
        made = Git(self._runner, new)
        check(made.run("init", *arguments, f"--object-format={object_format}", "--", str(new)))
        new.rename(self.repository)

    def has(self, commit: CommitSha) -> bool:
        """Tell whether ``commit`` was brought here whole."""
        kept = self.repository / KEPT_REFS / commit.text
        return (
            kept.exists() or self.run("show-ref", "--verify", "--quiet", KEPT_REFS + commit.text).ok
        )

    def keep(self, commit: CommitSha) -> None:
        """Mark ``commit`` as whole, and hold on to it.

        Raises:
            CommandFailed: something that it names is missing.
        """
        self.output("rev-list", "--objects", "--quiet", "--max-count=1", commit.text, "--")
        self.output("update-ref", KEPT_REFS + commit.text, commit.text)


def object_format_of(commit: CommitSha) -> str:
    """Return the object format that ids of this length belong to."""
    return "sha256" if len(commit.text) == 64 else "sha1"


def split_z(output: str) -> Sequence[str]:
    """Return the parts of ``-z`` output."""
    return output.split("\0")[:-1]
