"""What git servers say about refs, framed and parsed with dulwich's own pkt-line code.

Source: git's ``gitprotocol-v2`` ("ls-refs"), ``gitprotocol-http`` and ``gitprotocol-common``.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from dulwich.errors import (
    ApplyDeltaError,
    ChecksumMismatch,
    FileFormatException,
    GitProtocolError,
    NotGitRepository,
)
from dulwich.protocol import Protocol, pkt_line

from reconciler.domain.errors import InvalidReference, SourceProtocolError
from reconciler.domain.references import BranchName, CommitSha, GitUrl

#: What dulwich raises when a server says something that it does not expect.
PROTOCOL_ERRORS = (
    GitProtocolError,
    NotGitRepository,
    FileFormatException,
    ChecksumMismatch,
    ApplyDeltaError,
    AssertionError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    zlib.error,
)
AGENT = "git/reconciler"
_DELIMITER = b"0001"
_LONGEST_EXCERPT = 200


def ls_refs_request(branch: BranchName, object_format: str) -> bytes:
    """Return the body that asks a server of protocol v2 for one branch."""
    return b"".join(
        (
            pkt_line(b"command=ls-refs\n"),
            pkt_line(f"agent={AGENT}\n".encode()),
            pkt_line(f"object-format={object_format}\n".encode()),
            _DELIMITER,
            pkt_line(f"ref-prefix {branch.ref}\n".encode()),
            pkt_line(None),
        )
    )


def find_in_ls_refs(answer: bytes, branch: BranchName) -> CommitSha | None:
    """Return the branch's tip; None only where the answer is whole and does not name it.

    A prefix is a prefix: ``refs/heads/main`` brings ``refs/heads/main-2`` too.

    Raises:
        SourceProtocolError: cut short, or not an answer to `ls_refs_request`.
    """
    return _find(_packets(Protocol(BytesIO(answer).read, _never_write)), branch)


def find_in_advertisement(answer: bytes, branch: BranchName) -> CommitSha | None:
    """Return the branch's tip from what a server of protocol v0 or v1 lists; else as above."""
    protocol = Protocol(BytesIO(answer).read, _never_write)
    service = list(_packets(protocol))
    if [line.rstrip(b"\n") for line in service] != [b"# service=git-upload-pack"]:
        raise SourceProtocolError("the answer is no list of refs")
    return _find(_packets(protocol), branch)


def parse_tip(sha: bytes) -> CommitSha:
    """Return the object id that a server sent.

    Raises:
        SourceProtocolError: it is none.
    """
    try:
        return CommitSha.parse(sha.decode("ascii"))
    except (InvalidReference, UnicodeDecodeError):
        raise SourceProtocolError(f"not an object id: {excerpt(sha)}") from None


def excerpt(said: bytes) -> str:
    """Return the beginning of what a server said, safe to show."""
    text = said[:_LONGEST_EXCERPT].decode(errors="replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()


@contextmanager
def named_errors(url: GitUrl) -> Iterator[None]:
    """Say of what dulwich could not understand that the server is to blame."""
    try:
        yield
    except PROTOCOL_ERRORS as error:
        message = f"{url}: the answer breaks off, or is none of git: {error}"
        raise SourceProtocolError(message) from error


def _find(packets: Iterator[bytes], branch: BranchName) -> CommitSha | None:
    wanted = branch.ref.encode()
    found = None
    # Read to the flush packet also after the ref is found: an answer without one is not whole.
    for packet in packets:
        sha, _, rest = packet.rstrip(b"\n").partition(b" ")
        if sha == b"ERR":
            raise SourceProtocolError(f"the server says: {excerpt(rest)}")
        name = rest.partition(b"\0")[0].partition(b" ")[0]
        if not name:
            raise SourceProtocolError(f"a line that names no ref: {excerpt(packet)}")
        if name == wanted and found is None:
            found = parse_tip(sha)
    return found


def _packets(protocol: Protocol) -> Iterator[bytes]:
    try:
        yield from protocol.read_pkt_seq()
    except PROTOCOL_ERRORS as error:
        raise SourceProtocolError(f"the answer breaks off, or is none of git: {error}") from error


def _never_write(_: bytes) -> int:
    return 0
