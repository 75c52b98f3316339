"""What a project may reach on this machine: refused where it leaves its checkout, else named.

A self-hosted machine's operator may grant what they like, so dangerous grants are not refused;
each is said in the deployment's log. What is never right is a path that leaves the checkout by
``..`` or a symbolic link, a mount of our own data or of a folder around it, and what belongs to
another project.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.domain.errors import InvalidComposeFile
from reconciler.strategies.compose.building.reach import files_of_build, powers_of_build
from reconciler.strategies.compose.rendering import Rendering

_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")
_HOST_NAMESPACES = ("network_mode", "pid", "ipc", "userns_mode", "uts", "cgroup")
#: With one of these a container reads another one's memory or files.
_SHARED_INSIDES = ("pid", "ipc")
_REMOTE_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3"})
_OPTION_PARTS = re.compile(r"[,:=]")
_LONGEST_PATH = 4096

#: Absolute paths of a machine → where they lead there, symbolic links followed.
RealPaths = Callable[[Collection[str]], Mapping[str, str]]


def real_paths_here(paths: Collection[str]) -> Mapping[str, str]:
    """Return where paths of the daemon's own machine lead."""
    return {path: os.path.realpath(path) for path in paths}


def require_apart(base: Path, own: Collection[Path], real_paths: RealPaths) -> None:
    """Refuse a base that is ours, in what is ours, or around it.

    Raises:
        InvalidComposeFile: it is; nothing of it may be read or mounted.
    """
    real = real_paths([str(base), *map(str, own)])
    there = Path(real[str(base)])
    for ours in (Path(real[str(one)]) for one in own):
        if there.is_relative_to(ours) or ours.is_relative_to(there):
            refused = InvalidComposeFile(
                f"{base} can't be a base: our own data is there, or it is in our own data"
            )
            refused.remedy = "move the stack to a folder apart"
            raise refused


