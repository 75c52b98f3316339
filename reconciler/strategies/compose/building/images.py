"""Docker's own command line, for what moves images."""

import json
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.domain.errors import CommandFailed
from reconciler.domain.references import Digest
from reconciler.ports import Command, CommandResult, CommandRunner, LineSink
from reconciler.strategies.compose.failures import error_for

#: Where no configuration is: nothing of the operator's is read.
NO_CONFIG = Path("/nonexistent")

_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_LAYER = re.compile(r"^[0-9a-f]{12}: ")
#: Where an archive names images. Sources: moby, ``image/tarexport``; OCI image layout.
_INDEXES = frozenset({"manifest.json", "repositories", "index.json"})
_LARGEST_INDEX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageCli:
    """Moves the images of one engine: to another one, or to a registry.

    Every method may raise what ``error_for`` returns.
    """

    runner: CommandRunner
    program: str
    address: str  #: of the engine
    cancel: threading.Event
    timeout: timedelta

    def save(self, image: Digest, into: Path) -> None:
        """Write an image as an archive."""
        arguments = ("save", "--output", str(into), "--", image.text)
        self._run("an image can't be read", *arguments)

    def load(self, archive: Path) -> None:
        """Take the image of an archive, which names none: a name may be another image's here.

        Raises:
            CommandFailed: it does, as none does that was written by ``save``; nothing was taken.
        """
        if names := sorted(_names_in(archive)):
            shown = ", ".join(names[:3])
            raise CommandFailed(f"an image is not taken: its archive names others, {shown}")
        arguments = ("load", "--quiet", "--input", str(archive))
        self._run("an image can't be taken", *arguments)

    def pull(self, name: str, docker_config: Path) -> None:
        """Pull an image by its exact name."""
        arguments = ("pull", "--quiet", "--", name)
        self._run(f"{name} can't be pulled", *arguments, config=docker_config)

    def push(self, name: str, docker_config: Path, log: LineSink) -> Digest:
        """Push an image to the registry that its name tells; return its digest there."""
        result = self._run(
            f"{name} can't be pushed",
            *("push", "--", name),
            config=docker_config,
            log=lambda line: None if _LAYER.match(line) else log(line),
        )
        found = _PUSHED.findall(result.stdout)
        if not found:
            raise CommandFailed(f"{name} was pushed, and nobody says by which digest")
        return Digest.parse(found[-1])

    def _run(
        self,
        what: str,
        *arguments: str,
        config: Path = NO_CONFIG,
        log: LineSink | None = None,
    ) -> CommandResult:
        env = {"DOCKER_HOST": self.address, "DOCKER_CONFIG": str(config)}
        command = Command((self.program, "image", *arguments), env=env, timeout=self.timeout)
        result = self.runner.run(command, on_line=log, cancel=self.cancel)
        if result.timed_out:
            raise CommandFailed(f"{what}: it took longer than allowed")
        if not result.ok:
            raise error_for(what, result.stderr_tail.strip(), result.exit_status)
        return result


def _names_in(archive: Path) -> set[str]:
    """Return the names that an engine would give to images of ``archive``."""
    names: set[str] = set()
    try:
        with tarfile.open(archive, "r:") as members:
            for member in members:
                if member.name.removeprefix("./") in _INDEXES:
                    file = members.extractfile(member)
                    index = json.loads(file.read(_LARGEST_INDEX_BYTES)) if file else None
                    names.update(_names_of(index))
    except (tarfile.TarError, ValueError, AttributeError, TypeError) as error:
        raise CommandFailed(f"an image is not taken: its archive can't be read: {error}") from error
    return names


def _names_of(index: Any) -> Iterator[str]:
    match index:
        case [*entries]:  # manifest.json
            for entry in entries:
                yield from entry.get("RepoTags") or ()
        case {"manifests": [*entries]}:  # index.json
            for entry in entries:
                known = (entry.get("annotations") or {}).items()
                yield from (
                    value for key, value in known if key.endswith(("image.name", "ref.name"))
                )
        case {**repositories}:  # repositories; an index.json has a version
            yield from map(str, repositories.keys() - {"schemaVersion", "mediaType"})
