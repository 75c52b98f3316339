"""Reading what somebody else's JSON says, in bounds and piece by piece."""

import json
from collections.abc import Mapping
from typing import Any

from reconciler.domain.errors import InvalidInput

Payload = Mapping[str, Any]

_LONGEST_NAME = 300
_MOST_ITEMS = 1000


def parse_payload(body: bytes) -> Payload:
    """Return the object that ``body`` is.

    Raises:
        InvalidInput: not a JSON object in UTF-8, or one that is nested too deeply.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("body", None, "is not JSON") from None
    if not isinstance(found, dict):
        raise InvalidInput("body", None, "is not a JSON object")
    return found


def object_of(value: object) -> Payload:
    """Return ``value`` as the object that it has to be. Raises ``InvalidInput``."""
    if not isinstance(value, dict):
        raise InvalidInput("body", None, "holds something else where an object should be")
    return value


def value_at(payload: Payload, path: tuple[str, ...]) -> object:
    """Return what stands at ``path``, one object in the other; None where there is nothing."""
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def text_at(payload: Payload, *path: str) -> str:
    """Return the name at ``path``: not empty, of bounded length, without spaces or control codes.

    Raises:
        InvalidInput: there is none.
    """
    found = value_at(payload, path)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_NAME or not _is_plain(found):
        raise InvalidInput(".".join(path), None, "is missing, or no name that can be one")
    return found


def list_at(payload: Payload, *path: str) -> list[object]:
    """Return the list at ``path``, of bounded length. Raises ``InvalidInput``."""
    found = value_at(payload, path)
    if not isinstance(found, list) or len(found) > _MOST_ITEMS:
        raise InvalidInput(".".join(path), None, f"is not a list of at most {_MOST_ITEMS}")
    return found


def _is_plain(text: str) -> bool:
    return text.isprintable() and " " not in text
