"""A document as text, in a form that its reader takes back unchanged. Pure."""

import json
import re
from collections.abc import Iterator, Mapping

from reconciler.domain.document import DocumentForm

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: No YAML reader takes it for anything but text.
_PLAIN_KEY = re.compile(r"(?!(?i:null|true|false|yes|no|on|off|y|n)$)[A-Za-z_][A-Za-z0-9_-]*")

Document = Mapping[str, object]


def write(document: Document, form: DocumentForm) -> str:
    """Return ``document`` in ``form``, ending in a newline."""
    match form:
        case DocumentForm.JSON:
            return json.dumps(document, indent=2) + "\n"
        case DocumentForm.TOML:
            return "\n".join(_toml(document, ())).strip() + "\n"
        case DocumentForm.YAML:
            return "\n".join(_yaml(document, "")) + "\n"


def _toml(table: Document, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its own values first, then the tables within."""
    values = {key: value for key, value in table.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    if path and (values or not tables):
        yield ""
        yield f"[{'.'.join(_key(part, _BARE_KEY) for part in path)}]"
    for key, value in values.items():
        yield f"{_key(key, _BARE_KEY)} = {_toml_value(value)}"
    for key, inner in tables.items():
        yield from _toml(inner, (*path, key))


def _toml_value(value: object) -> str:
    """Return a value, tables in it included, on one line."""
    match value:
        case dict():
            pairs = (f"{_key(key, _BARE_KEY)} = {_toml_value(one)}" for key, one in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case list():
            return f"[{', '.join(map(_toml_value, value))}]"
        case _:
            return _value(value)


def _yaml(table: Document, indent: str) -> Iterator[str]:
    for key, value in table.items():
        name = f"{indent}{_key(key, _PLAIN_KEY)}:"
        if isinstance(value, dict) and value:
            yield name
            yield from _yaml(value, f"{indent}  ")
        else:
            yield f"{name} {_value(value)}"


def _key(key: str, bare: re.Pattern[str]) -> str:
    return key if bare.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    """Return a value as all three forms write it."""
    # What JSON leaves as it is, and TOML and YAML do not take: DEL and the C1 controls.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
