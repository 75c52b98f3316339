"""The folder that relative paths start from: whose it may be, and what is rendered as if in it."""

from pathlib import Path

import pytest

from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.references import ImageReference, ServiceName
from reconciler.strategies.compose.policy import real_paths_here, require_apart
from reconciler.strategies.compose.rendering import RenderedService, Rendering

WEB = ServiceName("web")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    folder = tmp_path / "srv/daemon/data"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "around").symlink_to(folder.parent)
    return folder


@pytest.mark.parametrize(
    "base", ["srv/daemon/data", "srv/daemon/data/a/b", "srv/daemon", "srv", "link/a", "around"]
)
def test_a_base_that_is_ours_is_refused(tmp_path: Path, ours: Path, base: str) -> None:
    """By its own name, above or below it, and through links; whether it is there or not."""
    with pytest.raises(InvalidComposeFile, match="can't be a base"):
        require_apart(tmp_path / base, [tmp_path / "other", ours], real_paths_here)


@pytest.mark.parametrize("base", ["srv/daemon/data-2", "srv/daemons", "srv/shop", "x/link"])
def test_a_base_beside_ours_is_none_of_our_business(tmp_path: Path, ours: Path, base: str) -> None:
    """A longer name is another folder."""
    require_apart(tmp_path / base, [ours], real_paths_here)


def rendering(*volumes: dict[str, object], **more: object) -> Rendering:
    image = ImageReference.parse("web:1")
    service = RenderedService(WEB, image, {}, 1, finishes=False)
    body = {"image": "web:1", "volumes": list(volumes), **more}
    return Rendering(
        (service,), {"services": {"web": body}, "volumes": {"kept": {"name": "s_kept"}}}
    )


def test_what_was_rendered_moves_with_its_folder() -> None:
    """Paths below it do; longer names, other paths and text in the middle stay."""
    before = rendering(
        {"type": "bind", "source": "/own/local/data", "target": "/data"},
        {"type": "bind", "source": "/own/local", "target": "/all"},
        {"type": "bind", "source": "/own/local-2", "target": "/other"},
        environment={"AT": "see /own/local/data", "N": None},
    )
    body = before.moved(Path("/own/local"), Path("/srv/shop")).document["services"]["web"]
    assert [one["source"] for one in body["volumes"]] == [
        *("/srv/shop/data", "/srv/shop", "/own/local-2")
    ]
    assert body["environment"] == {"AT": "see /own/local/data", "N": None}


def test_mounts_are_told_by_where_they_are() -> None:
    """Of a volume its full name; nothing of what has no name, or is no path of the host."""
    found = rendering(
        {"type": "bind", "source": "/srv/shop/data", "target": "/data/"},
        {"type": "volume", "source": "kept", "target": "/kept"},
        {"type": "volume", "target": "/nameless"},
        {"type": "tmpfs", "target": "/tmp"},
    ).mounts(WEB)
    assert found == {"/data": "/srv/shop/data", "/kept": "s_kept", "/nameless": "", "/tmp": ""}
