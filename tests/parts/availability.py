"""Which real parts this machine has, and what is missing where it has not."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.parts.docker_engine import BUSYBOX, docker_answers, engine_answers
from tests.parts.postgres import find_program

REQUIRE_ALL = bool(os.environ.get("RECONCILER_TEST_REQUIRE_ALL"))


@cache
def find_missing(marker: str) -> str | None:
    """Return what a test with ``marker`` lacks here, in a few words, or None when it can run."""
    return _CHECKS[marker]() if marker in _CHECKS else None


def _docker() -> str | None:
    if not docker_answers("compose", "version"):
        return "docker compose 2 is not installed"
    if not BUSYBOX.exists():
        return "a static /bin/busybox is not installed"
    if engine_answers():
        return None
    return _program("dockerd") or _root()


def _systemd() -> str | None:
    return _docker() or _program("mmdebstrap") or _program("ssh") or _root()


def _git() -> str | None:
    return _program("git")


def _registry() -> str | None:
    return _program("docker-registry")


def _sshd() -> str | None:
    return None if Path("/usr/sbin/sshd").exists() else "sshd is not installed"


def _postgres() -> str | None:
    return None if find_program("initdb") else "PostgreSQL's initdb is not installed"


def _browser() -> str | None:
    return _program("chromium-headless-shell")


def _namespaces() -> str | None:
    return _program("ip") or _root()


def _root() -> str | None:
    return None if os.getuid() == 0 else "takes root"


def _program(name: str) -> str | None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return None if shutil.which(name, path=path) else f"{name} is not installed"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "needs_docker": _docker,
    "needs_systemd": _systemd,
    "needs_registry": _registry,
    "needs_git": _git,
    "needs_sshd": _sshd,
    "needs_postgres": _postgres,
    "needs_browser": _browser,
    "needs_namespaces": _namespaces,
}
