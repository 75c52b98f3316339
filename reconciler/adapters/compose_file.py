"""Compose files of strangers: bounded while they are parsed, and read for what matters to us."""

import re
from collections.abc import Iterator, Mapping

from reconciler.adapters.bounded_yaml import Node, parse_yaml
from reconciler.domain.compose import ComposeFile, ComposeService, Reach, ReachKind, ServicePort
from reconciler.domain.errors import InvalidComposeFile, InvalidReference
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.domain.references import parse_service_name

_LIMIT_BYTES = 1 << 20
_MOST_VARIABLES = 2000
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*[=:][ \t]*")
_BARE_NAME = re.compile(r"\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_.-]*\s*")
_MOUNT_SOURCE = re.compile(r"(?:\$\{[^}]*\}|[^:])*")
_PORT = re.compile("[1-9][0-9]{0,4}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class RuamelComposeReader:
    """``ComposeReader`` on ruamel.yaml's event stream."""

    def read(self, content: bytes) -> ComposeFile:
        """Return the services of one file; see ``ComposeReader``."""
        root = parse_yaml(_text(content, "compose file"))
        if root is None:
            raise InvalidComposeFile("the compose file is empty")
        if not isinstance(root, dict):
            raise InvalidComposeFile("the compose file must be a mapping with `services:`")
        services = _mapping(root.get("services"), "services")
        reaches = (*_top_level_reaches(root), *_service_reaches(services))
        if not services and "include" not in root:
            raise InvalidComposeFile("the compose file has no services: add some below `services:`")
        return ComposeFile(tuple(_service(name, body) for name, body in services.items()), reaches)

    def read_environment(self, content: bytes) -> Mapping[str, str]:
        """Return the variables of a ``.env`` file; see ``ComposeReader``."""
        return _Environment(_text(content, "environment file")).read()


def _text(content: bytes, what: str) -> str:
    if len(content) > _LIMIT_BYTES:
        raise InvalidComposeFile(
            f"the {what} has {len(content)} bytes; the limit is {_LIMIT_BYTES} (1 MiB)"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidComposeFile(f"the {what} is not UTF-8 text (line {line})") from None


# ── Services ──────────────────────────────────────────────────────────────────────────────────


def _service(name: str, body: Node) -> ComposeService:
    where = f"services.{name}"
    try:
        service_name = parse_service_name(name, "services")
    except InvalidReference as error:
        raise InvalidComposeFile(error.message) from None
    if not isinstance(body, dict):
        raise InvalidComposeFile(f"{where} must be a mapping, e.g. `image: nginx:1.27`")
    image = body.get("image")
    if image is not None and not isinstance(image, str):
        raise InvalidComposeFile(f"{where}.image must be text")
    if "provider" in body:
        raise InvalidComposeFile(
            f"{where}.provider would run a program of the host; it is not supported"
        )
    return ComposeService(
        name=service_name,
        image=image or None,
        builds=body.get("build") is not None,
        labels=_labels(body.get("labels"), f"{where}.labels"),
        profiles=tuple(_texts(body.get("profiles"), f"{where}.profiles")),
        pull_policy=_policy(body.get("pull_policy"), f"{where}.pull_policy"),
        ports=tuple(_ports(body.get("ports"), body.get("expose"))),
    )


def _ports(published: Node, exposed: Node) -> Iterator[ServicePort]:
    """Return what of both is one port; ranges, variables and what is wrong say nothing to us.

    Source: Compose specification, ``05-services.md``, "ports", "expose".
    """
    for entry in published if isinstance(published, list) else ():
        if isinstance(entry, dict):
            target, host = str(entry.get("target")), str(entry.get("published", ""))
        else:
            host, _, target = str(entry).partition("/")[0].rpartition(":")
            host = host.rpartition(":")[2]
        if _PORT.fullmatch(target):
            yield ServicePort(int(target), int(host) if _PORT.fullmatch(host) else None)
    for entry in exposed if isinstance(exposed, list) else ():
        number = str(entry).partition("/")[0]
        if _PORT.fullmatch(number):
            yield ServicePort(int(number))


def _policy(node: Node, where: str) -> str:
    if node is not None and not isinstance(node, str):
        raise InvalidComposeFile(f"{where} must be text")
    return node or ""


def _labels(node: Node, where: str) -> Mapping[str, str]:
    """Return labels, which are a map, or a list of ``key=value``."""
    if isinstance(node, list):
        pairs = (text.partition("=") for text in _texts(node, where))
        return {key: value for key, _, value in pairs}
    labels = _mapping(node, where)
    if any(isinstance(value, dict | list) for value in labels.values()):
        raise InvalidComposeFile(f"{where} must hold text")
    return {key: value if isinstance(value, str) else "" for key, value in labels.items()}


def _mapping(node: Node, where: str) -> Mapping[str, Node]:
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise InvalidComposeFile(f"{where} must be a mapping")
    return node


def _texts(node: Node, where: str) -> list[str]:
    """Return one text or a list of them as a list."""
    nodes = [] if node is None else node if isinstance(node, list) else [node]
    texts = [text for text in nodes if isinstance(text, str)]
    if len(texts) != len(nodes):
        raise InvalidComposeFile(f"{where} must be text, or a list of texts")
    return texts


# ── What compose would open besides ───────────────────────────────────────────────────────────


def _top_level_reaches(root: Mapping[str, Node]) -> Iterator[Reach]:
    yield from _includes(root.get("include"))
    for section in ("configs", "secrets"):
        for name, body in _mapping(root.get(section), section).items():
            path = _mapping(body, f"{section}.{name}").get("file")
            yield from _reach(ReachKind.FILE, path, f"{section}.{name}.file")
    for name, body in _mapping(root.get("volumes"), "volumes").items():
        where = f"volumes.{name}.driver_opts"
        options = _mapping(_mapping(body, f"volumes.{name}").get("driver_opts"), where)
        if "bind" in str(options.get("o")):
            yield from _reach(ReachKind.MOUNT, options.get("device"), f"{where}.device")


def _includes(node: Node) -> Iterator[Reach]:
    for entry in node if isinstance(node, list) else [] if node is None else [node]:
        parts = entry if isinstance(entry, dict) else {"path": entry}
        yield from _reach(ReachKind.COMPOSE, parts.get("path"), "include")
        yield from _reach(ReachKind.ENVIRONMENT, parts.get("env_file"), "include.env_file")
        yield from _reach(
            ReachKind.FOLDER, parts.get("project_directory"), "include.project_directory"
        )


def _service_reaches(services: Mapping[str, Node]) -> Iterator[Reach]:
    for name, body in services.items():
        if not isinstance(body, dict):
            continue
        where = f"services.{name}"
        extends = body.get("extends")
        if isinstance(extends, dict):
            yield from _reach(ReachKind.COMPOSE, extends.get("file"), f"{where}.extends")
        yield from _environment_files(body.get("env_file"), f"{where}.env_file")
        yield from _reach(ReachKind.ENVIRONMENT, body.get("label_file"), f"{where}.label_file")
        yield from _mounts(body.get("volumes"), f"{where}.volumes")


def _environment_files(node: Node, where: str) -> Iterator[Reach]:
    for entry in node if isinstance(node, list) else [node]:
        if isinstance(entry, dict):
            optional = str(entry.get("required")).lower() == "false"
            yield from _reach(ReachKind.ENVIRONMENT, entry.get("path"), where, optional=optional)
        else:
            yield from _reach(ReachKind.ENVIRONMENT, entry, where)


def _mounts(node: Node, where: str) -> Iterator[Reach]:
    for entry in node if isinstance(node, list) else []:
        source: Node = None
        if isinstance(entry, dict):
            source = entry.get("source") if entry.get("type") == "bind" else None
        elif isinstance(entry, str) and entry.startswith((".", "~", "$")):
            # Compose's short syntax; anything else is an absolute path, or names a volume.
            source = _MOUNT_SOURCE.match(entry)[0]  # type: ignore[index]  # it matches anything
        yield from _reach(ReachKind.MOUNT, source, where)


def _reach(kind: ReachKind, node: Node, where: str, *, optional: bool = False) -> Iterator[Reach]:
    for path in _texts(node, where):
        yield Reach(kind, path, where, optional)


# ── .env ──────────────────────────────────────────────────────────────────────────────────────


class _Environment:
    """Reads compose's dotenv dialect: later lines see earlier ones, single quotes are literal.

    Source: Docker docs, "Set, use and manage variables in a Compose file with interpolation".
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._values: dict[str, str] = {}
        self._length = 0

    def read(self) -> Mapping[str, str]:
        while self._at < len(self._text):
            end = self._end_of_line()
            line = self._text[self._at : end]
            if not line.strip() or line.lstrip().startswith("#") or _BARE_NAME.fullmatch(line):
                self._at = end + 1
                continue
            self._assign()
        return self._values

    def _assign(self) -> None:
        match = _ASSIGNMENT.match(self._text, self._at, self._end_of_line())
        if match is None:
            raise self._error("is not NAME=value")
        self._at = match.end()
        quote = self._text[self._at : self._at + 1]
        value = self._quoted(quote) if quote in {"'", '"'} else self._plain()
        self._values[match["name"]] = value
        self._length += len(value)
        if self._length > _LIMIT_BYTES:
            raise self._error(f"makes the values longer than {_LIMIT_BYTES} characters")
        if len(self._values) > _MOST_VARIABLES:
            raise self._error(
                f"is variable number {_MOST_VARIABLES + 1}; the limit is {_MOST_VARIABLES}"
            )

    def _plain(self) -> str:
        end = self._end_of_line()
        raw = self._text[self._at : end]
        value = self._expand(re.split(r"\s#", f" {raw}", maxsplit=1)[0].strip())
        self._at = end + 1
        return value

    def _quoted(self, quote: str) -> str:
        start = self._at + 1
        end = start
        while end < len(self._text) and self._text[end] != quote:
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise self._error("opens a quote that is never closed")
        inner = self._text[start:end]
        value = inner if quote == "'" else self._expand(_ESCAPE.sub(_unescape, inner))
        self._at = end + 1
        self._at = self._end_of_line() + 1
        return value

    def _expand(self, text: str) -> str:
        try:
            return interpolate(text, self._values, missing="")
        except Unresolved as unresolved:
            raise self._error(f"can't be resolved: {unresolved.what}") from None

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _error(self, problem: str) -> InvalidComposeFile:
        line = self._text.count("\n", 0, self._at) + 1
        return InvalidComposeFile(f"the environment file's line {line} {problem}")


def _unescape(match: re.Match[str]) -> str:
    letter = match[1]
    # An escaped dollar must stay one through the interpolation that follows.
    return "$$" if letter == "$" else _ESCAPED.get(letter, letter)
