"""The ``.deploy/`` folder of a work tree: overrides that pin, and the digests they pin to."""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.domain.deployment import DeploymentId, PlannedService, PreparedTarget
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.project import Project
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER

#: The one service of an ``image`` project.
IMAGE_SERVICE = "app"
#: In ``.deploy/``: the commit that was brought up last.
COMMIT_FILE = "commit"
_LONGEST_LINE = 200


def override_path(deployment: DeploymentId) -> str:
    """Return where a deployment's override is, seen from the work tree."""
    return f"{DEPLOY_FOLDER}/override-{deployment}.yaml"


def generated_path(deployment: DeploymentId) -> str:
    """Return where the compose file of an ``image`` project is, seen from its work tree."""
    return f"{DEPLOY_FOLDER}/compose-{deployment}.yaml"


def override_text(services: Iterable[PlannedService]) -> str:
    """Return the override that runs each pinned service at exactly its digest.

    It says the image and nothing else: a label with the deployment in it would have compose
    recreate every container each time, databases included.
    """
    pinned = [service for service in services if service.pin]
    lines = [f"  {_yaml(s.name)}:\n    image: {_yaml(str(s.pin))}\n" for s in pinned]
    return "services:\n" + "".join(lines) if lines else "services: {}\n"


def generated_text(project: Project, variable_names: Iterable[str]) -> str:
    """Return an ``image`` project's compose file. Its variables reach the container by name."""
    volumes = [volume.split(":")[0] for volume in project.container.volumes]
    service = {
        "image": _literal(str(project.image)),
        "restart": "unless-stopped",
        "ports": [_literal(port) for port in project.container.ports],
        "volumes": [_literal(volume) for volume in project.container.volumes],
        "environment": sorted(variable_names),
    }
    document = {
        "services": {IMAGE_SERVICE: {key: value for key, value in service.items() if value}},
        **({"volumes": {name: {} for name in volumes}} if volumes else {}),
    }
    return json.dumps(document, indent=2) + "\n"  # JSON is YAML, and needs no quoting rules


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _yaml(text: str) -> str:
    return json.dumps(text)


def facts_of(prepared: PreparedTarget) -> Mapping[str, str]:
    """Return what a person may want to know of a deployment: file name → its one line.

    ``<service>.sha`` has the digest of each pinned service, ``commit`` what they belong to.
    """
    facts = {f"{s.name}.sha": str(s.pin.digest) for s in prepared.services if s.pin}
    commit = prepared.revision.commit
    return {**facts, COMMIT_FILE: commit.text} if commit else facts


class DeployFolder(Protocol):
    """``.deploy/`` in one work tree. Every write is whole or not at all, and safe to repeat.

    Every method may raise ``PreconditionFailed``: there is no space, no permission, or something
    is in the way.
    """

    def record(self, prepared: PreparedTarget) -> Path:
        """Write the override and the facts, and no facts but these; return the override's path.

        The override follows from ``prepared`` alone, so that one that was lost comes back.
        """
        ...

    def write(self, name: str, text: str) -> Path:
        """Write one file in a single step."""
        ...

    def has(self, name: str) -> bool:
        """Tell whether there is such a file."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Return what was recorded last; see ``facts_of``."""
        ...

    def forget(self, prepared: PreparedTarget) -> None:
        """Delete what is kept for a deployment; a compose file of the repository is not ours."""
        ...


def names_of(prepared: PreparedTarget) -> tuple[str, ...]:
    """Return the files in ``.deploy/`` that are one deployment's own."""
    paths = (Path(prepared.override_file), Path(prepared.compose_file))
    return tuple(path.name for path in paths if path.parent.name == DEPLOY_FOLDER)


@dataclass(frozen=True, slots=True)
class DeployFolderHere:
    """``DeployFolder`` on this machine."""

    tree: Path

    @property
    def path(self) -> Path:
        """The folder."""
        return self.tree / DEPLOY_FOLDER

    def record(self, prepared: PreparedTarget) -> Path:
        """Write the override and the facts; see ``DeployFolder``."""
        facts = facts_of(prepared)
        for name, line in facts.items():
            self.write(name, f"{line}\n")
        for stale in self._fact_files():
            if stale.name not in facts:
                stale.unlink(missing_ok=True)
        name = Path(prepared.override_file).name
        return self.write(name, override_text(prepared.services))

    def write(self, name: str, text: str) -> Path:
        """Write one file in a single step; see ``DeployFolder``."""
        target = self.path / name
        partial = self.path / f".{name}.{secrets.token_hex(4)}"
        try:
            self._make()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(partial, flags, 0o644), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise PreconditionFailed(f"{target} can't be written: {error.strerror}") from error
        return target

    def has(self, name: str) -> bool:
        """Tell whether there is such a file; see ``DeployFolder``."""
        return (self.path / name).is_file()

    def facts(self) -> Mapping[str, str]:
        """Return what was recorded last; see ``DeployFolder``."""
        return {file.name: _line_of(file) for file in self._fact_files()}

    def forget(self, prepared: PreparedTarget) -> None:
        """Delete what is kept for a deployment; see ``DeployFolder``."""
        for name in names_of(prepared):
            (self.path / name).unlink(missing_ok=True)

    def _fact_files(self) -> list[Path]:
        # A container that has the work tree may put links there, to files that are not its own.
        if self.path.is_symlink():
            return []
        found = [*self.path.glob("*.sha"), *self.path.glob(COMMIT_FILE)]
        return [file for file in found if file.is_file() and not file.is_symlink()]

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if self.path.is_symlink():
            raise PreconditionFailed(f"{self.path} is a symbolic link; it must be a folder of ours")


def _line_of(file: Path) -> str:
    """Return what a small file of ours holds; nothing where it was replaced meanwhile."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            return opened.read(_LONGEST_LINE).decode(errors="replace").strip()
    except OSError:
        return ""
