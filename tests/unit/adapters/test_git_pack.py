"""Weighing packs: what they would unpack to, found without unpacking them."""

import hashlib
import zlib

import pytest

from reconciler.adapters.git.pack import PackTooLarge, check_weight
from reconciler.domain.errors import SourceProtocolError

_BLOB, _OFFSET_DELTA, _REFERENCE_DELTA = 3, 6, 7


def number(value: int) -> bytes:
    """Return ``value`` as git's variable-length number."""
    said = bytearray()
    while value > 0x7F:
        said.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*said, value))


def packed(kind: int, content: bytes, base: bytes = b"") -> bytes:
    """Return an object of a pack; the size in its header says what unpacking gives."""
    size = len(content)
    first = kind << 4 | size & 15
    header = bytes((first | 0x80,)) + number(size >> 4) if size > 15 else bytes((first,))
    return header + base + zlib.compress(content)


def pack(*objects: bytes) -> bytes:
    """Return a whole pack."""
    body = b"PACK\0\0\0\2" + len(objects).to_bytes(4, "big") + b"".join(objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


MIB = 1 << 20
#: A delta of nine bytes whose result is 100 MiB.
DELTA = number(10) + number(100 * MIB) + b"\x90\x0a"


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        pytest.param(pack(), 0, id="empty"),
        pytest.param(pack(packed(_BLOB, b"x" * 100)), 100, id="exactly"),
        pytest.param(pack(*[packed(_BLOB, bytes(9000))] * 5), 45_000, id="several"),
        pytest.param(
            pack(packed(_BLOB, b"0123456789"), packed(_REFERENCE_DELTA, DELTA, bytes(20))),
            101 * MIB,
            id="delta-with-room",
        ),
    ],
)
def test_what_fits_passes(data: bytes, limit: int) -> None:
    """Up to its limit, a pack of any shape is taken."""
    check_weight(data, limit)


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        pytest.param(pack(packed(_BLOB, b"x" * 101)), 100, id="one-byte-more"),
        pytest.param(pack(*[packed(_BLOB, bytes(9000))] * 5), 44_999, id="together"),
        pytest.param(pack(packed(_BLOB, bytes(50 * MIB))), MIB, id="bomb"),
        pytest.param(pack(packed(_REFERENCE_DELTA, DELTA, bytes(20))), MIB, id="delta-bomb"),
        pytest.param(pack(packed(_OFFSET_DELTA, DELTA, b"\x0c")), MIB, id="offset-delta-bomb"),
    ],
)
def test_what_is_too_large_is_refused(data: bytes, limit: int) -> None:
    """A small pack that becomes large, in whatever way, is not unpacked."""
    with pytest.raises(PackTooLarge):
        check_weight(data, limit)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PACK", id="cut-header"),
        pytest.param(b"<html>" + bytes(100), id="html"),
        pytest.param(pack(packed(_BLOB, b"x" * 100))[:20], id="cut-object"),
        pytest.param(b"PACK\0\0\0\2\xff\xff\xff\xff", id="objects-that-are-not-there"),
        pytest.param(b"PACK\0\0\0\2\0\0\0\1\x35not zlib data at all", id="no-zlib"),
    ],
)
def test_what_is_no_pack_is_an_error(data: bytes) -> None:
    """Damaged packs end, with an error that blames the server."""
    with pytest.raises(SourceProtocolError):
        check_weight(data, MIB)
