"""Structured logs on the standard library, and the redaction that everything shown goes through.

    log = logging.getLogger(__name__)
    with log_fields(project="web", deployment=12):
        log.info("applied", extra=fields(seconds=4.2))

Nothing that leaves here holds a registered secret, a control character, or a line without end.
"""

import base64
import json
import logging
import re
import secrets
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from reconciler.domain.secret import Secret

#: What is shown of a line, at most.
LINE_LIMIT = 8192
#: Stands where a secret was.
MASK = "***"

#: Shorter texts are not looked for: to hide every ``1`` and ``on`` hides the log, and no secret.
_SHORTEST = 4
#: Below this, only whole words are hidden: ``prod`` by itself, and not in ``production``.
_SHORTEST_WITHIN_WORDS = 8
#: How many characters needles are indexed by: enough to tell tokens with one prefix apart.
_KEY = _SHORTEST_WITHIN_WORDS

#: No letter of a string is looked at twice, whether it ends or not: others write what is cleaned.
ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor. Source: ECMA-48, 5.4
    r"|\x1b[\]PX^_][^\x07\x1b\n]*+(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]?"
)
#: Source: ECMA-48, 8.3.117 "SGR".
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,40}m")
# C0 but the tab, C1, line and paragraph separators, and what turns the direction of writing.
CONTROLS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# The user name of an ssh URL is no secret by itself; anywhere else it may be a token.
_URL_CREDENTIALS = re.compile(r"(?<=://)(?:(?<!ssh://)[^\s/]*|[^\s/:@]*:[^\s/]*)(?=@)")
_AUTHORIZATION = re.compile(
    r"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?(?:\w+\s+)?)[^\s'\",]+"
)


def plain(text: str) -> str:
    r"""Return ``text`` as one line without escape sequences and control characters; tabs stay.

    A line's end inside of it shows as ``\n``, so that nobody can forge a record.
    """
    if text.isprintable():
        return text
    text = ESCAPES.sub("", text.strip("\r\n")).replace("\r\n", "\\n").replace("\n", "\\n")
    return CONTROLS.sub("", text)


def _coloured(line: str) -> str:
    """Return ``plain(line)`` with the sequences that set colours."""
    parts, end = [], 0
    for escape in ESCAPES.finditer(line):
        parts.append(plain(line[end : escape.start()]))
        parts.append(escape[0] if _COLOUR.fullmatch(escape[0]) else "")
        end = escape.end()
    return "".join([*parts, plain(line[end:])])


def shorten(text: str, limit: int = LINE_LIMIT) -> str:
    """Return at most ``limit`` characters of ``text``, and say how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({len(text) - limit} more characters)"


class Redactor:
    """Takes registered secrets and their encodings out of text. Safe to share between threads.

    Found are the text itself; URL-quoted, JSON- and shell-escaped; base64, also in the middle of
    something longer such as ``user:password``; each line of a secret with several. Texts under 4
    characters are not hidden, those under 8 only as whole words.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registered: set[str] = set()
        #: First characters → needles, longest first. Each entry is replaced whole: readers need
        #: no lock.
        self._needles: dict[str, tuple[str, ...]] = {}
        self._words: set[str] = set()
        self._any_word: re.Pattern[str] | None = None

    def register(self, *secrets: Secret) -> None:
        """Hide these from now on. Safe to repeat."""
        with self._lock:
            new = {secret.reveal() for secret in secrets} - self._registered
            self._registered |= new
            for needle in {form for text in new for form in _forms(text)}:
                self._add(needle)
            if self._words:
                self._any_word = _pattern_of(self._words)

    def _add(self, needle: str) -> None:
        if len(needle) < _SHORTEST_WITHIN_WORDS:
            self._words.add(needle)
            return
        beside = self._needles.get(needle[:_KEY], ())
        if needle not in beside:
            ordered = sorted((*beside, needle), key=len, reverse=True)
            self._needles[needle[:_KEY]] = tuple(ordered)

    def clean(self, text: str) -> str:
        """Return ``text`` as one line that may be shown: redacted, plain, of bounded length."""
        # Redacted before it is cut, so that no half of a secret stands at the end.
        return shorten(self.redact(plain(text)))

    def clean_output(self, line: str) -> str:
        """As ``clean``, for what a program wrote: of what it wrote over the last, and its colours.

        Where a colour begins or ends within a secret, none is kept: it would hide the secret.
        """
        line = line.rstrip("\r\n").rpartition("\r")[2]
        cleaned = self.clean(line)
        if "\x1b" not in line:
            return cleaned
        coloured = self.redact(_coloured(line))
        return coloured if plain(coloured) == cleaned else cleaned

    def redact(self, text: str) -> str:
        """Return ``text`` without secrets and URL credentials, otherwise as it is."""
        if self._needles:
            text = self._cut(text)
        if self._any_word:
            text = self._any_word.sub(MASK, text)
        if "://" in text:
            text = _URL_CREDENTIALS.sub(MASK, text)
        if "uthorization" in text or "UTHORIZATION" in text:
            text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        return text

    def _cut(self, text: str) -> str:
        """Mask every needle; those that overlap become one mask."""
        parts, shown, hidden = [], 0, 0  # end of what is in parts; end of the present mask
        needles = self._needles
        for start in range(len(text) - _KEY + 1):
            for needle in needles.get(text[start : start + _KEY], ()):
                if not text.startswith(needle, start):
                    continue
                if start >= hidden:
                    parts += [text[shown:start], MASK]
                hidden = shown = max(hidden, start + len(needle))
                break
        return "".join([*parts, text[shown:]]) if parts else text


