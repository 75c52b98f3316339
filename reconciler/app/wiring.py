"""Each part, made once, the inner ones first."""

import logging
import os
import random
import secrets
from contextlib import ExitStack
from pathlib import Path

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.documents import BoundedDocuments
from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.forges.http_forges import HttpForges
from reconciler.adapters.git.checkouts import GitCheckouts
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import open_vault
from reconciler.app.application import Application
from reconciler.app.fleet import FleetFiles
from reconciler.app.hand_over import HandOver
from reconciler.app.hosting import Hosting, HostingParts
from reconciler.app.installation import (
    brakes_of,
    hidden_from_builds,
    life_of,
    make_private,
)
from reconciler.app.looks import Looks, Parts, Reports
from reconciler.app.planning import PlanningParts, plans_of
from reconciler.app.registries import Registries, RegistryParts
from reconciler.app.strategies import Strategies, StrategyParts
from reconciler.config import Config
from reconciler.domain.deployment import Trigger
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import Window
from reconciler.domain.wish import Wish
from reconciler.log import Redactor
from reconciler.pipeline.declaring.fleet import FleetParts, Fleets
from reconciler.pipeline.declaring.registration import Registrations
from reconciler.pipeline.declaring.targets import Targets
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.planning import Plans
from reconciler.pipeline.reconcile import Reconciler
from reconciler.pipeline.releases import Releases
from reconciler.pipeline.requests import Requests
from reconciler.pipeline.rollout import Limits, Rollout
from reconciler.pipeline.set_ups import SetUps
from reconciler.pipeline.sources import Sources
from reconciler.pipeline.target_reports import TargetReports
from reconciler.ports import (
    Checkouts,
    Clock,
    ComposeReader,
    GitRemote,
    Repositories,
    Store,
)
from reconciler.scheduling import Daemon, Deployments
from reconciler.store.data_lock import lock_data
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.triggers.push import Pushes
from reconciler.triggers.webhook import Receiver

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
        self.redactor.register(config.registry_password, config.database_url, config.fleet_token)
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
        self.store: Store = self._open_store()
        resources.callback(self.store.close)
        self.brakes = brakes_of(config.emergency_file)
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
        self.strategies = Strategies(
            StrategyParts(
                config=config,
                runner=self.runner,
                checkouts=self.checkouts,
                registry=self.registries.client,
                reader=self.reader,
                machines=self.hosting.machines,
                find_credentials=self.registries.find_credentials,
            )
        )
        self.plans = self._plans(run / "plans", resources)
        self.target_reports = TargetReports(
            self.store, self.strategies.by_name, self.hosting.checks.troubles
        )
        resources.callback(self.target_reports.close)

    def application(self) -> Application:
        sources = Sources(self.store, self.remote, self.repositories)
        reconciler = Reconciler(self.store, self.clock, self.brakes, sources.compare)
        deployments = Deployments(
            self.store,
            self._rollout(),
            owner=f"{self.life}/{secrets.token_hex(4)}",
            at_once=self.config.deployments_at_once,
        )
        deployments.on_handed_over = self.hand_over.begin
        deployments.on_ended = self.hand_over.end
        reports = Reports(reconciler)

        def look_elsewhere(name: ProjectName, wish: Wish | None) -> None:
            self.store.poll_now(name, wish)
            daemon.wake("polls")

        acting = reports.acting(Trigger.PUSH)
        pushes = Pushes(self.store, self.repositories, self.clock, acting, look_elsewhere)
        receiver = Receiver(self.store, self.clock, pushes.look_at)
        parts = Parts(
            config=self.config,
            store=self.store,
            clock=self.clock,
            remote=self.remote,
            registry=self.registries.client,
            repositories=self.repositories,
            reader=self.reader,
            probe=self.registries.probe,
        )
        looks = Looks(parts, reports, pushes, receiver)
        receiver.look_at_images = looks.look_at_images
        fleet = self._fleet()
        loops = (*looks.loops(), self.hosting.loop(), *fleet.loops())
        daemon = Daemon(self.store, deployments, loops, grace=self.config.shutdown_grace)
        reports.on_admitted = lambda: daemon.wake("deployments")
        receiver.on_arrival = lambda: daemon.wake("webhooks")
        looks.on_wish_done(lambda: daemon.wake("polls"))
        fleet.wake = daemon.wake
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
            requests=Requests(self.store, self.clock, self.brakes, sources, self.registries.client),
            plans=self.plans,
            releases=Releases(self.store, self.clock, sources, self.registries.client),
            explainer=Explainer(
                self.store,
                self.clock,
                self.brakes,
                self.hosting.checks.troubles,
                self.config.deployments_at_once,
            ),
            hosts=self.hosting.hosts,
            host_checks=self.hosting.checks,
            targets=Targets(self.store, self.clock),
            target_reports=self.target_reports,
            set_ups=SetUps(self.store, self.strategies.by_name, self.redactor),
            fleet=fleet,
            pushes=pushes,
            receiver=receiver,
            registrations=self._registrations(),
            registry=self.registries.client,
            probe=self.registries.probe,
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
            came_back=self.hand_over.came_back(),
        )
        store.seed_settings(self.config.settings)
        return store

    def _fleet(self) -> FleetFiles:
        parts = FleetParts(
            self.store,
            self.repositories,
            self.checkouts,
            self.hosting.hosts,
            BoundedDocuments(),
            self.clock,
        )
        return FleetFiles(self.config, Fleets(parts), self.remote, self.repositories, self.clock)

    def _registrations(self) -> Registrations:
        config = self.config
        forges = HttpForges(self.clock, ca_file=config.git_ca_file)
        names = (*((config.listen.host,) if config.listen else ()), *config.own_names)
        return Registrations(self.store, self.clock, forges, config.public_url, names)

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
            checks=self.hosting.checks,
        )
        return plans_of(parts, folder, resources)

    def _rollout(self) -> Rollout:
        config = self.config
        window = Window(config.stability_healthy, config.stability_unchecked, config.verify_timeout)
        limits = Limits(window=window, kept_revisions=config.kept_revisions)
        return Rollout(
            self.store,
            self.clock,
            self.strategies.by_name,
            self.hosting.prober,
            self.checkouts,
            self.brakes,
            self.redactor,
            limits,
            random.random,
            self.strategies.migrator,
        )

    def _mend(self) -> None:
        """End what an earlier life left at work, and let its deployments be taken up again."""
        if groups := self.runner.end_orphans():
            _log.warning("ended %d commands that an earlier life left at work", groups)
        self.strategies.sweep()
        self.hand_over.forget_if_over(self.store)
        if claims := self.store.release_all(self.life):
            _log.warning("taking up %d deployments that an earlier life left unfinished", claims)
