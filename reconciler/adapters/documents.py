"""TOML, YAML and JSON of people, read within limits that hold before anything can grow."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.adapters.bounded_yaml import parse_typed_yaml
from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import InvalidComposeFile, InvalidInput

LIMIT_BYTES = 1 << 20
_MOST_VALUES = 200_000
_DEEPEST = 20
#: tomllib takes time that grows with the square of the number of a key's parts.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)[ \t]*\.[ \t]*){50}""")
#: tomllib takes a kilobyte of memory for each table, and a hundred bytes for each digit.
_MOST_TABLES = 50_000
_LONG_NUMBER = re.compile(r"(?<![0-9_])[0-9_]{1000}")


class BoundedDocuments:
    """``DocumentReader``."""

    def read(self, content: bytes, form: DocumentForm) -> Mapping[str, object]:
        """Return what the file says. Raises ``InvalidInput``."""
        try:
            read = _READERS[form](_text(content))
        except (ValueError, RecursionError) as error:
            raise _invalid(f"is not {form.upper()}: {_first_line(error)}") from None
        except InvalidComposeFile as error:
            raise _invalid(error.message.removeprefix("the file ")) from None
        if read is None:
            return {}
        if not isinstance(read, dict):
            raise _invalid("must hold tables like `projects` at its top")
        _check_extent(read)
        return read


def _text(content: bytes) -> str:
    if len(content) > LIMIT_BYTES:
        raise _invalid(f"is over {LIMIT_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("is not text in UTF-8") from None


def _read_toml(text: str) -> object:
    _refuse(text, _LONG_KEY, "a key of more than 50 parts")
    _refuse(text, _LONG_NUMBER, "a number of more than 1000 digits")
    if text.count("\n[") + text.count("{") > _MOST_TABLES:
        raise ValueError(f"more than {_MOST_TABLES} tables")
    return tomllib.loads(text)


def _refuse(text: str, pattern: re.Pattern[str], problem: str) -> None:
    if found := pattern.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"{problem} (at line {line})")


def _read_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_number)


def _read_yaml(text: str) -> object:
    return parse_typed_yaml(text, _MOST_VALUES)


_READERS: Mapping[DocumentForm, Callable[[str], object]] = {
    DocumentForm.TOML: _read_toml,
    DocumentForm.YAML: _read_yaml,
    DocumentForm.JSON: _read_json,
}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:80]!r} is there twice")
        found[key] = value
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def _check_extent(root: object) -> None:
    """Refuse what is too deep or too much; with no recursion, which depth would break."""
    count, waiting = 0, [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, int) and abs(node) >= 1 << 63:
            raise _invalid("holds a whole number of more than 64 bits")
        if not isinstance(node, dict | list):
            continue
        count += len(node)
        if depth > _DEEPEST:
            raise _invalid(f"is nested deeper than {_DEEPEST} levels")
        if count > _MOST_VALUES:
            raise _invalid(f"holds more than {_MOST_VALUES} values")
        inner = node.values() if isinstance(node, dict) else node
        waiting.extend((one, depth + 1) for one in inner)


def _first_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {_DEEPEST} levels"
    return str(error).partition("\n")[0][:200]


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("file", None, problem)
