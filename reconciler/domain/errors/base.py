"""What every expected failure has."""

from collections.abc import Mapping
from enum import StrEnum


class Recovery(StrEnum):
    """What helps."""

    RETRY = "retry"  #: time: try again with backoff
    STALL = "stall"  #: a newer revision or declaration
    OPERATOR = "operator"  #: a person has to act


#: Of several failures the last of these decides.
WORST_LAST = (Recovery.RETRY, Recovery.STALL, Recovery.OPERATOR)


class ReconcilerError(Exception):
    """An expected failure, with the evidence to act on it."""

    code: str = "internal-error"
    recovery: Recovery = Recovery.OPERATOR
    remedy: str = ""

    def __init__(self, message: str, **evidence: str) -> None:
        super().__init__(message)
        self.message = message
        #: What was seen: host, exit status, expected and observed. Never a secret.
        self.evidence: Mapping[str, str] = evidence
