"""What the scripts for hosts do where a container put a link into the work tree that it has."""

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.ports import Command
from reconciler.strategies.compose.on_host.shell import script_command

pytestmark = pytest.mark.needs_git

FILES = "for name in repository.git source/.deploy elsewhere; do mkdir -p $name; done"
COMMIT = (
    "git init --quiet --bare && export GIT_DIR=. && git read-tree --empty && "
    "git update-index --add --cacheinfo 100644,$(echo one | git hash-object -w --stdin),file && "
    "git write-tree"
)


def run(command: Command | str, folder: Path) -> subprocess.CompletedProcess[str]:
    argv = ("sh", "-c", command) if isinstance(command, str) else command.argv
    stdin = "" if isinstance(command, str) or command.stdin is None else command.stdin.reveal()
    env = {} if isinstance(command, str) else command.env
    return subprocess.run(
        argv,
        cwd=folder,
        input=stdin,
        env={"PATH": os.environ["PATH"], **env},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder on a host."""
    run(FILES, tmp_path)
    return tmp_path


def lay_out(folder: Path) -> subprocess.CompletedProcess[str]:
    tree = run(COMMIT, folder / "repository.git").stdout.strip()
    into = str(folder / "laid-out/migration-7")
    return run(script_command("lay_out", str(folder / "source"), tree, into), folder)


def test_files_of_a_commit_are_written_where_no_container_is(folder: Path) -> None:
    """Whatever an earlier attempt left there."""
    (folder / "laid-out/migration-7/old").mkdir(parents=True)
    assert lay_out(folder).returncode == 0
    assert [path.name for path in (folder / "laid-out/migration-7").iterdir()] == ["file"]
    assert not list((folder / "source/.deploy").iterdir())


def test_a_link_in_place_of_what_was_recorded_is_not_read(folder: Path) -> None:
    """What is recorded is shown to people."""
    (folder / "elsewhere/secret").write_text("theirs")
    deploy = folder / "source/.deploy"
    (deploy / "web.sha").write_text("sha256:1\n")
    (deploy / "commit").symlink_to(folder / "elsewhere/secret")
    assert run(script_command("facts", str(deploy)), folder).stdout == "web.sha sha256:1\n"
