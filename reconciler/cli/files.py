"""Files that a command is given, read within bounds."""

import sys
from pathlib import Path

from reconciler.cli.failure import CommandFailed, ExitStatus

_LIMIT_BYTES = 1 << 20


def is_stdin(file: Path) -> bool:
    """Tell whether ``file`` stands for standard input."""
    return str(file) == "-"


def name_of(file: Path) -> str:
    """Return what people call it."""
    return "standard input" if is_stdin(file) else str(file)


def read_text(file: Path, limit_bytes: int = _LIMIT_BYTES) -> str:
    """Return the text of a file, or what comes in on standard input.

    Raises:
        CommandFailed: it can't be read, is too long, or is no text.
    """
    try:
        return _read(file, limit_bytes).decode()
    except OSError as error:
        text = f"{name_of(file)} can't be read ({error.strerror})"
        raise CommandFailed(text, status=ExitStatus.INVALID) from error
    except UnicodeDecodeError as error:
        text = f"{name_of(file)} is not text in UTF-8"
        raise CommandFailed(text, status=ExitStatus.INVALID) from error


def _read(file: Path, limit_bytes: int) -> bytes:
    if is_stdin(file):
        content = sys.stdin.buffer.read(limit_bytes + 1)
    else:
        with file.expanduser().open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        text = f"{name_of(file)} is over {limit_bytes >> 20} MiB"
        raise CommandFailed(text, status=ExitStatus.INVALID)
    return content
