"""What a build leaves, of which nothing has to be as one would expect."""

import os
from pathlib import Path

import pytest

from reconciler.domain.errors import CommandFailed, PreconditionFailed
from reconciler.domain.references import CommitSha, RepositoryPath
from reconciler.strategies.units.local_release import LocalRelease, assemble, disk_errors

#: Latin-1, which is no UTF-8.
ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build left: a program, and a folder."""
    folder = tmp_path / "built"
    (folder / "static").mkdir(parents=True)
    (folder / "app").write_text("program")
    return folder


def assembled(built: Path) -> LocalRelease:
    into = built.with_name("release")
    into.mkdir()
    with disk_errors():
        paths = RepositoryPath("app"), (RepositoryPath("static"),)
        return assemble(built, *paths, into, CommitSha("a" * 40))


def test_names_may_be_of_any_bytes(built: Path) -> None:
    """They make a release another one, as every name does."""
    (built / "static" / ODD).write_text("coffee")
    release = assembled(built)
    assert (release.folder / "static" / ODD).read_text() == "coffee"
    assert release.release.name.count("-") == 2


def test_what_is_refused_is_named_in_letters(built: Path) -> None:
    """Text that can be written down, whatever the name is."""
    (built / "static" / ODD).symlink_to("/etc")
    with pytest.raises(CommandFailed, match="is a link that leads out") as caught:
        assembled(built)
    caught.value.message.encode()


@pytest.mark.parametrize("name", ["static", "static/ring"])
def test_links_that_lead_to_one_another_are_refused(built: Path, name: str) -> None:
    """They lead nowhere, and least of all to a file of the release."""
    ring = built / name
    if ring.is_dir():
        ring.rmdir()
    ring.symlink_to(ring.with_name("other"))
    ring.with_name("other").symlink_to(ring)
    with pytest.raises(CommandFailed, match="leads out"):
        assembled(built)


def test_what_is_no_file_is_refused(built: Path) -> None:
    """Nobody waits for somebody to write into a pipe."""
    os.mkfifo(built / "static" / ODD)
    with pytest.raises((CommandFailed, PreconditionFailed)) as caught:
        assembled(built)
    caught.value.message.encode()
