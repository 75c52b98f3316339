"""Changing a master key that the operator brings, and whose data folder it is."""

import os
from pathlib import Path

import pytest

from reconciler.adapters.master_key import KeySources, old_of
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault, key_id_of
from reconciler.app.keys import Rotation, key_sources, rotate_key
from reconciler.config import Config, load_config
from reconciler.domain.errors import NotFound, PreconditionFailed
from reconciler.store.opening import open_store

PRESENT, NEW = bytes(range(32)), bytes(range(7, 39))


def config_of(folder: Path) -> Config:
    key_file = str(folder / "key")
    return load_config(
        environment={
            "HOME": str(folder),
            "RECONCILER_DATA_FOLDER": str(folder / "data"),
            "RECONCILER_MASTER_KEY_FILE": key_file,
        }
    )


def put(path: Path, key: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key)


def rotate(config: Config) -> Rotation:
    keys = key_sources(config, {})
    return rotate_key(config, keys, lambda _done, _all: None, keep_old=False)


def test_it_is_changed_by_whoever_brings_it(tmp_path: Path) -> None:
    """Without the new one it is said how; with both everything is sealed anew, and both stay."""
    config, file = config_of(tmp_path), tmp_path / "key"
    put(file, PRESENT)
    with pytest.raises(NotFound, match="no database"):
        rotate(config)
    open_store(config.database_file, lambda _: Vault(PRESENT), SystemClock()).close()
    with pytest.raises(PreconditionFailed, match=r"is yours .*\.old"):
        rotate(config)
    assert file.read_bytes() == PRESENT
    file.rename(old_of(file))
    put(file, NEW)
    done = rotate(config)
    assert (done.key, done.old) == (key_id_of(NEW), key_id_of(PRESENT))
    assert (done.finished, done.kept) == (True, str(old_of(file)))
    assert (file.read_bytes(), old_of(file).read_bytes()) == (NEW, PRESENT)
    open_store(config.database_file, lambda _: Vault(NEW), SystemClock()).close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_root_leaves_a_daemon_s_folder_alone(tmp_path: Path) -> None:
    """The daemon's user could not read what root leaves there."""
    config = config_of(tmp_path)
    config.data_folder.mkdir()
    os.chown(config.data_folder, 12345, -1)
    with pytest.raises(PreconditionFailed, match="belongs to user 12345: run this as that user"):
        rotate(config)
    assert not list(config.data_folder.iterdir())


def test_one_that_the_operator_names_is_never_made(tmp_path: Path) -> None:
    """Nor is the data folder's own in its place."""
    keys = key_sources(config_of(tmp_path), {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})
    assert keys == KeySources(tmp_path / "data", tmp_path / "key", tmp_path / "none")
    assert not keys.uses_own_file
