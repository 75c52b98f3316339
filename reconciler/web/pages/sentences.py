"""What is recorded in words, as a sentence that stands by itself."""

from collections.abc import Iterable


def sentence(text: str, names: Iterable[str] = ()) -> str:
    """Return ``text`` with a capital letter and a full stop; one of ``names`` stays as it is."""
    if not text:
        return ""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    # Errors begin with whose they are, like `web: …`.
    is_name = first.endswith(":") or any(name.startswith(first) for name in names)
    begun = text if is_name else text[0].upper() + text[1:]
    return begun if begun.endswith((".", "…", "?", "!")) else f"{begun}."


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 commit``, ``2 commits``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
