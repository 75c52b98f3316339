"""What a build may reach: the files of its own commit, and base images."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.domain.errors import InvalidComposeFile

_IMAGE = "docker-image://"
#: Caches that are in a registry, or in the image itself; others are files, or other people's keys.
_CACHES = frozenset({"registry", "inline"})
_USUAL_NETWORKS = frozenset({None, "", "default", "none"})


def files_of_build(where: str, build: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (where, absolute path) of each file and folder that the build reads by name.

    Raises:
        InvalidComposeFile: it reads what is in no checkout.
    """
    context = _path(f"{where}.context", str(build.get("context") or ""))
    yield f"{where}.context", context
    yield f"{where}.context", f"{context}/.dockerignore"
    if "dockerfile_inline" not in build:
        # Of an absolute path it is that.
        dockerfile = str(Path(context) / (build.get("dockerfile") or "Dockerfile"))
        yield f"{where}.dockerfile", dockerfile
        yield f"{where}.dockerfile", f"{dockerfile}.dockerignore"
    for name, value in (build.get("additional_contexts") or {}).items():
        if not str(value).startswith(_IMAGE):
            yield (
                f"{where}.additional_contexts",
                _path(f"{where}.additional_contexts.{name}", value),
            )


def powers_of_build(where: str, build: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each power over the machine that the build takes.

    Raises:
        InvalidComposeFile: it takes one that no build is given.
    """
    if build.get("ssh"):
        raise InvalidComposeFile(
            f"{where}.ssh: no build is given an SSH key; use `build.secrets` for what it fetches"
        )
    for key in ("cache_from", "cache_to"):
        for entry in build.get(key) or ():
            _require_safe_cache(f"{where}.{key}", str(entry))
    if build.get("network") not in _USUAL_NETWORKS:
        yield f"{where} uses the network {build['network']}"
    if build.get("privileged"):
        yield f"{where} is privileged: it controls the machine"
    if entitlements := build.get("entitlements"):
        yield f"{where} has entitlements: {', '.join(map(str, entitlements))}"


def _path(where: str, value: str) -> str:
    if not value.startswith("/"):
        raise InvalidComposeFile(
            f"{where}: {value!r} is not in the repository; only its own files and "
            f"`{_IMAGE}…` are built from"
        )
    return value


def _require_safe_cache(where: str, entry: str) -> None:
    options = dict(part.partition("=")[::2] for part in entry.split(","))
    if "=" in entry and options.get("type") not in _CACHES:
        raise InvalidComposeFile(
            f"{where}: {entry[:80]!r} is not supported; use one of {', '.join(sorted(_CACHES))}"
        )
