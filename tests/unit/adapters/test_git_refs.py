"""What git servers say about refs: whole answers, and everything else."""

import pytest
from dulwich.protocol import pkt_line

from reconciler.adapters.git.refs import (
    excerpt,
    find_in_advertisement,
    find_in_ls_refs,
    ls_refs_request,
)
from reconciler.domain.errors import SourceProtocolError
from reconciler.domain.references import BranchName, CommitSha

MAIN = BranchName("main")
ONE, TWO = "1" * 40, "2" * 64


def lines(*texts: str) -> bytes:
    """Return ``texts`` as packets, with a flush packet at the end."""
    return b"".join(pkt_line(f"{text}\n".encode()) for text in texts) + b"0000"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(lines(f"{ONE} refs/heads/main"), ONE, id="there"),
        pytest.param(lines(f"{TWO} refs/heads/main"), TWO, id="sha256"),
        pytest.param(lines(), None, id="nothing-matches"),
        pytest.param(lines(f"{ONE} refs/heads/main-2"), None, id="longer-name"),
        pytest.param(lines(f"{ONE} refs/heads/main/x"), None, id="below"),
        pytest.param(
            lines(f"{ONE} refs/heads/main", f"{TWO} refs/heads/main-2"), ONE, id="and-a-longer-one"
        ),
        pytest.param(lines(f"{ONE} refs/heads/main peeled:{TWO}"), ONE, id="with-attributes"),
        pytest.param(lines("unborn HEAD symref-target:refs/heads/main"), None, id="unborn"),
    ],
)
def test_one_branch_of_an_answer(answer: bytes, found: str | None) -> None:
    """The branch is found by its whole name, or known to be absent."""
    tip = find_in_ls_refs(answer, MAIN)
    assert (tip.text if tip else None) == found


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"00", id="half-a-length"),
        pytest.param(b"<html>", id="html"),
        pytest.param(lines(f"{ONE} refs/heads/main")[:-4], id="no-flush"),
        pytest.param(lines(f"{ONE} refs/heads/main")[:30], id="cut"),
        pytest.param(lines("ERR access denied"), id="said-error"),
        pytest.param(lines(f"{ONE[:39]} refs/heads/main"), id="short-id"),
        pytest.param(lines("word"), id="one-word"),
    ],
)
def test_what_is_not_whole_is_never_an_absent_branch(answer: bytes) -> None:
    """Only an answer that is read to its flush packet can say that a branch is gone."""
    with pytest.raises(SourceProtocolError):
        find_in_ls_refs(answer, MAIN)


def test_an_advertisement_of_an_old_server() -> None:
    """Protocol v0 lists everything, with the capabilities behind the first name."""
    listed = lines(f"{ONE} HEAD\0multi_ack agent=git/1", f"{ONE} refs/heads/main", f"shallow {ONE}")
    service = lines("# service=git-upload-pack")
    assert find_in_advertisement(service + listed, MAIN) == CommitSha(ONE)
    assert find_in_advertisement(service + listed, BranchName("other")) is None
    with pytest.raises(SourceProtocolError):
        find_in_advertisement(listed, MAIN)


def test_the_question_names_one_branch() -> None:
    """Capabilities, a delimiter, one prefix, a flush packet, as protocol v2 wants them."""
    asked = ls_refs_request(MAIN, "sha256")
    assert asked.startswith(b"0014command=ls-refs\n")
    assert b"object-format=sha256\n0001" in asked
    assert asked.endswith(b"001fref-prefix refs/heads/main\n0000")


def test_excerpts_are_safe_to_show() -> None:
    """What a server says reaches a terminal short, and without escape sequences."""
    shown = excerpt(b"\x1b[2Jgone\r\n" + b"x" * 1000)
    assert shown.isprintable()
    assert len(shown) <= 200
