"""Each part, made once, the inner ones first."""

import logging
import os
import random
import secrets
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.credentials import (
    CredentialChain,
    CredentialHelpers,
    configured_credentials,
)
from reconciler.adapters.registry.docker_config import DockerConfigFile
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import open_vault
from reconciler.app.application import Application
from reconciler.app.looks import Looks, Parts, Reports
from reconciler.config import Config
from reconciler.domain.deployment import Trigger
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import Window
from reconciler.log import Redactor
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.reconcile import Reconciler
from reconciler.pipeline.requests import Requests
from reconciler.pipeline.rollout import Limits, Rollout
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import (
    Checkouts,
    Clock,
    ComposeReader,
    GitRemote,
    RegistryCredentials,
    Repositories,
    Store,
)
from reconciler.scheduling import Daemon, Deployments
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.strategies.compose import ComposeOptions, ComposeStrategy
from reconciler.triggers.push import Pushes
from reconciler.triggers.registry_probe import RegistryProbe

_log = logging.getLogger(__name__)


def build(config: Config, *, clock: Clock | None = None) -> Application:
    """Wire the daemon that ``config`` describes. Opens the store; starts nothing.

    Raises:
        PreconditionFailed: another daemon has the data folder, or it can't be used.
        StoreError: the database can't be opened.
    """
    with ExitStack() as resources:
        application = _Wiring(config, clock or SystemClock(), resources).application()
        application.resources.push(resources.pop_all())
        return application


