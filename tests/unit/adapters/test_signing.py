"""Signatures: the standard's own, checked byte by byte, with keys that other programs read."""

import base64

import pytest

from reconciler.adapters.signing import SigningKey, parse_public_key
from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret

_X25519 = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
-----END PUBLIC KEY-----
"""
_KEY = SigningKey(Secret.of("01" * 32))


def test_as_the_standard_has_it() -> None:
    """RFC 8032, section 7.1, test 2: the text is one byte."""
    seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    signed = SigningKey(Secret.of(seed)).sign("r")
    assert base64.b64decode(signed).hex() == signature


def test_the_public_key_is_read_from_its_file() -> None:
    """It checks what was signed, and nothing else; it has the same name."""
    public = parse_public_key(_KEY.pem.encode())
    assert public.id == _KEY.id
    assert len(public.id) == 16
    assert public.verifies("text", _KEY.sign("text"))
    assert not public.verifies("Text", _KEY.sign("text"))
    assert not SigningKey(Secret.of("02" * 32)).verifies("text", _KEY.sign("text"))


@pytest.mark.parametrize("other", ["", "=", "x" * 87, "é", "\n", "A" * 88, " {}", "{}\n", "{}="])
def test_another_spelling_is_another_signature(other: str) -> None:
    """Whatever stands there in its place."""
    assert not _KEY.verifies("text", other.format(_KEY.sign("text")))


@pytest.mark.parametrize(
    ("pem", "problem"),
    [
        (b"", "is not a public key in PEM"),
        (b"\xff\x00", "is not a public key in PEM"),
        (
            _X25519,
            "of another kind than Ed25519",
        ),
    ],
)
def test_what_is_no_such_key(pem: bytes, problem: str) -> None:
    """Another file, or a key of another kind."""
    with pytest.raises(InvalidInput, match=problem):
        parse_public_key(pem)
