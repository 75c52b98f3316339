"""The vault: what it seals opens with the same key, in the same place, unchanged; or not at all."""

import pytest

from reconciler.adapters.vault import Vault
from reconciler.domain.errors import StoreCorrupt
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
    assert first.startswith(f"v1:{_VAULT.key_ids[0]}:")
    assert "hunter2" not in first


def test_another_key_is_named() -> None:
    """A wrong key is told from damage."""
    with pytest.raises(StoreCorrupt, match="wrong key"):
        _OTHER.unseal(_VAULT.seal(Secret.of("hunter2"), _PLACE), _PLACE)


def test_an_older_key_opens_and_seals_nothing_any_more() -> None:
    """While everything is sealed anew both are there."""
    both = Vault(bytes(32), bytes(range(32)))
    assert both.key_ids == (_OTHER.key_ids[0], _VAULT.key_ids[0])
    assert both.unseal(_VAULT.seal(Secret.of("hunter2"), _PLACE), _PLACE).reveal() == "hunter2"
    assert _OTHER.unseal(both.seal(Secret.of("hunter2"), _PLACE), _PLACE).reveal() == "hunter2"


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
        pytest.param(_SEALED[: len(_VAULT.key_ids[0]) + 4], id="nothing-left"),
        pytest.param(_SEALED[:-4] + "!!!!", id="no-base64"),
        pytest.param(_SEALED[:20] + ("A" if _SEALED[20] != "A" else "B") + _SEALED[21:], id="bit"),
        pytest.param(f"v1:{_OTHER.key_ids[0]}:{_SEALED.rpartition(':')[2]}", id="key-id"),
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
