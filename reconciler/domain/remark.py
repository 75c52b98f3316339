"""A person's free text for the record."""

from reconciler.domain.errors import InvalidInput

_LONGEST = 500


def parse_remark(text: str, field: str) -> str:
    """Return ``text`` without spaces around it.

    Raises:
        InvalidInput: control characters, which a terminal would obey, or longer than 500.
    """
    if len(text) > _LONGEST:
        raise InvalidInput(field, text, f"is longer than {_LONGEST} characters")
    if not text.isprintable():
        raise InvalidInput(field, text, "must be one line of printable text")
    return text.strip()
