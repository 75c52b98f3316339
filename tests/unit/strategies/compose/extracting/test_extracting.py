"""Files out of an image's archive, which may be anybody's."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.domain.errors import CommandFailed, Interrupted
from reconciler.domain.host import HostPath
from reconciler.domain.references import Digest
from reconciler.strategies.compose.extracting.archive import ImageArchive
from reconciler.strategies.compose.extracting.folder import ImageFolder

File = tuple[str, str | tuple[bytes, str] | None]  #: name → text, (type, link), or a folder


def layer(*files: File) -> bytes:
    """Return a layer as a tar file."""
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name, content in files:
                member = tarfile.TarInfo(name)
                member.mode = 0o4755 if name.endswith("run") else 0o600
                match content:
                    case None:
                        member.type = tarfile.DIRTYPE
                        tar.addfile(member)
                    case str():
                        member.size = len(content.encode())
                        tar.addfile(member, io.BytesIO(content.encode()))
                    case kind, link:
                        member.type, member.linkname = kind, link
                        tar.addfile(member)
        return made.getvalue()


def hashed(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def archive(
    folder: Path, layers: Sequence[bytes], *, packed: bool = False, forged: bytes = b""
) -> tuple[Path, Digest]:
    """Write an image's archive; return it with the image's id."""
    config = json.dumps({"rootfs": {"diff_ids": [hashed(one) for one in layers]}}).encode()
    names = [f"{number}/layer.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": "config.json", "RepoTags": None, "Layers": names}]
    members = {"manifest.json": json.dumps(manifest).encode(), "config.json": config}
    members |= dict(zip(names, (gzip.compress(x) if packed else x for x in layers), strict=True))
    if forged:
        members[names[-1]] = forged
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path, Digest(hashed(config))


def take(path: Path, image: Digest, folder: str = "/app") -> dict[str, str]:
    """Return what there is in a folder of an image: path → content, or where a link leads."""
    into = path.parent / "into"
    into.mkdir()
    with ImageArchive.open(path, image) as layers:
        wanted = ImageFolder(HostPath(folder), threading.Event())
        for number, one in enumerate(layers.layers()):
            wanted.add(number, one)
        plan = wanted.plan()
        plan.write_folders(into)
        for number, one in enumerate(layers.layers()):
            plan.write_files(number, one, into)
        plan.write_links(into)
    return {
        str(one.relative_to(into)): f"→ {one.readlink()}" if one.is_symlink() else one.read_text()
        for one in sorted(into.rglob("*"))
        if one.is_symlink() or one.is_file()
    }


def taken(folder: Path, *layers: bytes, path: str = "/app") -> dict[str, str]:
    return take(*archive(folder, layers), path)


@pytest.mark.parametrize("packed", [False, True])
def test_what_the_layers_amount_to_is_taken(tmp_path: Path, packed: bool) -> None:
    """Later ones win, what is removed is not there, and nothing of what lies elsewhere."""
    lower = layer(
        ("app", None),
        ("app/run", "old"),
        ("app/gone", "x"),
        ("app/static/old", "x"),
        ("app/lib/one", "x"),
        ("etc/passwd", "root"),
        ("apple", "x"),
    )
    upper = layer(
        ("./app/run", "new"),
        ("./app/.wh.gone", ""),
        ("./app/static/new", "y"),
        ("./app/static/.wh..wh..opq", ""),
        ("./app/again", (tarfile.LNKTYPE, "app/run")),
        ("./app/link", (tarfile.SYMTYPE, "/etc/passwd")),
        ("./app/lib", "a file now"),
    )
    found = take(*archive(tmp_path, [lower, upper], packed=packed))
    assert found == {
        "run": "new",
        "static/new": "y",
        "again": "new",
        "link": "→ /etc/passwd",
        "lib": "a file now",
    }
    assert (tmp_path / "into/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "into/static/new").stat().st_mode & 0o7777 == 0o644


def test_a_folder_that_was_removed_above_starts_anew(tmp_path: Path) -> None:
    layers = (
        layer(("srv/app/old", "x")),
        layer((".wh.srv", "")),
        layer(("srv/app/new", "y")),
    )
    assert taken(tmp_path, *layers, path="/srv/app") == {"new": "y"}


def test_links_lead_no_write_out_of_the_folder(tmp_path: Path) -> None:
    """Of an outer link nothing inside is written: the image does not make sense."""
    outside = tmp_path / "outside"
    outside.mkdir()
    one = layer(("app/out", (tarfile.SYMTYPE, str(outside))), ("app/out/planted", "x"))
    with pytest.raises(CommandFailed, match="a file below one"):
        taken(tmp_path, one)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([("etc", "x")], "has no folder /app"),
        ([("app", "x")], "/app in the image is no folder"),
        ([("app", (tarfile.SYMTYPE, "/srv"))], "/app in the image is a link"),
        ([("app/../../etc/x", "x")], "in a place of no sense"),
        ([("app/null", (tarfile.CHRTYPE, ""))], "app/null.* is a device|null in the image is a"),
        ([("app/pipe", (tarfile.FIFOTYPE, ""))], "pipe in the image is a device"),
        ([("app/a", (tarfile.LNKTYPE, "app/b"))], "a link to nothing"),
        ([("app/a", (tarfile.LNKTYPE, "app/a"))], "a link to nothing"),
        ([("app/" + "d/" * 150 + "x", "x")], "in a place of no sense"),
    ],
)
def test_what_is_no_good_as_a_release_is_named(
    tmp_path: Path, files: list[File], problem: str
) -> None:
    with pytest.raises(CommandFailed, match=problem):
        taken(tmp_path, layer(*files))


def test_only_the_very_image_is_read(tmp_path: Path) -> None:
    """By its id: neither another configuration nor another layer passes for it."""
    good = layer(("app/x", "x"))
    path, image = archive(tmp_path, [good])
    with pytest.raises(CommandFailed, match="is not that of image"):
        take(path, Digest(f"sha256:{'0' * 64}"))
    (tmp_path / "into").rmdir()
    path, image = archive(tmp_path, [good], forged=layer(("app/x", "y")))
    with pytest.raises(CommandFailed, match="not what its configuration says"):
        take(path, image)


def test_an_image_that_is_known_by_its_manifest_is_read(tmp_path: Path) -> None:
    """Engines with another store know it by that, or by an index that has it."""
    path, config = archive(tmp_path, [layer(("app/x", "x"))])
    manifest = json.dumps({"config": {"digest": config.text}}).encode()
    index = json.dumps({"manifests": [{"digest": hashed(manifest)}]}).encode()
    with tarfile.open(path, "a") as tar:
        for blob in (manifest, index):
            member = tarfile.TarInfo(f"blobs/{hashed(blob).replace(':', '/')}")
            member.size = len(blob)
            tar.addfile(member, io.BytesIO(blob))
    for blob in (manifest, index):
        assert take(path, Digest(hashed(blob))) == {"x": "x"}
        (tmp_path / "into/x").unlink()
        (tmp_path / "into").rmdir()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 10240])
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises(CommandFailed, match="can't be read"):
        take(path, Digest(f"sha256:{'0' * 64}"))


def test_a_layer_that_is_no_tar_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="can't be read"):
        taken(tmp_path, b"nonsense" * 100)


def test_a_header_is_not_read_into_memory_whatever_its_size(tmp_path: Path) -> None:
    header = tarfile.TarInfo("app/x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(CommandFailed, match="header that is too large"):
        taken(tmp_path, header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240)


def test_it_can_be_stopped(tmp_path: Path) -> None:
    path, image = archive(tmp_path, [layer(("app/x", "x"))])
    stopped = threading.Event()
    stopped.set()
    with (
        pytest.raises(Interrupted),
        ImageArchive.open(path, image) as layers,
    ):
        ImageFolder(HostPath("/app"), stopped).add(0, next(layers.layers()))
