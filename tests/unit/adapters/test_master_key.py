"""The master key: where it is looked for, what of it is taken, and what is refused."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.master_key import (
    KEY_NAME,
    OLD_VARIABLE,
    VARIABLE,
    KeySources,
    drop_old_key,
    old_of,
    replace_key,
    take_environment,
)
from reconciler.adapters.vault import KEY_BYTES, key_id_of
from reconciler.domain.errors import MasterKeyRefused
from reconciler.domain.secret import Secret

ONE, OTHER = bytes(range(100, 132)), bytes(range(7, 39))


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


class TestOwnFile:
    def test_is_made_once_and_private(self, tmp_path: Path) -> None:
        keys = KeySources(tmp_path / "data")
        first = keys.open(may_create=True)
        assert (keys.own_file.stat().st_mode & 0o777, keys.own_file.stat().st_size) == (0o600, 32)
        assert [path.name for path in keys.folder.iterdir()] == [KEY_NAME]
        assert keys.open(may_create=False).key_ids == first.key_ids
        assert keys.open(may_create=True).key_ids == first.key_ids

    def test_a_missing_one_is_not_replaced(self, tmp_path: Path) -> None:
        with pytest.raises(MasterKeyRefused, match="missing"):
            KeySources(tmp_path).open(may_create=False)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
    def test_one_that_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        put(tmp_path / KEY_NAME, ONE, mode)
        with pytest.raises(MasterKeyRefused, match=f"mode {mode:04o}"):
            KeySources(tmp_path).find()

    def test_a_link_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / KEY_NAME).symlink_to(put(tmp_path / "real", ONE))
        with pytest.raises(MasterKeyRefused, match="can't be read"):
            KeySources(tmp_path).open(may_create=True)

    def test_another_takes_its_place_and_it_goes(self, tmp_path: Path) -> None:
        """Done over the remains of a run that was killed it comes to the same."""
        path = put(tmp_path / KEY_NAME, ONE)
        old_of(path).hardlink_to(path)
        replace_key(path)
        found = KeySources(tmp_path).find()
        assert found
        assert (found.old, found.key == ONE, len(found.key)) == (ONE, False, KEY_BYTES)
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
        drop_old_key(path, keep_as=f"{KEY_NAME}.{found.old_id}")
        assert (tmp_path / f"{KEY_NAME}.{key_id_of(ONE)}").read_bytes() == ONE
        replace_key(path)
        drop_old_key(path)
        left = {one.name for one in tmp_path.iterdir()}
        assert left == {KEY_NAME, f"{KEY_NAME}.{key_id_of(ONE)}"}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(bytes, id="raw"),
        pytest.param(lambda key: key.hex().encode() + b"\n", id="hex"),
        pytest.param(lambda key: base64.b64encode(key) + b"\n", id="base64"),
        pytest.param(lambda key: base64.urlsafe_b64encode(key).rstrip(b"="), id="url-base64"),
    ],
)
def test_ways_of_writing_a_key(tmp_path: Path, written: Callable[[bytes], bytes]) -> None:
    """The same key whichever way it is written, in a file and in the environment."""
    put(tmp_path / KEY_NAME, written(ONE))
    found = KeySources(tmp_path).find()
    assert found
    assert (found.key, found.id) == (ONE, key_id_of(ONE))
    assert ONE.hex() not in repr(found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (ONE[:-1], "holds 31 bytes"),
        (ONE + b"\0", "holds 33 bytes"),
        (ONE[:-1].hex().encode(), "holds 62 bytes"),
        (b"correct horse battery staple", "holds 28 bytes"),
        (b"x" * 5000, "exactly 32"),
    ],
)
def test_what_is_no_key(tmp_path: Path, content: bytes, said: str) -> None:
    """One line that names the place, and nothing of what is there."""
    put(tmp_path / KEY_NAME, content)
    with pytest.raises(MasterKeyRefused, match=said) as refused:
        KeySources(tmp_path).open(may_create=True)
    assert str(tmp_path / KEY_NAME) in refused.value.message
    assert "correct horse" not in refused.value.message


class TestOrder:
    def test_credential_then_file_then_environment(self, tmp_path: Path) -> None:
        given = put(tmp_path / "credentials" / KEY_NAME, ONE, 0o440)
        named = put(tmp_path / "named" / "key", OTHER)
        keys = KeySources(
            tmp_path / "data", named, given.parent, Secret.of(bytes(range(KEY_BYTES)).hex())
        )
        sources = []
        for gone in (given, named):
            found = keys.find()
            assert found
            sources.append(found.source)
            gone.unlink()
        assert sources == [str(given), str(named)]
        with pytest.raises(MasterKeyRefused, match=r"named/key can't be read"):
            keys.find()  # one that was named is not looked past
        found = KeySources(tmp_path / "data", environment=keys.environment).find()
        assert found
        assert found.source == f"{VARIABLE} (environment)"
        assert not (tmp_path / "data").exists()

    def test_the_environment_is_left_without_it(self) -> None:
        """What is started later doesn't inherit it."""
        environment = {VARIABLE: ONE.hex(), OLD_VARIABLE: OTHER.hex(), "PATH": "/bin"}
        key, old = take_environment(environment)
        assert environment == {"PATH": "/bin"}
        found = KeySources(Path("/nowhere"), environment=key, old_environment=old).find()
        assert found
        assert (found.key, found.old) == (ONE, OTHER)
        assert found.old_source == f"{OLD_VARIABLE} (environment)"


class TestNamedFile:
    """One that the operator names, as orchestrators make them."""

    def test_links_of_an_orchestrator_are_followed(self, tmp_path: Path) -> None:
        real = put(tmp_path / "..2026_data" / "key", ONE, 0o440)
        (tmp_path / "..data").symlink_to(real.parent)
        (tmp_path / "key").symlink_to("..data/key")
        found = KeySources(tmp_path / "data", tmp_path / "key").find()
        assert found
        assert found.key == ONE

    def test_all_may_read_it_where_containers_are_given_secrets(self, tmp_path: Path) -> None:
        """And nowhere else; nobody else may write it anywhere."""
        path = put(tmp_path / "secrets" / "key", ONE, 0o444)
        found = KeySources(tmp_path, path, container_folders=(path.parent,)).find()
        assert found
        assert found.key == ONE
        with pytest.raises(MasterKeyRefused, match="mode 0444"):
            KeySources(tmp_path, path).find()
        path.chmod(0o664)
        with pytest.raises(MasterKeyRefused, match="mode 0664"):
            KeySources(tmp_path, path, container_folders=(path.parent,)).find()

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        """A pipe, too, and at once."""
        os.mkfifo(tmp_path / "pipe", 0o600)
        for path in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(MasterKeyRefused, match="is not a regular file"):
                KeySources(tmp_path / "data", path).find()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
    def test_somebody_else_s_is_refused(self, tmp_path: Path) -> None:
        os.chown(put(tmp_path / "key", ONE), 12345, -1)
        with pytest.raises(MasterKeyRefused, match="belongs to user 12345"):
            KeySources(tmp_path / "data", tmp_path / "key").find()
