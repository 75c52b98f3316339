"""The compose file that a migration runs by: the project as rendered, pinned, not switched.

Data is where it always is, below the work tree. Files of the commit are mounted from a folder of
their own, for the work tree still holds those of the version that runs. A mount that may be
written to is taken for data, one that is read-only for files.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.domain.deployment import PlannedService
from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.migration import Migration
from reconciler.domain.project import Project
from reconciler.strategies.compose.deploy_folder import IMAGE_SERVICE
from reconciler.strategies.compose.rendering import Rendering

#: What says how a service's own containers are kept up, found and built.
_NOT_OF_A_ONE_OFF = ("restart", "labels", "container_name", "ports", "depends_on", "healthcheck")
#: Addresses that a running container has already.
_ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")
#: How git is made to keep a folder that has nothing in it.
_PLACEHOLDERS = frozenset({".gitkeep", ".keep", ".gitignore"})


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """How the service ``name`` of a project runs once, by the files of a checkout."""

    rendering: Rendering
    name: str
    root: Path  #: of the checkout

    def require_possible(self) -> None:
        """Refuse what a migration can't be run by.

        Raises:
            InvalidComposeFile: there is no such service; or it takes files of the repository for
                data, so that it would get those of the version that runs.
        """
        names = [service.name for service in self.rendering.services]
        if self.name not in names:
            raise InvalidComposeFile(
                f"migration.service: {self.name!r} is not one of the services that would be "
                f"started: {', '.join(names)} (one with a profile is not)"
            )
        for mount in self._binds:
            if not mount.get("read_only") and _has_files(path := Path(mount["source"])):
                where = path.relative_to(self.root)
                raise InvalidComposeFile(
                    f"services.{self.name}.volumes: './{where}' has files of the repository, and "
                    "the migration would get those of the version that runs: mount it read-only "
                    "(`:ro`), or put them into the image"
                )

    @property
    def needs_files(self) -> bool:
        """Whether it mounts files of the commit."""
        return bool(self._here())

    def text(
        self, planned: Collection[PlannedService], tree: Path, files: Path | None = None
    ) -> str:
        """Return the file, with each service pinned as planned.

        Args:
            planned: what each service is to run.
            tree: the work tree where it runs.
            files: there, those of the commit; None: for what it depends on, which stays.
        """
        document = json.loads(json.dumps(self.rendering.document))
        pins = {service.name: service.pin for service in planned if service.pin}
        for name, body in document["services"].items():
            for key in ("build", "pull_policy"):
                body.pop(key, None)
            if name in pins:
                body["image"] = str(pins[name])
        if files:
            _make_one_off(document["services"][self.name])
            ours = {str(path): str(files / path.relative_to(self.root)) for path in self._here()}
            document = _moved(document, lambda text: ours.get(text, text))
        root = f"{self.root}/"
        whole = _moved(
            document,
            lambda text: (
                f"{tree}/{text[len(root) :]}".rstrip("/") if f"{text}/".startswith(root) else text
            ),
        )
        return json.dumps(whole)

    @property
    def _body(self) -> Mapping[str, Any]:
        body: Mapping[str, Any] = self.rendering.document["services"][self.name]
        return body

    @property
    def _binds(self) -> Iterator[Mapping[str, Any]]:
        """Return its mounts of what is in the checkout."""
        for mount in self._body.get("volumes") or ():
            if mount.get("type") == "bind" and Path(mount["source"]).is_relative_to(self.root):
                yield mount

    def _here(self) -> list[Path]:
        return [path for path in self._files() if path.exists()]

    def _files(self) -> Iterator[Path]:
        """Return what of the checkout it takes for files: read-only mounts, configs and secrets."""
        for mount in self._binds:
            if mount.get("read_only"):
                yield Path(mount["source"])
        for section in ("configs", "secrets"):
            known = self.rendering.document.get(section) or {}
            for used in self._body.get(section) or ():
                path = (known.get(used["source"]) or {}).get("file")
                if path and Path(path).is_relative_to(self.root):
                    yield Path(path)


def service_of(project: Project, migration: Migration) -> str:
    """Return the service whose image, environment and network a migration has."""
    return migration.service or project.expose_service or IMAGE_SERVICE


def _make_one_off(body: dict[str, Any]) -> None:
    for key in _NOT_OF_A_ONE_OFF:
        body.pop(key, None)
    (body.get("deploy") or {}).pop("restart_policy", None)
    for key in _ADDRESSES:
        body.pop(key, None)
        for network in (body.get("networks") or {}).values():
            (network or {}).pop(key, None)


def _has_files(path: Path) -> bool:
    """Tell whether there is more than what keeps a folder in git."""
    if not path.is_dir():
        return path.exists()
    return any(set(names) - _PLACEHOLDERS for _, _, names in os.walk(path))


def _moved(node: Any, move: Callable[[str], str]) -> Any:
    match node:
        case str():
            return move(node)
        case dict():
            return {key: _moved(value, move) for key, value in node.items()}
        case list():
            return [_moved(value, move) for value in node]
    return node
