"""How a command fails: one line, what helps, and an exit status that scripts can tell apart."""

from collections.abc import Mapping
from enum import IntEnum


class ExitStatus(IntEnum):
    """What a command ends with. From 64 on as sysexits(3) has them."""

    OK = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 10  #: this and the next: of a deployment
    FAILED = 11
    ROLLED_BACK = 12
    NEEDS_OPERATOR = 13
    REPLACED = 14  #: superseded or withdrawn before it changed anything
    TIMED_OUT = 15
    WOULD_CHANGE = 16  #: of a plan, where it was asked for
    WAITS = 17  #: of a promotion: for approvals or a window
    INVALID = 65
    NOT_FOUND = 66
    UNREACHABLE = 69
    TRY_AGAIN = 75
    DENIED = 77
    CONFIG = 78
    INTERRUPTED = 130


class CommandFailed(Exception):
    """What ends a command, for the terminal: ``error: message; remedy``."""

    def __init__(
        self,
        message: str,
        remedy: str = "",
        status: ExitStatus = ExitStatus.ERROR,
        *,
        answer: int | None = None,
        code: str = "",
        problem: Mapping[str, object] | None = None,
        several: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status
        self.answer = answer  #: HTTP status, where the daemon said no
        self.code = code  #: of that answer
        self.problem = dict(problem or {})  #: that answer
        self.several = several  #: the parts of a message that tells of more than one problem
        #: What the terminal shows in place of the message, each as an error of its own.
        self.lines: tuple[str, ...] = ()


def details_of(problem: Mapping[str, object]) -> tuple[str, ...]:
    """Return each of the several problems that a document tells; empty where it is one."""
    several = problem.get("problems")
    parts = (
        [part for part in several if isinstance(part, dict)] if isinstance(several, list) else []
    )
    return tuple(_with_field(part.get("field"), part.get("detail")) for part in parts)


def detail_of(problem: Mapping[str, object]) -> str:
    """Return what a problem document says is wrong."""
    if details := details_of(problem):
        return "; ".join(details)
    return str(problem.get("detail") or problem.get("title") or "")


def _with_field(field: object, detail: object) -> str:
    text = str(detail)
    return text if not field or text.startswith(f"{field}:") else f"{field}: {text}"
