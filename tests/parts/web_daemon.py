"""The daemon's web on real parts, without its loops: nothing deploys by itself here.

``python -m tests.parts.web_daemon FOLDER`` serves it in a process of its own, ready once the file
``addresses.json`` is in the folder.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.repositories import BareRepositories
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import open_vault
from reconciler.config import Config, load_config
from reconciler.domain.deployment import DeploymentId, Failure, Trigger
from reconciler.domain.errors import PreconditionFailed, SourceUnreachable
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    RepositoryPath,
)
from reconciler.pipeline.explain import Explainer, Explanation, ProjectSummary
from reconciler.pipeline.reconcile import InSync, Reconciler, Seeded
from reconciler.pipeline.requests import Requests
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import Checkouts, GitCredentials, RegistryStatus
from reconciler.scheduling import LoopHealth
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.triggers.push import Pushes
from reconciler.web.facade import RefUpdate
from reconciler.web.server import Addresses, serve

HOOK = Path(__file__).parents[2] / "packaging" / "post-receive"


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

    def fetch(
        self, url: GitUrl, commit: CommitSha, into: Path, credentials: GitCredentials | None = None
    ) -> None:
        raise SourceUnreachable(f"{url.host} does not answer", host=url.host)


class NoEngine:
    """A container engine that is not there."""

    def ping(self) -> str | Failure:
        return Failure.of(PreconditionFailed("there is no engine"))


class Idle:
    """A daemon whose loops do nothing."""

    def __init__(self) -> None:
        self.state = "starting"
        self.looked_at: list[ProjectName] = []

    def loops(self) -> Sequence[LoopHealth]:
        return [LoopHealth("git-poll", datetime.now(UTC), timedelta(0), ok=True)]

    def start(self) -> None:
        self.state = "ready"

    def drain(self) -> bool:
        self.state = "draining"
        return True

    def look_now(self, name: ProjectName) -> None:
        self.looked_at.append(name)


@dataclass(frozen=True)
class WebApplication:
    """What the web needs, from real parts, apart from network, engine and loops."""

    config: Config
    clock: SystemClock
    store: SqlStore
    repositories: BareRepositories
    checkouts: Checkouts
    daemon: Idle
    engine: NoEngine
    started_at: datetime
    requests: Requests
    explainer: Explainer
    pushes: Pushes

    def registries(self) -> Sequence[RegistryStatus]:
        return [RegistryStatus("registry.example", None, "", None, None, None, 0)]

    def deploy(
        self, name: ProjectName, *, commit: CommitSha | None, force: bool, actor: str, reason: str
    ) -> TriggerResult:
        return self.requests.deploy(name, commit=commit, force=force, actor=actor, reason=reason)

    def roll_back(self, name: ProjectName, *, to: DeploymentId | None, actor: str) -> TriggerResult:
        return self.requests.roll_back(name, to=to, actor=actor)

    def received(self, repository: ProjectName, updates: Sequence[RefUpdate]) -> Sequence[str]:
        return self.pushes.receive(repository, {update.ref for update in updates})

    def why(self, name: ProjectName) -> Explanation:
        return self.explainer.why(name)

    def summaries(self) -> Sequence[ProjectSummary]:
        return self.explainer.summaries()

    def summary(self, name: ProjectName) -> ProjectSummary:
        return self.explainer.summary(name)

    def switch(self) -> MasterSwitch:
        return self.store.get_switch()


def open_application(folder: Path) -> WebApplication:
    """Return the application whose data is in ``folder``; made there the first time."""
    config = load_config(
        environment={
            "HOME": str(folder),
            "RECONCILER_DATA_FOLDER": str(folder / "data"),
            "RECONCILER_LISTEN": "127.0.0.1:0",
        }
    )
    clock, runner = SystemClock(), LocalRunner("test")
    config.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(
        config.data_folder / "state.db",
        lambda may_create: open_vault(config.data_folder, may_create=may_create),
        clock,
    )
    repositories = BareRepositories(
        config.data_folder / "repositories", runner, hook=_hook(folder), socket=config.socket
    )

    def brakes(switch: MasterSwitch) -> MasterSwitch:
        return switch

    reconciler = Reconciler(store, clock, brakes)

    def act(name: ProjectName, tip: CommitSha, tracked: CommitSha | None) -> str:
        result = reconciler.reconcile_commit(name, tip, tracked, Trigger.PUSH)
        if isinstance(result, InSync | Seeded):
            return "nothing new"
        return f"{result.outcome}: {result.reasons[0].text}"

    return WebApplication(
        config=config,
        clock=clock,
        store=store,
        repositories=repositories,
        checkouts=GitCheckouts(config.data_folder / "projects", runner, NoRemote(), repositories),
        daemon=Idle(),
        engine=NoEngine(),
        started_at=clock.now(),
        requests=Requests(store, clock, brakes, NoRemote(), repositories),
        explainer=Explainer(store, brakes),
        pushes=Pushes(store, repositories, clock, act, lambda _: None),
    )


def _hook(folder: Path) -> Path:
    """Return the hook that ships; one that does nothing where ``no-hook`` is in the folder."""
    if not (folder / "no-hook").exists():
        return HOOK
    hook = folder / "hook"
    hook.write_text("#!/bin/sh\nexit 0\n")
    return hook


def main(folder: Path) -> int:
    """Serve until a signal comes."""
    application = open_application(folder)

    def write_addresses(addresses: Addresses) -> None:
        found = {"url": addresses.url, "socket": str(addresses.socket)}
        unfinished = folder / "addresses.new"
        unfinished.write_text(json.dumps(found))
        unfinished.replace(folder / "addresses.json")

    return serve(application, on_listening=write_addresses)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
