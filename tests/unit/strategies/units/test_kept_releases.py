"""What was verified is kept, and given on only as it was."""

from pathlib import Path

import pytest

from reconciler.domain.deployment import Release
from reconciler.domain.references import CommitSha, Digest, ProjectName, RepositoryPath
from reconciler.strategies.units.kept_releases import KeptReleases
from reconciler.strategies.units.local_release import LocalRelease, assemble, content_of

SHOP, BINARY = ProjectName("shop"), RepositoryPath("app")
MORE = RepositoryPath("static")


@pytest.fixture
def kept(tmp_path: Path) -> KeptReleases:
    return KeptReleases(tmp_path / "builds")


@pytest.fixture
def built(tmp_path: Path) -> LocalRelease:
    source, into = tmp_path / "source", tmp_path / "release"
    (source / "static").mkdir(parents=True)
    into.mkdir()
    (source / "app").write_text("program")
    (source / "static/page").write_text("page")
    (source / "static/self").symlink_to("page")
    return assemble(source, BINARY, [MORE], into, CommitSha("c" * 40))


def take(kept: KeptReleases, release: Release, into: Path) -> bool:
    return kept.take(SHOP, release, BINARY, into)


def test_what_is_kept_is_what_is_taken(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path
) -> None:
    """It takes no space of its own, and outlives what it was kept of; to keep it again is safe."""
    kept.keep(SHOP, "7", built)
    kept.keep(SHOP, "7", built)
    inode = (built.folder / "app").stat().st_ino
    content = content_of(built.folder)
    (built.folder / "app").unlink()
    assert take(kept, built.release, tmp_path / "taken")
    assert content_of(tmp_path / "taken") == content
    assert (tmp_path / "taken/app").stat().st_ino == inode
    assert (tmp_path / "taken/app").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["app", "static/page"])
def test_what_changed_is_not_given_on(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path, path: str
) -> None:
    """Every file counts; another deployment's that is whole serves as well."""
    kept.keep(SHOP, "7", built)
    (spoilt,) = (tmp_path / "builds").glob(f"shop/kept/7/*/release/{path}")
    spoilt.unlink()
    spoilt.write_text("spoilt")
    assert not take(kept, built.release, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
    kept.keep(SHOP, "8", built)
    assert take(kept, built.release, tmp_path / "taken")


def test_a_forged_record_does_not_help(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path
) -> None:
    """The name has digits of it, and the binary's digest is known in full."""
    kept.keep(SHOP, "7", built)
    (own,) = (tmp_path / "builds").glob("shop/kept/7/*")
    (own / "release/static/page").unlink()
    (own / "release/static/page").write_text("spoilt")
    (own / "content").write_text(content_of(own / "release"))
    assert not take(kept, built.release, tmp_path / "taken")
    other = Release(built.release.name, Digest(f"sha256:{'0' * 64}"))
    kept.keep(SHOP, "8", built)
    assert not take(kept, other, tmp_path / "taken")


@pytest.mark.parametrize("name", ["../../7/x", "*", "..", "cccccccccccc-dddddddddddd/../.."])
def test_a_name_that_a_host_made_up_leads_nowhere(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path, name: str
) -> None:
    kept.keep(SHOP, "7", built)
    assert not take(kept, Release(name, built.release.digest), tmp_path / "taken")


def test_what_was_cut_off_is_not_taken_and_made_anew(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path
) -> None:
    half = tmp_path / "builds/shop/kept/7" / f"{built.release.name}.new" / "release"
    half.mkdir(parents=True)
    (half / "app").write_text("prog")
    assert not take(kept, built.release, tmp_path / "taken")
    kept.keep(SHOP, "7", built)
    assert take(kept, built.release, tmp_path / "taken")


def test_old_ones_go_and_those_that_are_kept_stay(
    kept: KeptReleases, built: LocalRelease, tmp_path: Path
) -> None:
    for number in ("7", "8", "9", "10"):
        kept.keep(SHOP, number, built)
    kept.forget(SHOP, "9", {"8"})
    assert sorted(path.name for path in (tmp_path / "builds/shop/kept").iterdir()) == ["10", "8"]
    assert not kept.take(ProjectName("other"), built.release, BINARY, tmp_path / "taken")
