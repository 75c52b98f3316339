"""What an entry of a fleet file may hold: the fields of the drafts, each of its type. Pure."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.target_draft import TargetDraft

#: Field → its value as drafts have it; None: back to the default, whatever a template says.
Values = dict[str, object]

_LONGEST_KEY = 80
_SECRET_KEY = re.compile(
    r"(?i).*(?:passw|passphrase|secret|token|credential|private_?key|ssh_?key).*|key|variables?"
)


@dataclass(frozen=True, slots=True)
class _Kind:
    fits: Callable[[object], bool]
    wanted: str  #: goes on from the value
    read: Callable[[object], object] = lambda value: value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _tuple_of(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_TEXT = _Kind(_is_text, "must be text in quotes")
_SWITCH = _Kind(lambda value: isinstance(value, bool), "must be true or false")
_WHOLE = _Kind(_is_whole, "must be a whole number, without quotes")
_NUMBER = _Kind(
    lambda value: _is_whole(value) or isinstance(value, float), "must be a number, without quotes"
)
_TEXTS = _Kind(_is_texts, 'must be a list of texts, like ["one", "two"]', _tuple_of)
_COMMAND = _Kind(
    lambda value: _is_text(value) or _is_texts(value),
    "must be a list of texts, or one line of text",
    _tuple_of,
)
_TABLE = _Kind(lambda value: isinstance(value, dict), "must be a table of its own")
_TABLES = _Kind(
    lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "must be a list of tables",
    _tuple_of,
)
_TABLE_OF_TEXTS = _Kind(
    lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    "must be a table of texts, each in quotes",
)
#: Type of a draft's field → what a file may hold for it.
_KINDS: Mapping[object, _Kind] = {
    str: _TEXT,
    str | None: _TEXT,
    bool: _SWITCH,
    int | None: _WHOLE,
    float | None: _NUMBER,
    tuple[str, ...]: _TEXTS,
    tuple[str, ...] | str: _COMMAND,
    Mapping[str, object] | None: _TABLE,
    Mapping[str, str]: _TABLE_OF_TEXTS,
    Sequence[Mapping[str, object]]: _TABLES,
}

Draft = type[HostDraft] | type[ProjectDraft] | type[TargetDraft]


def _fields_of(draft: Draft, key: str) -> Mapping[str, _Kind]:
    return {one.name: _KINDS[one.type] for one in fields(draft) if one.name != key}


HOST_FIELDS = _fields_of(HostDraft, "name")
TARGET_FIELDS = _fields_of(TargetDraft, "host")
PROJECT_FIELDS = {**_fields_of(ProjectDraft, "name"), "extends": _TEXT, "targets": _TABLE}


def at(path: str, key: str) -> str:
    """Return the path of ``key`` below ``path``, short and on one line whatever it is."""
    name = key if key.isprintable() and len(key) <= _LONGEST_KEY else ascii(key[:_LONGEST_KEY])
    return f"{path}.{name}" if path else name


def read_table(value: object, path: str, problems: Problems) -> Mapping[str, object]:
    """Return ``value`` if it is a table; else an empty one, and a problem."""
    if isinstance(value, dict):
        return value
    if value is not None:
        problems.found.append(InvalidInput(path, shown(value), _TABLE.wanted))
    return {}


def read_fields(
    given: Mapping[str, object], known: Mapping[str, _Kind], path: str, problems: Problems
) -> Values:
    """Return those of ``given`` that are as they should be; the others become problems."""
    problems.found.extend(unknown_keys(given, known, path))
    found: Values = {}
    for name, value in given.items():
        kind = known.get(name)
        if kind is None:
            continue
        if value is None or kind.fits(value):
            found[name] = None if value is None else kind.read(value)
        else:
            # An environment in another form may have a secret in it, as one that fits may not.
            said = None if kind is _TABLE_OF_TEXTS else shown(value)
            problems.found.append(InvalidInput(at(path, name), said, kind.wanted))
    return found


def unknown_keys(
    given: Mapping[str, object], known: Collection[str], path: str
) -> Iterator[InvalidInput]:
    """Name each key that is none of ``known``; no value is shown, it may be a secret."""
    for key in given:
        if key in known:
            continue
        if _SECRET_KEY.fullmatch(key):
            yield InvalidInput(at(path, key), None, secret_remedy(path))
        else:
            problem = f"is not known here; there are {', '.join(known)}"
            yield InvalidInput(at(path, key), None, problem)


def secret_remedy(path: str) -> str:
    """Return why a secret at ``path`` is refused, and where it belongs."""
    family, _, rest = path.partition(".")
    name = rest.partition(".")[0]
    where = {
        "hosts": f"`reconciler host key {name}` stores the key of a host",
        "projects": f"store it with `reconciler secret set {name} …`, encrypted",
    }.get(family, "store it with `reconciler secret set PROJECT …`, encrypted")
    return f"holds a secret in clear text, which this file is no place for; {where}"