def _pattern_of(words: set[str]) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


def _forms(text: str) -> Iterator[str]:
    """Yield each form that ``text`` may take in output, none shorter than what we look for."""
    lines = text.splitlines()
    if len(lines) > 1:
        # The frame of a key (`-----BEGIN …`) is in every key; a lone brace is in every file.
        for line in lines:
            if len(line.strip()) >= _SHORTEST_WITHIN_WORDS and not line.startswith("-----"):
                yield from _forms(line.strip())
    if len(stripped := text.strip()) < _SHORTEST:
        return
    yield stripped
    if len(stripped) < _SHORTEST_WITHIN_WORDS:
        return
    for quoted in (quote(stripped, safe=""), quote(stripped), quote_plus(stripped)):
        yield from (quoted, re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted))
    yield json.dumps(stripped)[1:-1]
    yield json.dumps(stripped, ensure_ascii=False)[1:-1]
    yield shlex.quote(stripped).strip("'")
    for whole in {text, stripped}:
        yield from _base64_forms(whole.encode())


def _base64_forms(content: bytes) -> Iterator[str]:
    """Yield what base64 makes of ``content`` wherever it starts within something longer."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content)
        # Characters that also hold bits of what stands before or after it are left out.
        first, last = -(-before * 8 // 6), (before + len(content)) * 8 // 6
        form = encoded[first:last].decode()
        if len(form) >= _SHORTEST_WITHIN_WORDS:
            yield form
            yield form.replace("+", "-").replace("/", "_")


# ── records ───────────────────────────────────────────────────────────────────────────────────

_context: ContextVar[Mapping[str, object]] = ContextVar("reconciler_log_fields")


def fields(**named: object) -> dict[str, Any]:
    """Return ``named`` for the ``extra`` of a log call; names may be any."""
    return {"fields": named}


@contextmanager
def log_fields(**named: object) -> Iterator[None]:
    """Add ``named`` (project, deployment, …) to all that this thread or task logs in the block."""
    token = _context.set({**_context.get({}), **named})
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def correlated(given: str = "") -> Iterator[str]:
    """Work in the block under one id, which all that is logged in it has, and yield it.

    It is ``given``, else the one that is in force already, else a new one.
    """
    found = given or correlation_id() or secrets.token_hex(8)
    with log_fields(correlation=found):
        yield found


def correlation_id() -> str:
    """Return the id that this thread or task works under; empty: none."""
    return str(_context.get({}).get("correlation", ""))


def set_up_logs(
    redactor: Redactor, *, level: str = "info", style: str = "text", stream: TextIO | None = None
) -> None:
    """Send all logs of this process to ``stream`` (stderr), one record a line.

    Args:
        redactor: what every record goes through.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
        stream: another place.
    """
    sink = logging.StreamHandler(stream or sys.stderr)
    sink.setFormatter(_Json(redactor) if style == "json" else _Text(redactor))
    root = logging.getLogger()
    root.handlers[:] = [sink]
    # What libraries do is of interest when something is wrong, or to whoever looks for it.
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("reconciler").setLevel(level.upper())
    logging.captureWarnings(True)


class _Record(logging.Formatter):
    """What both styles share: the fields, redacted and bounded."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        named = {**_context.get({}), **getattr(record, "fields", {})}
        return {name: self._value(value) for name, value in named.items() if value is not None}

    def _value(self, value: object) -> object:
        if isinstance(value, bool | int | float):
            return value
        return self._redactor.clean(str(value))

    def _traceback(self, record: logging.LogRecord) -> list[str]:
        if not record.exc_info:
            return []
        lines = self.formatException(record.exc_info).splitlines()
        return [self._redactor.clean(line) for line in lines[-200:]]

    @staticmethod
    def _at(record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


class _Text(_Record):
    """``2026-11-20T16:26:52.123Z INFO    reconciler.web ready port=1``; tracebacks indented."""

    def format(self, record: logging.LogRecord) -> str:
        message = self._redactor.clean(record.getMessage())
        named = "".join(f" {name}={_quoted(value)}" for name, value in self._fields(record).items())
        head = f"{self._at(record)} {record.levelname:<7} {record.name} {message}{named}"
        return "\n".join([head, *(f"    {line}" for line in self._traceback(record))])


class _Json(_Record):
    """One JSON object a line; fields beside ``at``, ``level``, ``logger`` and ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            **self._fields(record),
            "at": self._at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.clean(record.getMessage()),
        }
        if trace := self._traceback(record):
            line["traceback"] = trace
        return json.dumps(line, ensure_ascii=False)


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)
