"""What was built becomes a release."""

import hashlib
import os
from pathlib import Path

import pytest

from reconciler.domain.errors import CommandFailed, PreconditionFailed
from reconciler.domain.references import CommitSha, RepositoryPath
from reconciler.strategies.units.local_release import LocalRelease, assemble, disk_errors

COMMIT = CommitSha("0123456789ab" + "c" * 28)


def put(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    put(tmp_path / "built/bin/web", "program")
    return tmp_path / "built"


def assembled(built: Path, *more: str, binary: str = "bin/web") -> LocalRelease:
    into = built.parent / f"release-{len(list(built.parent.iterdir()))}"
    into.mkdir()
    files = [RepositoryPath(path) for path in more]
    return assemble(built, RepositoryPath(binary), files, into, COMMIT)


def test_a_release_is_named_by_its_commit_and_its_binary(built: Path) -> None:
    release = assembled(built).release
    digest = hashlib.sha256(b"program").hexdigest()
    assert release.digest.text == f"sha256:{digest}"
    assert release.name == f"0123456789ab-{digest[:12]}"


def test_the_binary_can_be_run_and_everybody_can_read_what_is_there(built: Path) -> None:
    put(built / "static/deep/page", "x", mode=0o600)
    put(built / "static/run", "x", mode=0o700)
    folder = assembled(built, "static").folder
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.rglob("*")}
    assert modes == {
        **dict.fromkeys(("bin", "web", "static", "deep", "run"), "0o755"),
        "page": "0o644",
    }


def test_what_was_not_asked_for_stays_behind(built: Path) -> None:
    put(built / "secret", "x")
    assert [path.name for path in assembled(built).folder.rglob("*")] == ["bin", "web"]


def test_another_content_of_more_files_is_another_release(built: Path) -> None:
    """The digest is the binary's; the name tells apart what else differs."""
    put(built / "page", "one")
    one = assembled(built, "page").release
    put(built / "page", "two")
    two = assembled(built, "page").release
    assert one.digest == two.digest
    assert one.name != two.name
    put(built / "page", "one")
    assert assembled(built, "page").release == one


def test_a_link_that_stays_inside_goes_along(built: Path) -> None:
    (built / "lib").mkdir()
    (built / "lib/self").symlink_to("../bin/web")
    folder = assembled(built, "lib").folder
    assert (folder / "lib/self").readlink() == Path("../bin/web")


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../../outside"])
def test_a_link_that_leads_out_of_the_release_is_refused(built: Path, leads_to: str) -> None:
    (built / "lib").mkdir()
    (built / "lib/out").symlink_to(leads_to)
    with pytest.raises(CommandFailed, match="lib/out is a link"):
        assembled(built, "lib")


def test_a_binary_below_a_link_is_refused(built: Path) -> None:
    (built / "out").symlink_to("/bin")
    with pytest.raises(CommandFailed, match="left no file out/sh"):
        assembled(built, binary="out/sh")


def test_a_file_that_the_build_did_not_make_is_named(built: Path) -> None:
    with pytest.raises(CommandFailed, match="left no static"):
        assembled(built, "static")


def test_a_pipe_among_the_files_is_an_error_and_no_hang(built: Path) -> None:
    (built / "static").mkdir()
    os.mkfifo(built / "static/pipe")
    with pytest.raises(PreconditionFailed, match="pipe"), disk_errors():
        assembled(built, "static")


def test_a_disk_that_can_not_be_written_is_explained() -> None:
    with pytest.raises(PreconditionFailed, match="No space left"), disk_errors():
        Path("/dev/full").write_text("x")