class _Wiring:
    """Makes each part once, the inner ones first."""

    def __init__(self, config: Config, clock: Clock, resources: ExitStack) -> None:
        self.config = config
        self.clock = clock
        self.redactor = Redactor()
        self.redactor.register(config.registry_password, config.database_url)
        data = config.data_folder
        resources.enter_context(lock_data(data))
        self.life = _life(data / "life")
        self.runner = LocalRunner(self.life)
        self.reader: ComposeReader = RuamelComposeReader()
        self.store: Store = self._open_store()
        resources.callback(self.store.close)
        self.brakes = _brakes(config.emergency_file)
        self.engine = DockerEngine(f"unix://{config.docker_socket}")
        resources.callback(self.engine.close)
        keys = HostKeys(
            self.store.get_host_key,
            lambda origin, key: self.store.pin_host_key(origin, key, clock.now()),
        )
        run = data / "run"
        run.mkdir(mode=0o700, exist_ok=True)  # whoever may enter it reaches the socket
        self.remote: GitRemote = DulwichRemote(
            run / "git",
            self.runner,
            keys,
            limit=config.poll_timeout,
            ca_file=config.git_ca_file,
        )
        resources.callback(self.remote.close)
        self.repositories: Repositories = BareRepositories(
            data / "repositories", self.runner, hook=find_hook(), socket=config.socket
        )
        self.checkouts: Checkouts = GitCheckouts(
            _private(data / "projects"), self.runner, self.remote, self.repositories
        )
        self.credentials = self._credentials()
        self.registry = OrasRegistry(
            clock,
            self._find_credentials,
            insecure_hosts=config.insecure_registries,
            approved_realms=config.allowed_realms,
            ca_bundle=config.registry_ca_file,
            time_limit=config.poll_timeout,
        )
        self.compose = self._compose()
        self.probe = RegistryProbe(self.registry, config.registry_address)

    def application(self) -> Application:
        reconciler = Reconciler(self.store, self.clock, self.brakes)
        deployments = Deployments(
            self.store,
            self._rollout(),
            owner=f"{self.life}/{secrets.token_hex(4)}",
            at_once=self.config.deployments_at_once,
        )
        reports = Reports(reconciler)

        def look_elsewhere(name: ProjectName) -> None:
            self.store.poll_now(name)
            daemon.wake("polls")

        acting = reports.acting(Trigger.PUSH)
        pushes = Pushes(self.store, self.repositories, self.clock, acting, look_elsewhere)
        parts = Parts(
            config=self.config,
            store=self.store,
            clock=self.clock,
            remote=self.remote,
            registry=self.registry,
            repositories=self.repositories,
            reader=self.reader,
            probe=self.probe,
        )
        looks = Looks(parts, reports, pushes)
        daemon = Daemon(self.store, deployments, looks.loops(), grace=self.config.shutdown_grace)
        reports.on_admitted = lambda: daemon.wake("deployments")
        daemon.look = looks.look_at
        daemon.on_start = self._mend
        daemon.on_end = looks.close
        return Application(
            config=self.config,
            clock=self.clock,
            store=self.store,
            repositories=self.repositories,
            checkouts=self.checkouts,
            redactor=self.redactor,
            daemon=daemon,
            engine=self.engine,
            started_at=self.clock.now(),
            requests=Requests(
                self.store,
                self.clock,
                self.brakes,
                self.remote,
                self.repositories,
                self.registry,
            ),
            explainer=Explainer(self.store, self.brakes),
            pushes=pushes,
            registry=self.registry,
            probe=self.probe,
            brakes=self.brakes,
            resources=ExitStack(),
        )

    def _open_store(self) -> SqlStore:
        data = self.config.data_folder
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        location = self.config.database_url.reveal() or self.config.database_file
        store = open_store(
            location,
            lambda may_create: open_vault(
                data,
                may_create=may_create,
                credentials_directory=Path(credentials) if credentials else None,
            ),
            self.clock,
        )
        store.seed_settings(self.config.settings)
        return store

    def _credentials(self) -> CredentialChain:
        config = self.config
        home = os.environ.get("HOME", "")
        folder = os.environ.get("DOCKER_CONFIG") or f"{home}/.docker"
        return CredentialChain(
            self.store.registry_credentials,
            configured_credentials(
                config.registry_address, config.registry_user, config.registry_password
            ),
            DockerConfigFile(Path(folder) / "config.json"),
            CredentialHelpers(self.runner, self.clock, {"HOME": home}),
        )

    def _find_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return what a registry is shown, which no log then shows."""
        found = self.credentials.find(host, project)
        if found:
            self.redactor.register(found.password)
        return found

    def _compose(self) -> ComposeStrategy:
        config = self.config
        options = ComposeOptions(
            data_folder=config.data_folder,
            docker_host=f"unix://{config.docker_socket}",
            pull_timeout=config.deployment_timeout,
            up_timeout=config.deployment_timeout,
            own_paths=_own_paths(config),
        )
        return ComposeStrategy(
            self.runner,
            self.checkouts,
            self.registry,
            self.reader,
            self.engine,
            options,
            self._find_credentials,
        )

    def _rollout(self) -> Rollout:
        config = self.config
        window = Window(config.stability_healthy, config.stability_unchecked, config.verify_timeout)
        limits = Limits(window=window, kept_revisions=config.kept_revisions)
        return Rollout(
            self.store,
            self.clock,
            {ProjectKind.COMPOSE: self.compose, ProjectKind.IMAGE: self.compose},
            self.brakes,
            self.redactor,
            limits,
            random.random,
        )

    def _mend(self) -> None:
        """End what an earlier life left at work, and let its deployments be taken up again."""
        if groups := self.runner.end_orphans():
            _log.warning("ended %d commands that an earlier life left at work", groups)
        self.compose.forget_secrets()
        if claims := self.store.release_all(self.life):
            _log.warning("taking up %d deployments that an earlier life left unfinished", claims)


def _own_paths(config: Config) -> tuple[Path, ...]:
    """Return what no container may see, wherever the operator put it: who has it is operator."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    places = (config.socket, config.file, Path(credentials) if credentials else None)
    return tuple(place for place in places if place is not None)


def _private(folder: Path) -> Path:
    """Return ``folder``, closed to others, also where the one around it is open to them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _life(path: Path) -> str:
    """Return this installation's own name, made at its first start.

    One that a power cut left empty is made again: every worker's name begins with nothing.
    """
    if not path.exists() or not path.read_text():
        part = path.with_suffix(".part")
        part.write_text(secrets.token_hex(8))
        part.replace(path)
    return path.read_text()


def _brakes(emergency_file: Path) -> Brakes:
    """Return what adds the emergency file to the switch. One that can't be looked at counts."""

    def brakes(switch: MasterSwitch) -> MasterSwitch:
        try:
            emergency_file.lstat()
        except FileNotFoundError:
            return switch
        except OSError:
            return replace(switch, emergency_file=f"{emergency_file} (which can't be looked at)")
        return replace(switch, emergency_file=str(emergency_file))

    return brakes
