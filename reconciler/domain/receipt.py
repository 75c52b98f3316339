"""Receipts: what became of each deployment, signed, each one naming the one before it.

What is signed is the receipt's own text: JSON with sorted keys, without spaces, in ASCII alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.domain.audit import Head
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.references import ProjectName

FORMAT = "reconciler-receipt/1"
#: What the first receipt follows.
BEFORE_THE_FIRST = Head()
#: As ``json`` holds an object.
Document = Mapping[str, object]


class ReceiptKey(Protocol):
    """The public half of a key that receipts are signed with."""

    @property
    def id(self) -> str:
        """Name it: hex digits of its own hash."""
        ...

    def verifies(self, text: str, signature: str) -> bool:
        """Tell whether ``signature`` is the one of ``text``, byte by byte. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt as it is kept: a text and its signature, and what one looks it up by."""

    number: int  #: from 1 on, without a gap, over all projects
    deployment: DeploymentId
    project: ProjectName
    status: Status  #: how the deployment ended
    at: datetime  #: when it was written
    text: str  #: what was signed
    signature: str  #: Ed25519, in base64

    @property
    def content(self) -> Document:
        """What the text says. Raises ``ValueError``: nothing that a receipt says."""
        return parse_content(self.text)

    @property
    def head(self) -> Head:
        """What the next one names it by."""
        return Head(self.number, hash_of(self.text))


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """What looking through receipts gave."""

    head: Head  #: the newest one that was found in order
    problem: str = ""  #: what is wrong with the first one that is not; empty: all are in order

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, taken away, added or put elsewhere."""
        return not self.problem


def canonical(content: Document) -> str:
    """Return the text that is signed: the same for the same content, whoever writes it.

    Raises:
        ValueError: JSON has no word for something in it.
        TypeError: as ``ValueError``.
    """
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def parse_content(text: str) -> Document:
    """Return what a receipt's text says. Raises ``ValueError``: it is not one."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"it is not of the format {FORMAT}")
    return found


def hash_of(text: str) -> str:
    """Return the hex SHA-256 by which the next receipt names the one of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def problem_with(receipt: Receipt, key: ReceiptKey) -> str:
    """Return what was done to one receipt, looked at alone; empty if nothing was."""
    name = f"receipt {receipt.number}"
    if not key.verifies(receipt.text, receipt.signature):
        other = _other_key(receipt.text, key)
        return f"{name} {other or 'is not as it was signed'}"
    try:
        content = receipt.content
    except ValueError as error:
        return f"{name} can't be read: {error}"
    for field, value in (
        ("number", receipt.number),
        ("deployment", receipt.deployment),
        ("project", receipt.project),
        ("status", receipt.status),
    ):
        if content.get(field) != value:
            return f"{name} was signed as that of {field} {content.get(field)}, not of {value}"
    return ""


def check_receipts(
    receipts: Iterable[Receipt], key: ReceiptKey, head: Head, seen: Head = BEFORE_THE_FIRST
) -> ReceiptCheck:
    """Look through ``receipts``, oldest first.

    Args:
        receipts: all there are.
        key: what they were signed with.
        head: the newest one, as it is kept apart, read before them.
        seen: the one before the first of them, where they are not all.
    """
    for receipt in receipts:
        if receipt.number != seen.number + 1:
            return ReceiptCheck(seen, f"receipt {seen.number + 1} is missing")
        if problem := problem_with(receipt, key):
            return ReceiptCheck(seen, problem)
        if receipt.content.get("previous") != seen.seal:
            return ReceiptCheck(
                seen, f"receipt {receipt.number} does not follow the one that stands before it"
            )
        seen = receipt.head
        if seen.number == head.number and seen != head:
            return ReceiptCheck(seen, f"receipt {seen.number} is another one than was noted of it")
    # What was written since ``head`` was read is there already, and in order.
    if seen.number < head.number:
        return ReceiptCheck(seen, f"receipt {seen.number + 1} and those after it are missing")
    return ReceiptCheck(seen)


def _other_key(text: str, key: ReceiptKey) -> str:
    """Say so where a text itself names another key; empty where it does not."""
    try:
        daemon = parse_content(text).get("daemon")
    except ValueError:
        return ""
    named = daemon.get("key") if isinstance(daemon, dict) else None
    return "" if named == key.id else f"is of another key: it names {named}, this is {key.id}"
