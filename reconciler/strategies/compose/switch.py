"""What is handed over where the daemon is replaced: a folder, which is all that anybody needs.

::

    <deployment>-<override>/
        plan.json      what is to be done; nothing secret
        forward.json   the project as it is to become, as compose renders it; secrets in it
        back.json      the same of what runs
        switched       compose brought the new one up
        new            the container that was found to be the new daemon's
        verdict        one line, written once: confirmed, or why the old one was brought back
        done           nothing more is to be done; the renderings are gone

The first verdict counts. Nobody brings the old version back without having said so there before,
and so a process that finds itself to be the old one knows which of the two it is.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_CONFIRMED = "confirmed"
_WENT_BACK = "went back: "


@dataclass(frozen=True, slots=True)
class Plan:
    """What whoever replaces the daemon is told."""

    project: str
    service: str  #: the daemon's own
    container: str  #: the daemon's, before
    docker_host: str
    replacer: str  #: name of the container that does it
    earlier: str  #: override of what one goes back to; empty: of none of our deployments
    patience_seconds: float  #: in which the new version proves itself, or the old one comes back


@dataclass(frozen=True, slots=True)
class Switch:
    """One replacement of the daemon, in its folder. Every write is whole or not at all."""

    folder: Path

    def make(self, plan: Plan, forward: str, back: str) -> None:
        """Write all of it; a folder that was left half written is none."""
        part = self.folder.with_name(f".{self.folder.name}.{secrets.token_hex(4)}")
        part.mkdir(mode=0o700)
        for name, text in (
            ("plan.json", json.dumps(asdict(plan))),
            ("forward.json", forward),
            ("back.json", back),
        ):
            _write(part / name, text)
        part.rename(self.folder)

    @property
    def exists(self) -> bool:
        """Whether there is such a switch."""
        return self.folder.is_dir()

    @property
    def plan(self) -> Plan:
        """What is to be done."""
        return Plan(**json.loads((self.folder / "plan.json").read_text()))

    @property
    def verdict(self) -> str:
        """What was decided; empty: nothing yet."""
        return self.read("verdict")

    @property
    def went_back(self) -> str:
        """Why the old version was, or is being, brought back; empty: it was not."""
        verdict = self.verdict
        return verdict.removeprefix(_WENT_BACK) if verdict.startswith(_WENT_BACK) else ""

    def confirm(self) -> bool:
        """Decide that the new version stays; return whether it does."""
        return self._decide(_CONFIRMED) == _CONFIRMED

    def go_back(self, why: str) -> bool:
        """Decide that the old version comes back; return whether it does."""
        return self._decide(f"{_WENT_BACK}{' '.join(why.split())[:1000]}") != _CONFIRMED

    def read(self, name: str) -> str:
        """Return what a file of it holds; empty: it is not there."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def note(self, name: str, text: str = "yes") -> None:
        """Write a file of it; the first word stays."""
        part = self.folder / f".{name}.{secrets.token_hex(4)}"
        _write(part, text)
        try:
            with suppress(FileExistsError):
                os.link(part, self.folder / name)
        finally:
            part.unlink()

    def end(self) -> None:
        """Note that nothing more is to be done, and delete what has secrets in it."""
        self.note("done")  # first: without them nobody could go on
        for name in ("forward.json", "back.json"):
            (self.folder / name).unlink(missing_ok=True)

    def _decide(self, verdict: str) -> str:
        self.note("verdict", verdict)
        return self.verdict


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
