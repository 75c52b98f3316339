"""What the daemon stands on: each part that holds something or talks to the world, made once."""

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.forges.http_forges import HttpForges
from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.metrics import Meters
from reconciler.adapters.process import LocalRunner
from reconciler.app.hand_over import HandOver
from reconciler.app.hosting import Hosting, HostingParts
from reconciler.app.installation import (
    brakes_of,
    hidden_from_builds,
    life_of,
    make_private,
)
from reconciler.app.keys import key_sources, location_of, tell_resealed, warn_of_keys
from reconciler.app.planning import PlanningParts, plans_of
from reconciler.app.registries import Registries, RegistryParts
from reconciler.app.strategies import Strategies, StrategyParts
from reconciler.config import Config
from reconciler.log import Redactor
from reconciler.pipeline.adopting import Folders
from reconciler.pipeline.planning import Plans
from reconciler.pipeline.target_reports import TargetReports
from reconciler.ports import (
    Checkouts,
    Clock,
    ComposeReader,
    GitRemote,
    Repositories,
    Store,
)
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore

_log = logging.getLogger(__name__)


class Foundation:
    """The inner parts first; ``resources`` closes them in the opposite order."""

    def __init__(self, config: Config, clock: Clock, resources: ExitStack) -> None:
        self.config = config
        self.clock = clock
        self.redactor = Redactor()
        self.redactor.register(*config.secrets)
        data = config.data_folder
        resources.enter_context(lock_data(data))
        self.life = life_of(data / "life")
        self.hand_over = HandOver(data / "handed-over")
        self.runner = LocalRunner(
            self.life,
            hidden_from_builds(config),
            allow_unconfined=config.unconfined_builds == "allow",
        )
        self.reader: ComposeReader = RuamelComposeReader()
        self.meters = Meters(per_project=config.project_metrics)
        self.store: Store = self._open_store()
        resources.callback(self.store.close)
        self.brakes = brakes_of(config.emergency_file)
        self.forges = HttpForges(clock, ca_file=config.git_ca_file)
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
        parts = HostingParts(self.store, self.runner, self.engine, clock, self.redactor)
        self.hosting = Hosting(parts, run / "hosts")
        resources.callback(self.hosting.close)
        self.repositories: Repositories = BareRepositories(
            data / "repositories", self.runner, hook=find_hook(), socket=config.socket
        )
        self.checkouts: Checkouts = GitCheckouts(
            make_private(data / "projects"), self.runner, self.remote, self.repositories
        )
        self.registries = Registries(
            RegistryParts(config, self.store, self.runner, clock, self.redactor)
        )
        self.registries.client.metering = self.meters
        self.strategies = Strategies(
            StrategyParts(
                config=config,
                runner=self.runner,
                checkouts=self.checkouts,
                registry=self.registries.client,
                reader=self.reader,
                machines=self.hosting.machines,
                clusters=self.hosting.clusters,
                clock=clock,
                find_credentials=self.registries.find_credentials,
            )
        )
        self.folders = Folders(
            self.repositories, self.strategies.base_files, self.reader, clock, self.store
        )
        self.plans = self._plans(run / "plans", resources)
        self.target_reports = TargetReports(
            self.store, self.strategies.by_name, self.hosting.troubles
        )
        resources.callback(self.target_reports.close)

    def mend(self) -> None:
        """End what an earlier life left at work, and let its deployments be taken up again."""
        if groups := self.runner.end_orphans():
            _log.warning("ended %d commands that an earlier life left at work", groups)
        self.strategies.sweep()
        self.hand_over.forget_if_over(self.store)
        if claims := self.store.release_all(self.life):
            _log.warning("taking up %d deployments that an earlier life left unfinished", claims)

    def _open_store(self) -> SqlStore:
        keys = key_sources(self.config, os.environ)
        self.redactor.register(keys.environment, keys.old_environment)
        store = open_store(
            location_of(self.config),
            lambda may_create: keys.open(may_create=may_create),
            self.clock,
            came_back=self.hand_over.came_back(),
            on_resealed=tell_resealed,
        )
        warn_of_keys(keys)
        store.meter_with(self.meters)
        store.seed_settings(self.config.settings)
        return store

    def _plans(self, folder: Path, resources: ExitStack) -> Plans:
        parts = PlanningParts(
            config=self.config,
            store=self.store,
            clock=self.clock,
            brakes=self.brakes,
            runner=self.runner,
            repositories=self.repositories,
            checkouts=self.checkouts,
            registries=self.registries,
            strategies=self.strategies,
            bring=self.folders.bring,
            troubles=self.hosting.troubles,
        )
        return plans_of(parts, folder, resources)
