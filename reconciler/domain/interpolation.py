"""Compose's ``$VARIABLE`` syntax, resolved with a project's own environment only.

Source: Compose specification, ``12-interpolation.md``.
"""

import re
from collections.abc import Mapping

_EXPRESSION = re.compile(r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>\{))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_DEEPEST = 10
#: A variable may stand for others, and those for others again: a few lines would fill the memory.
_LONGEST = 1 << 20


class Unresolved(Exception):
    """A variable that the environment does not have, or an expression that nobody can read."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def interpolate(
    text: str, environment: Mapping[str, str], depth: int = 0, *, missing: str | None = None
) -> str:
    """Return ``text`` with its variables resolved; ``$$`` is a literal ``$``.

    Args:
        text: what may hold variables.
        environment: their values, which are taken as they are.
        depth: how many defaults this one is nested in.
        missing: what an unset variable becomes; None makes it unresolved.

    Raises:
        Unresolved: a variable without value and default, a required one, bad syntax, or a result
            that is far too long.
    """
    if depth > _DEEPEST:
        raise Unresolved("defaults nested too deeply")
    out: list[str] = []
    at = length = 0
    while (dollar := text.find("$", at)) >= 0:
        out.append(text[at:dollar])
        match = _EXPRESSION.match(text, dollar)
        if match is None:
            raise Unresolved(f"invalid expression at {text[dollar : dollar + 10]!r}")
        if match["escaped"]:
            out.append("$")
            at = match.end()
        elif match["plain"]:
            out.append(_value(match["plain"], environment, missing))
            at = match.end()
        else:
            close = _closing_brace(text, match.end())
            out.append(_braced(text[match.end() : close], environment, depth, missing))
            at = close + 1
        length += len(out[-1])
        if length > _LONGEST:
            raise Unresolved(f"its value would have more than {_LONGEST} characters")
    return "".join(out) + text[at:]


def _value(name: str, environment: Mapping[str, str], missing: str | None) -> str:
    value = environment.get(name, missing)
    if value is None:
        raise Unresolved(name)
    return value


def _closing_brace(text: str, at: int) -> int:
    depth = 1
    while at < len(text):
        if text.startswith(("$$", "${"), at):
            depth += text[at + 1] == "{"
            at += 2
            continue
        depth -= text[at] == "}"
        if depth == 0:
            return at
        at += 1
    raise Unresolved("a brace that is not closed")


def _braced(
    expression: str, environment: Mapping[str, str], depth: int, missing: str | None
) -> str:
    name_match = _NAME.match(expression)
    if name_match is None:
        raise Unresolved(f"invalid expression {expression[:20]!r}")
    name = name_match.group()
    rest = expression[name_match.end() :]
    if not rest:
        return _value(name, environment, missing)
    operator_match = _OPERATOR.match(rest)
    if operator_match is None:
        raise Unresolved(f"invalid expression {expression[:20]!r}")
    operator, word = operator_match.group(), rest[operator_match.end() :]
    value = environment.get(name)
    present = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return interpolate(word, environment, depth + 1, missing=missing) if present else ""
    if present and value is not None:
        return value
    if operator.endswith("-"):
        return interpolate(word, environment, depth + 1, missing=missing)
    raise Unresolved(name)
