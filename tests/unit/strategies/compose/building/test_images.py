"""What an archive of another machine's engine may bring along."""

import io
import json
import tarfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.errors import CommandFailed
from reconciler.strategies.compose.building.images import ImageCli
from reconciler.testing import RecordingRunner

UNNAMED = [{"Config": "c.json", "RepoTags": None, "Layers": ["l/layer.tar"]}]


def archive(folder: Path, **files: object) -> Path:
    """Write an archive; a name's ``_`` stands for a dot."""
    path = folder / "image.tar"
    with tarfile.open(path, "w") as made:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def runner() -> RecordingRunner:
    return RecordingRunner()


@pytest.fixture
def images(runner: RecordingRunner) -> ImageCli:
    return ImageCli(runner, "docker", "unix:///x", threading.Event(), timedelta(seconds=9))


def test_what_names_no_image_is_taken(
    images: ImageCli, runner: RecordingRunner, tmp_path: Path
) -> None:
    layout = {"schemaVersion": 2, "manifests": [{"digest": "sha256:0"}]}
    images.load(archive(tmp_path, manifest_json=UNNAMED, index_json=layout))
    assert [command.argv[2] for command in runner.commands] == ["load"]


@pytest.mark.parametrize(
    "files",
    [
        {"manifest_json": [{**UNNAMED[0], "RepoTags": ["postgres:16"]}]},
        {"manifest_json": UNNAMED, "repositories": {"postgres": {"16": "0"}}},
        {"index_json": {"manifests": [{"annotations": {"io.containerd.image.name": "postgres"}}]}},
        {"manifest_json": b"{"},
    ],
    ids=["manifest", "repositories", "layout", "no JSON"],
)
def test_what_would_take_a_name_is_not(
    images: ImageCli, runner: RecordingRunner, tmp_path: Path, files: dict[str, object]
) -> None:
    """Another project here may run what is called so."""
    with pytest.raises(CommandFailed, match="is not taken"):
        images.load(archive(tmp_path, **files))
    assert runner.commands == []
