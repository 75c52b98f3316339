"""The daemon's web on real parts, without its loops: nothing deploys by itself here.

``main([FOLDER])`` serves it in a process of its own, ready once the file ``addresses.json`` is in
the folder.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.git.repositories import BareRepositories
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.app import Application, build
from reconciler.config import load_config
from reconciler.domain.errors import PreconditionFailed, SourceUnreachable
from reconciler.domain.failure import Failure
from reconciler.domain.history import History
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    RepositoryPath,
)
from reconciler.pipeline.planning import Plans
from reconciler.pipeline.releases import Releases
from reconciler.pipeline.requests import Requests
from reconciler.pipeline.sources import Sources
from reconciler.ports import Comparison, GitCredentials, Machines, RegistryStatus
from reconciler.scheduling import Daemon, LoopHealth
from reconciler.triggers.webhook import Receiver
from reconciler.web.server import Addresses, serve
from tests.parts.found_stacks import FoundStacks


class NoRemote:
    """``GitRemote`` without a network."""

    def tip(
        self, url: GitUrl, branch: BranchName, credentials: GitCredentials | None = None
    ) -> CommitSha | None:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)

    def read_files(
        self,
        url: GitUrl,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)

    def compare(
        self,
        url: GitUrl,
        before: CommitSha,
        after: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> Comparison:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)

    def history(
        self,
        url: GitUrl,
        tip: CommitSha,
        base: CommitSha,
        credentials: GitCredentials | None = None,
    ) -> History:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)

    def fetch(
        self, url: GitUrl, commit: CommitSha, into: Path, credentials: GitCredentials | None = None
    ) -> None:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)


class NoEngine:
    """A container engine that is not there."""

    def ping(self) -> str | Failure:
        return Failure.of(PreconditionFailed("there is no engine"))


class Idle:
    """A daemon whose loops do nothing, but for recording what webhooks received."""

    def __init__(self, receiver: Receiver) -> None:
        self.state = "starting"
        self._receiver = receiver
        self.looked_at: list[ProjectName] = []

    def loops(self) -> Sequence[LoopHealth]:
        return [LoopHealth("git-poll", datetime.now(UTC), timedelta(0), ok=True)]

    def start(self) -> None:
        self.state = "ready"
        threading.Thread(target=self._record_deliveries, daemon=True).start()

    def drain(self) -> bool:
        self.state = "draining"
        return True

    def _record_deliveries(self) -> None:
        while self.state == "ready":
            self._receiver.tick()
            time.sleep(0.02)

    def look_now(self, name: ProjectName) -> None:
        self.looked_at.append(name)

    def wake(self, name: str) -> None:
        """Nothing sleeps here."""


class NoRegistries:
    """Registries of which one was not asked yet, and another tells its limit."""

    def status(self) -> Sequence[RegistryStatus]:
        limited = RegistryStatus("docker.io", True, "", None, 200, 164, 12, timedelta(hours=6))
        return [RegistryStatus("registry.example", None, "", None, None, None, 0), limited]


def open_application(folder: Path) -> Application:
    """Return the application whose data is in ``folder``; made there the first time.

    It is the real one, apart from network, engine and loops.
    """
    config = load_config(
        environment={
            "HOME": str(folder),
            "RECONCILER_DATA_FOLDER": str(folder / "data"),
            "RECONCILER_LISTEN": "127.0.0.1:0",
            **_settings(folder),
        }
    )
    config.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = build(config)
    if (folder / "no-hook").exists():
        _leave_hook_out(made, folder / "hook")
    sources = Sources(made.store, NoRemote(), made.repositories)
    requests = Requests(made.store, made.clock, made.brakes, sources, made.registry)
    releases = Releases(made.store, made.clock, sources, made.registry)
    machines = FoundStacks(folder, made.adoption.machines)
    return replace(
        made,
        plans=Plans(replace(made.plans.parts, sources=sources)),
        daemon=cast("Daemon", Idle(made.receiver)),
        engine=cast("DockerEngine", NoEngine()),
        registry=cast("OrasRegistry", NoRegistries()),
        requests=requests,
        releases=releases,
        adoption=replace(made.adoption, machines=cast("Machines", machines)),
    )


def _settings(folder: Path) -> dict[str, str]:
    """Return what a test sets besides."""
    file = folder / "settings.json"
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _leave_hook_out(application: Application, hook: Path) -> None:
    """Put a hook that does nothing in place of the one that ships."""
    config = application.config
    hook.write_text("#!/bin/sh\nexit 0\n")
    folder = config.data_folder / "repositories"
    BareRepositories(folder, LocalRunner("test"), hook=hook, socket=config.socket)


def main(arguments: Sequence[str]) -> int:
    """Serve from the folder that is named until a signal comes."""
    folder = Path(arguments[0])
    application = open_application(folder)

    def write_addresses(addresses: Addresses) -> None:
        found = {"url": addresses.url, "socket": str(addresses.socket)}
        unfinished = folder / "addresses.new"
        unfinished.write_text(json.dumps(found))
        unfinished.replace(folder / "addresses.json")

    return serve(application, on_listening=write_addresses)
