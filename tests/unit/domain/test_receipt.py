"""Receipts: any byte that is changed is found, and so is any that is gone or put elsewhere."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.adapters.signing import SigningKey
from reconciler.domain.audit import Head
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.receipt import (
    BEFORE_THE_FIRST,
    Receipt,
    canonical,
    check_receipts,
    parse_content,
    problem_with,
)
from reconciler.domain.receipt_content import Writer, gap_of
from reconciler.domain.secret import Secret
from tests.parts.stores import NOW, WEB

KEY = SigningKey(Secret.of("01" * 32))
OTHER = SigningKey(Secret.of("02" * 32))


def write(previous: Head, key: SigningKey = KEY) -> Receipt:
    writer = Writer("1.0", key.id, previous, NOW)
    number = DeploymentId(previous.number + 10)
    text = canonical(gap_of(writer, number, WEB, Status.FAILED, "é\x1b"))
    return Receipt(previous.number + 1, number, WEB, Status.FAILED, NOW, text, key.sign(text))


def chain(count: int = 4) -> list[Receipt]:
    found: list[Receipt] = []
    for _ in range(count):
        found.append(write(found[-1].head if found else BEFORE_THE_FIRST))
    return found


def problem(receipts: Sequence[Receipt], head: Head | None = None) -> str:
    return check_receipts(receipts, KEY, head or receipts[-1].head).problem


def test_the_text_is_the_same_for_the_same_content() -> None:
    """Sorted, without spaces, in ASCII; what JSON has no word for is refused."""
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,null]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_every_single_byte_that_is_changed_is_found() -> None:
    """Each byte of a text and of its signature, to another one: all are found."""
    receipt = chain(1)[0]
    places, found = 0, 0
    for field in ("text", "signature"):
        whole = getattr(receipt, field)
        for place, letter in enumerate(whole):
            changed = f"{whole[:place]}{chr(ord(letter) ^ 1)}{whole[place + 1 :]}"
            places += 1
            other = replace(receipt, **{field: changed})  # type: ignore[arg-type]
            found += bool(problem([other], receipt.head))
    assert places == len(receipt.text) + 88
    assert found == places


CHAIN = chain()
HEAD = CHAIN[-1].head


@pytest.mark.parametrize(
    ("receipts", "said"),
    [
        pytest.param(CHAIN, "", id="whole"),
        pytest.param([], "receipt 1 and those after it are missing", id="none"),
        pytest.param(CHAIN[1:], "receipt 1 is missing", id="the first is gone"),
        pytest.param([CHAIN[0], *CHAIN[2:]], "receipt 2 is missing", id="one is gone"),
        pytest.param(CHAIN[:3], "receipt 4 and those after it are missing", id="the last is gone"),
        pytest.param([CHAIN[1], CHAIN[0], *CHAIN[2:]], "receipt 1 is missing", id="reordered"),
        pytest.param([*CHAIN, CHAIN[3]], "receipt 5 is missing", id="repeated"),
        pytest.param(
            [*CHAIN[:2], write(CHAIN[1].head, OTHER), CHAIN[3]],
            f"receipt 3 is of another key: it names {OTHER.id}, this is {KEY.id}",
            id="of another key",
        ),
        pytest.param(
            [*CHAIN[:2], write(Head(2, "0" * 64)), CHAIN[3]],
            "receipt 3 does not follow the one that stands before it",
            id="of another chain",
        ),
        pytest.param(
            [*CHAIN[:3], replace(CHAIN[3], deployment=DeploymentId(99))],
            "receipt 4 was signed as that of deployment 13, not of 99",
            id="filed elsewhere",
        ),
    ],
)
def test_what_was_done_to_a_chain_is_named(receipts: Sequence[Receipt], said: str) -> None:
    """The first that is not in order."""
    assert problem(receipts, HEAD) == said


def test_a_chain_that_goes_another_way_from_its_end() -> None:
    """Signed with the right key, and not what was noted."""
    assert "receipt 4 is another one" in problem(CHAIN, Head(4, "0" * 64))


def test_more_than_was_noted_was_written_meanwhile() -> None:
    """Those who look do not stop those who write."""
    assert problem(CHAIN, CHAIN[1].head) == ""
    part = check_receipts(CHAIN[2:], KEY, HEAD, CHAIN[1].head)
    assert (part.intact, part.head) == (True, HEAD)


def signed(text: str) -> Receipt:
    return replace(CHAIN[0], text=text, signature=KEY.sign(text))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "[" * 100_000, '{"format":"other"}'])
def test_a_text_that_is_no_receipt(text: str) -> None:
    """Even with a good signature."""
    assert "can't be read" in problem_with(signed(text), KEY)
    with pytest.raises(ValueError, match=r"."):
        parse_content(text)
