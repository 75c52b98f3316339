"""Text of a form ↔ the JSON that the API takes: the one place where one becomes the other.

What can't be converted is handed on as it was typed, so that the API's own model refuses it, in the
words in which it refuses it to a program.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.web.problems import field_problems

Model = TypeVar("Model", bound=BaseModel)

_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")
_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?P<unit>s|min|h|d)?")
#: Unit → seconds, the longest first.
_SECONDS = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


class Kind(StrEnum):
    """What a field holds, and so how it is written and shown."""

    TEXT = "text"
    CHOICE = "choice"
    NUMBER = "number"
    DURATION = "duration"  #: ``90 s``, ``15 min``, ``3 d``; in JSON a number of seconds
    SWITCH = "switch"  #: ``on`` or empty
    COMMAND = "command"  #: one line with a shell's quoting
    LINES = "lines"  #: one thing a line
    PAIRS = "pairs"  #: ``NAME=value`` a line

    @property
    def is_long(self) -> bool:
        """Whether it has several lines."""
        return self in {Kind.LINES, Kind.PAIRS}


def typed(text: str) -> str:
    """Return what was typed: browsers end lines with CR LF, and people leave spaces around."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def read(kind: Kind, text: str, field: str) -> object:
    """Return the JSON that ``text`` is; None for nothing. Raises ``InvalidInput``."""
    given = typed(text)
    if kind is Kind.SWITCH:
        return given == "on"
    if kind is Kind.LINES:
        return [line.strip() for line in given.split("\n") if line.strip()]
    if kind is Kind.PAIRS:
        return dict(_pair(line.strip(), field) for line in given.split("\n") if line.strip())
    return _READ.get(kind, str)(given) if given else None


def written(kind: Kind, value: object) -> str:
    """Return ``value`` of the JSON as its field shows it."""
    if value is None or value is False:
        return ""
    if kind is Kind.SWITCH:
        return "on"
    if kind is Kind.DURATION and isinstance(value, int | float):
        return _duration_text(value)
    if kind is Kind.PAIRS and isinstance(value, Mapping):
        return "\n".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        every = [str(one) for one in value]
        return shlex.join(every) if kind is Kind.COMMAND else "\n".join(every)
    return str(value)


def as_model(model: type[Model], values: Mapping[str, object]) -> Model:
    """Return ``values`` as the model of the API has them.

    Raises:
        SeveralInvalid: it does not take them; each wrong field is named.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False, include_context=False)
        found = field_problems([{**one, "loc": ("body", *one["loc"])} for one in told])
        raise SeveralInvalid(
            [
                InvalidInput(one.field, None, one.detail.removeprefix(f"{one.field}: "))
                for one in found
            ]
        ) from None


def _number(text: str) -> object:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _duration(text: str) -> object:
    found = _DURATION.fullmatch(text)
    if found is None:
        return text
    seconds = float(found["number"]) * _SECONDS[found["unit"] or "s"]
    return int(seconds) if seconds.is_integer() else seconds


def _duration_text(seconds: float) -> str:
    fits = (unit for unit, size in _SECONDS.items() if seconds >= size and seconds % size == 0)
    unit = next(fits, "s")
    number = seconds / _SECONDS[unit]
    return f"{int(number) if number.is_integer() else number} {unit}"


def _pair(line: str, field: str) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals:
        raise InvalidInput(field, line, "is no line like NAME=value")
    return name.strip(), value


_READ: Mapping[Kind, Callable[[str], object]] = {Kind.NUMBER: _number, Kind.DURATION: _duration}
