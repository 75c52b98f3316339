"""YAML of strangers, read from the event stream: limits hold before anything can grow.

No loader runs and no tag builds anything. Every scalar stays the text it was written as (or None),
so that ``22:22``, ``on`` and ``0755`` mean what YAML 1.2 and compose say they mean; or it becomes
what the core schema of YAML 1.2 says, and no more than that.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from reconciler.domain.errors import InvalidComposeFile

#: One of ruamel.yaml's events; its attributes depend on its kind, which its types don't say.
Event = Any

Node = dict[str, "Node"] | list["Node"] | str | None

_MOST_NODES = 20_000  #: what aliases stand for counts each time
_DEEPEST = 40
_MOST_ALIASES = 500
#: The scanner takes time that grows with the square of a tag's length.
_OF_TAG = r"\w\-;/?:@&=+$,.~*'()\[\]%<"
#: A word is looked through once, from its beginning on: after its first ``!`` it is the longest.
_LONG_TAG = re.compile(
    rf"(?<![{_OF_TAG}!])[{_OF_TAG}]*+![{_OF_TAG}!]{{4096}}|^%.{{4096}}", re.MULTILINE
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CORE_TAG = "tag:yaml.org,2002:"
_CORE = frozenset({"str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp"})
_MERGE = "<<"
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SWITCHES = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def parse_yaml(text: str) -> Node:
    """Return the one document in ``text``; None if there is nothing in it.

    Merge keys are resolved, ``!override`` is the value itself and ``!reset`` is None.

    Raises:
        InvalidComposeFile: with the line, where there is one.
    """
    return _parse(text, _Builder(_scalar, _MOST_NODES))


def parse_typed_yaml(text: str, most_values: int) -> object:
    """Return the same with numbers, true, false and null where the core schema has them.

    Raises:
        InvalidComposeFile: with the line, where there is one.
    """
    return _parse(text, _Builder(_typed_scalar, most_values))


def _parse(text: str, builder: "_Builder") -> Node:
    # Heavy, and only needed when there is a file to read.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if _LONG_TAG.search(text):
        raise InvalidComposeFile("the file is not acceptable YAML: a tag of more than 4096 letters")
    try:
        return builder.build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _invalid(str(error.problem or error.context or "can't be read"), mark) from None
    except (YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "can't be read"
        raise InvalidComposeFile(f"the file is not YAML: {reason}") from None


def _invalid(problem: str, mark: Any) -> InvalidComposeFile:
    line = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return InvalidComposeFile(f"the file is not acceptable YAML: {problem}{line}")


class _Open:
    """A collection whose end has not been read yet."""

    def __init__(self, node: "dict[str, Node] | list[Node]", event: Event, *, reset: bool) -> None:
        self.node = node
        self.anchor: str | None = event.anchor
        self.reset = reset
        self.weight = 1
        self.key: str | None = None
        self.merges: list[Node] = []


class _Builder:
    """Builds plain texts, lists and dicts, and stops at the first limit."""

    def __init__(self, scalar: Callable[[Event], Any], most_nodes: int) -> None:
        self._scalar = scalar
        self._most_nodes = most_nodes
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._aliases = 0
        self._documents = 0
        self._nodes = 0
        self._root: Node = None

    def build(self, events: Iterable[Event]) -> Node:
        for event in events:
            kind = type(event).__name__
            self._nodes += kind in {"ScalarEvent", "MappingStartEvent", "SequenceStartEvent"}
            if self._nodes > self._most_nodes:
                raise _invalid(f"more than {self._most_nodes} values", event.start_mark)
            match kind:
                case "DocumentStartEvent":
                    self._begin_document(event)
                case "ScalarEvent":
                    # A key is text, whatever it looks like.
                    read = _scalar if self._wants_key() else self._scalar
                    self._take(*self._anchored(event.anchor, read(event), 1), event)
                case "AliasEvent":
                    self._take(*self._alias(event), event)
                case "MappingStartEvent" | "SequenceStartEvent":
                    self._begin(event, {} if kind == "MappingStartEvent" else [])
                case "MappingEndEvent" | "SequenceEndEvent":
                    self._end(event)
        return self._root

    def _begin_document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _invalid("a second document begins; one is allowed", event.start_mark)

    def _anchored(self, anchor: str | None, node: Node, weight: int) -> tuple[Node, int]:
        if anchor:
            self._anchors[anchor] = (node, weight)
        return node, weight

    def _alias(self, event: Event) -> tuple[Node, int]:
        self._aliases += 1
        if self._aliases > _MOST_ALIASES:
            raise _invalid(f"more than {_MOST_ALIASES} aliases", event.start_mark)
        # An anchor is known only once its node is complete, so that none can hold itself.
        if event.anchor not in self._anchors:
            raise _invalid(
                f"alias *{event.anchor} names nothing that came before it", event.start_mark
            )
        return self._anchors[event.anchor]

    def _begin(self, event: Event, node: "dict[str, Node] | list[Node]") -> None:
        if len(self._open) >= _DEEPEST:
            raise _invalid(f"nested deeper than {_DEEPEST} levels", event.start_mark)
        if self._wants_key():
            raise _invalid("a key must be text", event.start_mark)
        self._open.append(_Open(node, event, reset=_is_reset(event)))

    def _end(self, event: Event) -> None:
        done = self._open.pop()
        node: Node = done.node
        if isinstance(node, dict):
            for merged in done.merges:
                _merge(merged, node, event)
        if done.reset:
            node = None
        self._take(*self._anchored(done.anchor, node, done.weight), event)

    def _wants_key(self) -> bool:
        return (
            bool(self._open)
            and isinstance(self._open[-1].node, dict)
            and self._open[-1].key is None
        )

    def _take(self, node: Node, weight: int, event: Event) -> None:
        """Put a complete node where it belongs."""
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.weight += weight
        if parent.weight > self._most_nodes:
            raise _invalid(
                f"aliases expand to more than {self._most_nodes} values", event.start_mark
            )
        if isinstance(parent.node, list):
            parent.node.append(node)
        elif parent.key is None:
            parent.key = self._key(node, parent.node, event)
        else:
            key, parent.key = parent.key, None
            if key == _MERGE:
                parent.merges.append(node)
            else:
                parent.node[key] = node

    def _key(self, node: Node, siblings: dict[str, Node], event: Event) -> str:
        if not isinstance(node, str):
            raise _invalid("a key must be text", event.start_mark)
        if node in siblings:
            raise _invalid(f"key {node[:80]!r} is there twice", event.start_mark)
        return node


def _scalar(event: Event) -> str | None:
    if _is_reset(event):
        return None
    text: str = event.value
    plain = event.implicit[0]
    return None if plain and text in _NULLS else text


def _typed_scalar(event: Event) -> str | float | bool | None:
    """Return a scalar as YAML 1.2.2, 10.3.2 resolves it; other bases than ten stay text."""
    text = _scalar(event)
    if text is None or not event.implicit[0]:
        return text
    if text in _SWITCHES:
        return _SWITCHES[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if len(text) < 40 and _NUMBER.fullmatch(text) else text


def _is_reset(event: Event) -> bool:
    tag: str | None = event.tag and str(event.tag)
    if tag is None or tag in {"!", "!override"}:
        return False
    if tag == "!reset":
        return True
    if tag.startswith(_CORE_TAG) and tag.removeprefix(_CORE_TAG) in _CORE:
        return False
    raise _invalid(f"tag {tag[:80]} is not one of compose's", event.start_mark)


def _merge(source: Node, into: dict[str, Node], event: Event) -> None:
    """Add what ``<<`` names; keys that are there already win, and so do earlier sources."""
    for mapping in source if isinstance(source, list) else [source]:
        if not isinstance(mapping, dict):
            raise _invalid("`<<` takes a mapping, or a list of them", event.start_mark)
        for key, value in mapping.items():
            into.setdefault(key, value)