@dataclass(frozen=True, slots=True)
class _Use:
    """A path that the project takes."""

    where: str
    path: str
    verb: str = "mounts"
    stays: bool = False  #: it has to be of the checkout


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits for one project's files."""

    root: Path  #: of its checkout
    data_folder: Path  #: ours, with ``projects/NAME`` for each project
    own_paths: tuple[Path, ...] = ()  #: more that is ours
    real_paths: RealPaths = real_paths_here  #: of the machine that it is to run on
    has: frozenset[str] = frozenset()  #: paths that it has already, because it is the daemon itself

    def readings(self, host_files: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """Return a line for each (where, path) of this machine that compose reads by itself.

        Raises:
            InvalidComposeFile: one is ours.
        """
        return self._judged([_Use(where, path, "reads") for where, path in host_files])

    def require_inside(self, paths: Collection[str]) -> None:
        """Follow files of the checkout, by their paths below its root.

        Raises:
            InvalidComposeFile: one leads out of it.
        """
        self._judged([_Use(path, str(self.root / path), "reads") for path in paths])

    def grants(self, rendering: Rendering) -> tuple[str, ...]:
        """Return a line for each power over this machine that the project takes.

        Raises:
            InvalidComposeFile: a path leaves the checkout, or leads into our own data, or
                something belongs to another project.
        """
        document = rendering.document
        found: list[str | _Use] = []
        for name, body in (document.get("services") or {}).items():
            _require_own_insides(name, body)
            found += _mounts(f"service {name}", body)
            found += _powers(f"service {name}", body)
            found += _powers_by_compose(f"service {name}", body)
        for service in rendering.services:
            if service.build is not None:
                where = f"services.{service.name}.build"
                files = files_of_build(where, service.build)
                found += [_Use(field, path, stays=True) for field, path in files]
                found += powers_of_build(where, service.build)
        for section in ("configs", "secrets"):
            for name, body in (document.get(section) or {}).items():
                if path := (body or {}).get("file"):
                    found.append(_Use(f"{section}.{name}", path, "takes the file"))
        project = str(document.get("name"))
        for name, body in (document.get("volumes") or {}).items():
            found += self._volume(f"volumes.{name}", body or {}, project)
        for name, body in (document.get("networks") or {}).items():
            if (body or {}).get("external"):
                found.append(f"networks.{name} joins {body.get('name') or name}")
        return self._judged(found)

    def _judged(self, found: Collection[str | _Use]) -> tuple[str, ...]:
        """Return the lines among ``found``, and one for each use of a path outside."""
        uses = [one for one in found if isinstance(one, _Use)]
        paths = [*map(self._absolute, uses), str(self.root)] if uses else []
        if not all(map(self._is_inside, paths)):
            paths += map(str, (self.data_folder, *self.own_paths))
        real = {path: Path(leads) for path, leads in self.real_paths(paths).items()}
        lines = [one if isinstance(one, str) else self._judge(one, real) for one in found]
        return tuple(dict.fromkeys(line for line in lines if line))

    def _absolute(self, use: _Use) -> str:
        if "\0" in use.path or len(use.path) > _LONGEST_PATH:
            raise InvalidComposeFile(f"{use.where}: {use.path[:80]!r} is not a path")
        return use.path if use.path.startswith("/") else f"{self.root}/{use.path}"

    def _is_inside(self, path: str) -> bool:
        return Path(os.path.normpath(path)).is_relative_to(self.root)

    def _judge(self, use: _Use, real: Mapping[str, Path]) -> str:
        path = self._absolute(use)
        if not self._is_inside(path):
            if path != use.path or use.stays:
                raise InvalidComposeFile(f"{use.where}: {use.path!r} leaves the repository")
            return f"{use.where} {use.verb} {self._host_path(use, real)}"
        if not real[path].is_relative_to(real[str(self.root)]):
            raise InvalidComposeFile(
                f"{use.where}: {use.path!r} leaves the repository by a symbolic link"
            )
        return ""

    def _volume(self, where: str, body: Mapping[str, Any], project: str) -> Iterator[str | _Use]:
        full_name = str(body.get("name") or "")
        # Compose names a project's volumes ``PROJECT_KEY``; no project of ours has a ``_``.
        owner = full_name.partition("_")[0]
        if owner != project and owner and (self.data_folder / "projects" / owner).is_dir():
            raise InvalidComposeFile(
                f"{where}: {full_name!r} is project {owner}'s; to share data, make a volume "
                "named after neither project with `docker volume create`, and use it in both"
            )
        if body.get("external"):
            yield f"{where} is the volume {full_name} of this machine"
        options = body.get("driver_opts") or {}
        if options.get("type") in _REMOTE_FILE_SYSTEMS:
            return
        if device := options.get("device"):
            yield _Use(where, device)
        # Also where it is no bind mount: e.g. `type: overlay` with `o: lowerdir=/folder`.
        for part in _OPTION_PARTS.split(str(options.get("o") or "")):
            if part.startswith("/"):
                yield _Use(where, part)

    def _host_path(self, use: _Use, real: Mapping[str, Path]) -> str:
        path = use.path
        if path in self.has:
            return f"{path} of this machine, as the daemon does already"
        for ours in (self.data_folder, *self.own_paths):
            own = real[str(ours)]
            if real[path].is_relative_to(own):
                raise InvalidComposeFile(
                    f"{use.where}: {path!r} leads out of its checkout, into our own data"
                )
            if own.is_relative_to(real[path]):
                raise InvalidComposeFile(
                    f"{use.where}: {path!r} has our own data in it; name what is needed of it"
                )
        if path.endswith(_SOCKETS) or real[path].name.endswith(_SOCKETS):
            return f"{path}: who has that socket controls this machine"
        return f"{path} of this machine"


def _mounts(where: str, body: Mapping[str, Any]) -> Iterator[_Use]:
    for mount in body.get("volumes") or ():
        if mount.get("type") == "bind" and mount.get("source"):
            yield _Use(where, mount["source"])


def _require_own_insides(name: str, body: Mapping[str, Any]) -> None:
    """Refuse to share what only a container of another project has."""
    foreign = [f"{key}: {body[key]}" for key in _SHARED_INSIDES if _is_container(body.get(key))]
    foreign += [
        f"volumes_from: {one}" for one in body.get("volumes_from") or () if _is_container(one)
    ]
    if foreign:
        raise InvalidComposeFile(
            f"services.{name}.{foreign[0]} reaches into a container that is not this project's; "
            "name a service of the project"
        )


def _is_container(value: object) -> bool:
    return str(value).startswith("container:")


def _powers_by_compose(where: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each power that newer versions of compose itself give a service."""
    if body.get("use_api_socket"):
        yield f"{where} has the engine's socket: it controls this machine"
    hooks = [hook for key in ("post_start", "pre_stop") for hook in body.get(key) or ()]
    if any(hook.get("privileged") for hook in hooks):
        yield f"{where} has a privileged hook: it controls this machine"


def _powers(where: str, body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("privileged"):
        yield f"{where} is privileged: it controls this machine"
    for key in _HOST_NAMESPACES:
        if body.get(key) == "host":
            yield f"{where} shares this machine's {key.removesuffix('_mode')}"
    if _is_container(body.get("network_mode")):
        yield f"{where} shares the network of {body['network_mode']}"
    for key in ("cap_add", "devices", "device_cgroup_rules"):
        if values := body.get(key):
            yield f"{where} has {key}: {', '.join(_short(value) for value in values)}"
    for option in body.get("security_opt") or ():
        if "unconfined" in option or "disable" in option:
            yield f"{where} has security_opt: {option}"


def _short(value: object) -> str:
    return str(value.get("source", value)) if isinstance(value, dict) else str(value)
