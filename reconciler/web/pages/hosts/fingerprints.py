"""Fingerprints as people compare them: whole, in groups of four."""

from collections.abc import Sequence
from dataclasses import dataclass

_GROUP = 4


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A fingerprint, beside another one or alone."""

    algorithm: str  #: e.g. ``SHA256``
    groups: Sequence[tuple[str, bool]]  #: text, and whether the other has another one there


def grouped(text: str, beside: str = "") -> Fingerprint:
    """Return ``text`` for reading aloud; what differs from ``beside`` is told."""
    algorithm, _, rest = text.rpartition(":")
    mine, others = _groups(rest), _groups(beside.rpartition(":")[2])
    pairs = enumerate(mine)
    return Fingerprint(
        algorithm,
        [(one, bool(beside) and others[at : at + 1] != [one]) for at, one in pairs],
    )


def _groups(text: str) -> list[str]:
    return [text[at : at + _GROUP] for at in range(0, len(text), _GROUP)]
