"""The vault: what it seals opens with the same key, in the same place, unchanged; or not at all."""

import os
from pathlib import Path

import pytest

from reconciler.adapters.vault import KEY_BYTES, KEY_NAME, Vault, open_vault
from reconciler.domain.errors import PreconditionFailed, StoreCorrupt
from reconciler.domain.secret import Secret

_VAULT = Vault(bytes(range(32)))
_OTHER = Vault(bytes(32))
_PLACE = "secret|web/git-token|sealed"


@pytest.mark.parametrize("text", ["", "hunter2", "é\n" * 1000, "-----BEGIN KEY-----\n…"])
def test_opens_what_it_sealed(text: str) -> None:
    """Whatever the text."""
    assert _VAULT.unseal(_VAULT.seal(Secret.of(text), _PLACE), _PLACE) == Secret.of(text)


def test_the_same_text_never_looks_the_same() -> None:
    """Two ciphertexts of one secret tell nobody that they are of one secret."""
    first, second = (_VAULT.seal(Secret.of("hunter2"), _PLACE) for _ in range(2))
    assert first != second
    assert first.startswith(f"v1:{_VAULT.key_id}:")
    assert "hunter2" not in first


def test_another_key_is_named() -> None:
    """A wrong key is told from damage."""
    with pytest.raises(StoreCorrupt, match="wrong key"):
        _OTHER.unseal(_VAULT.seal(Secret.of("hunter2"), _PLACE), _PLACE)


def test_another_place_is_refused() -> None:
    """A ciphertext copied to another row does not open there."""
    sealed = _VAULT.seal(Secret.of("hunter2"), _PLACE)
    with pytest.raises(StoreCorrupt, match="moved"):
        _VAULT.unseal(sealed, _PLACE.replace("web", "api"))


_SEALED = _VAULT.seal(Secret.of("hunter2"), _PLACE)


@pytest.mark.parametrize(
    "sealed",
    [
        pytest.param("", id="empty"),
        pytest.param("hunter2", id="plain"),
        pytest.param(_SEALED.replace("v1:", "v2:"), id="version"),
        pytest.param(_SEALED[:-8], id="cut"),
        pytest.param(_SEALED[: len(_VAULT.key_id) + 4], id="nothing-left"),
        pytest.param(_SEALED[:-4] + "!!!!", id="no-base64"),
        pytest.param(_SEALED[:20] + ("A" if _SEALED[20] != "A" else "B") + _SEALED[21:], id="bit"),
        pytest.param(f"v1:{_OTHER.key_id}:{_SEALED.rpartition(':')[2]}", id="key-id"),
    ],
)
def test_changed_bytes_do_not_open(sealed: str) -> None:
    """Nothing but the whole ciphertext opens, and the error shows no part of the secret."""
    with pytest.raises(StoreCorrupt) as caught:
        _VAULT.unseal(sealed, _PLACE)
    assert "hunter2" not in str(caught.value)


def test_fingerprints_tell_equal_from_different() -> None:
    """And mean nothing without the key."""
    one = _VAULT.fingerprint(Secret.of("a"))
    assert len(one) == 8
    assert one == _VAULT.fingerprint(Secret.of("a"))
    assert one != _VAULT.fingerprint(Secret.of("b"))
    assert one != _OTHER.fingerprint(Secret.of("a"))


class TestKeyFile:
    def test_is_made_once_and_private(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        first = open_vault(folder, may_create=True)
        key = folder / KEY_NAME
        assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, KEY_BYTES)
        assert [path.name for path in folder.iterdir()] == [KEY_NAME]
        assert open_vault(folder, may_create=False).key_id == first.key_id
        assert open_vault(folder, may_create=True).key_id == first.key_id

    def test_a_missing_one_is_not_replaced(self, tmp_path: Path) -> None:
        with pytest.raises(PreconditionFailed, match="missing"):
            open_vault(tmp_path, may_create=False)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
    def test_one_that_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        open_vault(tmp_path, may_create=True)
        (tmp_path / KEY_NAME).chmod(mode)
        with pytest.raises(PreconditionFailed, match=f"mode {mode:04o}"):
            open_vault(tmp_path, may_create=False)

    @pytest.mark.parametrize("size", [0, KEY_BYTES - 1, KEY_BYTES + 1])
    def test_one_of_another_size_is_refused(self, tmp_path: Path, size: int) -> None:
        (tmp_path / KEY_NAME).write_bytes(bytes(size))
        (tmp_path / KEY_NAME).chmod(0o600)
        with pytest.raises(PreconditionFailed, match="exactly 32 bytes"):
            open_vault(tmp_path, may_create=True)

    def test_a_link_is_refused(self, tmp_path: Path) -> None:
        open_vault(tmp_path / "real", may_create=True)
        (tmp_path / KEY_NAME).symlink_to(tmp_path / "real" / KEY_NAME)
        with pytest.raises(PreconditionFailed, match="can't be read"):
            open_vault(tmp_path, may_create=True)

    def test_a_credential_of_systemd_comes_first(self, tmp_path: Path) -> None:
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / KEY_NAME).write_bytes(os.urandom(KEY_BYTES))
        (credentials / KEY_NAME).chmod(0o440)
        data = tmp_path / "data"
        data.mkdir()
        first = open_vault(data, may_create=True, credentials_directory=credentials)
        assert not list(data.iterdir())
        (credentials / KEY_NAME).unlink()
        without = open_vault(data, may_create=True, credentials_directory=credentials)
        assert without.key_id != first.key_id
