"""Secrets that are looked for: in what the system shows of processes, in files, in text."""

import base64
import json
import os
import secrets
import shlex
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

#: How long a process is looked at each time; later it is looked at now and then.
_NEW_FOR = 20
_NOW_AND_THEN = 50
#: Shorter lines of a secret are no secret: `-----BEGIN …`.
_LINE = 40


def forms(secret: str) -> set[bytes]:
    """Return what a secret looks like in output.

    Raw, in a URL, in JSON, in a shell line, in hex, in base64 wherever it starts; of a secret with
    several lines each long one.
    """
    lines = [line for line in secret.splitlines() if len(line) >= _LINE] or [secret]
    found = {*lines, secret}
    for one in (secret, *lines):
        found |= {quote(one, safe=""), json.dumps(one)[1:-1], shlex.quote(one), one.encode().hex()}
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + one.encode()).decode()
            found.add(encoded[4 if before else 0 : -4])
    found |= {one.replace("+", "-").replace("/", "_") for one in found}
    return {form.encode() for form in found}


@dataclass
class Kinds:
    """One secret of each kind; those that others hold in their arguments are not sampled."""

    texts: dict[str, str] = field(default_factory=dict)
    pushers: set[str] = field(default_factory=set)

    def make(self, kind: str) -> str:
        """Return a new secret of ``kind``, hard to write down anywhere without quoting it."""
        return self.keep(kind, f"c4n+/{secrets.token_urlsafe(18)}=%$'\"x")

    def keep(self, kind: str, text: str, *, pushed_with: bool = False) -> str:
        """Have ``text`` looked for as well."""
        self.texts[kind] = text
        if pushed_with:
            self.pushers.add(kind)
        return text

    def needles(self, *, sampled: bool) -> dict[bytes, str]:
        """Return what is looked for, with the kind that it tells of."""
        return {
            form: kind
            for kind, text in self.texts.items()
            if not sampled or kind not in self.pushers
            for form in forms(text)
        }


class Sampler(threading.Thread):
    """Reads what the system shows of every process, and our files in use, again and again."""

    def __init__(self, needles: dict[bytes, str], folders: Collection[Path]) -> None:
        super().__init__(daemon=True)
        self.needles = needles
        self.folders = folders
        self.found: set[str] = set()
        self.in_files: set[str] = set()
        self.samples = 0
        self._seen: Counter[str] = Counter()
        self._texts: dict[str, bytes] = {}
        self._done = threading.Event()

    def run(self) -> None:
        """Sample until `end`."""
        me = str(os.getpid())
        while not self._done.wait(0.01):
            self.samples += 1
            for process in os.listdir("/proc"):  # noqa: PTH208  a hundred times a second
                if process.isdecimal() and process != me and self._is_due(process):
                    self._look(f"/proc/{process}")
            if self.samples % 10 == 0:
                self._look_at_files()

    def _is_due(self, process: str) -> bool:
        self._seen[process] += 1
        return self._seen[process] < _NEW_FOR or self._seen[process] % _NOW_AND_THEN == 0

    def _look(self, process: str) -> None:
        for name in ("cmdline", "environ"):
            with suppress(OSError), open(f"{process}/{name}", "rb") as file:  # noqa: PTH123
                text = file.read()
                if self._texts.get(file.name) != text:
                    self._texts[file.name] = text
                    self._search(name, text)

    def _search(self, name: str, text: bytes) -> None:
        for needle, kind in self.needles.items():
            if needle in text:
                self.found.add(f"{kind}: {name} {text[:200]!r}")

    def _look_at_files(self) -> None:
        # `os.walk` takes no offence at what goes meanwhile.
        for folder, _, names in (one for top in self.folders for one in os.walk(top)):
            for path in (Path(folder, name) for name in names):
                with suppress(OSError):
                    if path.is_file():
                        self._look_at_file(path)

    def _look_at_file(self, path: Path) -> None:
        mode, text = path.stat().st_mode & 0o777, path.read_bytes()
        for needle, kind in self.needles.items():
            if needle in text:
                self.in_files.add(f"{kind} {mode:04o}")

    def end(self) -> None:
        """Stop sampling."""
        self._done.set()
        self.join()


@contextmanager
def sampled(needles: dict[bytes, str], folders: Collection[Path] = ()) -> Iterator[Sampler]:
    """Sample for as long as the block takes."""
    sampler = Sampler(needles, folders)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.end()
