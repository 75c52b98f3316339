"""Commands that an operator declares: argument lists, which no shell ever reads."""

import shlex
from collections.abc import Sequence

from reconciler.domain.errors import InvalidInput

_MOST_ARGUMENTS = 100
_LONGEST_ARGUMENT = 4096
#: Words that only a shell understands.
_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})


def parse_argv(declared: object, field: str) -> tuple[str, ...]:
    """Return a command that was written as a list, or as one line with a shell's quoting.

    Raises:
        InvalidInput: it is neither, empty, too long, or a line that needs a shell.
    """
    words = _split(declared, field) if isinstance(declared, str) else declared
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise InvalidInput(field, None, "must be a list of texts, or one line of text")
    if not words or not words[0]:
        raise InvalidInput(field, None, "must name a program to run")
    if len(words) > _MOST_ARGUMENTS:
        raise InvalidInput(field, len(words), f"arguments are more than {_MOST_ARGUMENTS}")
    for at, word in enumerate(words):
        if len(word) > _LONGEST_ARGUMENT:
            raise InvalidInput(f"{field}.{at}", word, f"is longer than {_LONGEST_ARGUMENT}")
        if not all(char.isprintable() or char in "\n\t" for char in word):
            raise InvalidInput(f"{field}.{at}", word, "must hold no control characters")
    return tuple(words)


def _split(line: str, field: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:
        raise InvalidInput(field, line, "has a quotation mark or a backslash too many") from None
    operators = [word for word in words if word in _OPERATORS or word.endswith(";")]
    if operators:
        problem = (
            f"needs a shell for {operators[0]!r}, and none reads it; "
            f'put it into a script, or write the list ["sh", "-c", "…"]'
        )
        raise InvalidInput(field, line, problem)
    return words
