"""What a project may reach on this machine: refused where it leaves its checkout, else named.

A self-hosted machine's operator may grant what they like, so dangerous grants are not refused;
each is said in the deployment's log. What is never right is a path that leaves the checkout by
``..`` or a symbolic link, and a mount of our own data.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.domain.errors import InvalidComposeFile
from reconciler.strategies.compose.checkout import resolve_inside
from reconciler.strategies.compose.rendering import Rendering

_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")
_HOST_NAMESPACES = ("network_mode", "pid", "ipc", "userns_mode", "uts", "cgroup")


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits for one project's files."""

    root: Path  #: of its checkout
    data_folder: Path  #: ours

    def grants(
        self, rendering: Rendering, host_files: tuple[tuple[str, str], ...] = ()
    ) -> tuple[str, ...]:
        """Return a line for each power over this machine that the project takes.

        Raises:
            InvalidComposeFile: a path leaves the checkout, or leads into our own data.
        """
        document = rendering.document
        found = [f"{where} reads {self._host_path(where, path)}" for where, path in host_files]
        for name, body in (document.get("services") or {}).items():
            found += self._mounts(f"service {name}", body)
            found += _powers(f"service {name}", body)
        for section in ("configs", "secrets"):
            for name, body in (document.get(section) or {}).items():
                where = f"{section}.{name}"
                found += self._path(where, (body or {}).get("file"), "takes the file")
        for name, body in (document.get("volumes") or {}).items():
            options = (body or {}).get("driver_opts") or {}
            if "bind" in str(options.get("o")):
                found += self._path(f"volumes.{name}", options.get("device"), "mounts")
        return tuple(dict.fromkeys(found))

    def _mounts(self, where: str, body: Mapping[str, Any]) -> Iterator[str]:
        for mount in body.get("volumes") or ():
            if mount.get("type") == "bind":
                yield from self._path(where, mount.get("source"), "mounts")

    def _path(self, where: str, path: str | None, verb: str) -> Iterator[str]:
        if not path:
            return
        if not path.startswith("/"):
            resolve_inside(self.root, self.root, path, where)
        elif Path(os.path.normpath(path)).is_relative_to(self.root):
            resolve_inside(self.root, self.root, os.path.relpath(path, self.root), where)
        else:
            yield f"{where} {verb} {self._host_path(where, path)}"

    def _host_path(self, where: str, path: str) -> str:
        real = Path(os.path.realpath(path))
        if real.is_relative_to(os.path.realpath(self.data_folder)):
            raise InvalidComposeFile(
                f"{where}: {path!r} leads out of its checkout, into our own data"
            )
        if path.endswith(_SOCKETS) or real.name.endswith(_SOCKETS):
            return f"{path}: who has that socket controls this machine"
        return f"{path} of this machine"


def _powers(where: str, body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("privileged"):
        yield f"{where} is privileged: it controls this machine"
    for key in _HOST_NAMESPACES:
        if body.get(key) == "host":
            yield f"{where} shares this machine's {key.removesuffix('_mode')}"
    for key in ("cap_add", "devices", "device_cgroup_rules"):
        if values := body.get(key):
            yield f"{where} has {key}: {', '.join(_short(value) for value in values)}"
    for option in body.get("security_opt") or ():
        if "unconfined" in option or "disable" in option:
            yield f"{where} has security_opt: {option}"


def _short(value: object) -> str:
    return str(value.get("source", value)) if isinstance(value, dict) else str(value)
