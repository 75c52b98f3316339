"""How the parts come together: triggers, pipeline and loops around what the daemon stands on."""

import random
import secrets
from contextlib import ExitStack
from datetime import timedelta

from reconciler.adapters.documents import BoundedDocuments
from reconciler.adapters.system_clock import SystemClock
from reconciler.app.application import Application
from reconciler.app.figures import Figures
from reconciler.app.first_looks import FirstLooks
from reconciler.app.fleet import FleetFiles
from reconciler.app.foundation import Foundation
from reconciler.app.looks import Looks, Parts, Reports
from reconciler.app.notifying import Notifying, NotifyingParts
from reconciler.app.people import people_of
from reconciler.app.promoting import Promoting
from reconciler.app.statuses import statuses_loop
from reconciler.config import Config
from reconciler.domain.deployment import Trigger
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import Window
from reconciler.domain.wish import Wish
from reconciler.pipeline.adopting import Adoption
from reconciler.pipeline.declaring.fleet import FleetParts, Fleets
from reconciler.pipeline.declaring.registration import Registrations
from reconciler.pipeline.declaring.targets import Targets
from reconciler.pipeline.drift import DriftWatch
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.reconcile import Reconciler
from reconciler.pipeline.releases import Releases
from reconciler.pipeline.requests import Requests
from reconciler.pipeline.rollout import Limits, Rollout
from reconciler.pipeline.set_ups import SetUps
from reconciler.pipeline.sources import Sources
from reconciler.ports import Clock
from reconciler.scheduling import Daemon, Deployments, LoopSpec
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.push import Pushes
from reconciler.triggers.webhook import Receiver


def build(config: Config, *, clock: Clock | None = None) -> Application:
    """Wire the daemon that ``config`` describes. Opens the store; starts nothing.

    Raises:
        PreconditionFailed: another daemon has the data folder, or it can't be used.
        StoreError: the database can't be opened.
    """
    with ExitStack() as resources:
        application = _application(Foundation(config, clock or SystemClock(), resources))
        application.resources.push(resources.pop_all())
        return application


def _application(base: Foundation) -> Application:
    sources = Sources(base.store, base.remote, base.repositories, base.folders.bring)
    reconciler = Reconciler(base.store, base.clock, base.brakes, sources.compare)
    deployments = Deployments(
        base.store,
        _rollout(base),
        owner=f"{base.life}/{secrets.token_hex(4)}",
        at_once=base.config.deployments_at_once,
    )
    deployments.on_handed_over = base.hand_over.begin
    deployments.on_ended = base.hand_over.end
    reports = Reports(reconciler)

    def look_elsewhere(name: ProjectName, wish: Wish | None) -> None:
        base.store.poll_now(name, wish)
        daemon.wake("polls")

    acting = reports.acting(Trigger.PUSH)
    pushes = Pushes(
        base.store, base.repositories, base.clock, acting, look_elsewhere, base.folders.bring
    )
    receiver = Receiver(base.store, base.clock, pushes.look_at, metering=base.meters)
    parts = Parts(
        config=base.config,
        store=base.store,
        clock=base.clock,
        remote=base.remote,
        registry=base.registries.client,
        repositories=base.repositories,
        reader=base.reader,
        probe=base.registries.probe,
        metering=base.meters,
    )
    looks = Looks(parts, reports, pushes, receiver)
    receiver.look_at_images = looks.look_at_images
    fleet = _fleet(base)
    statuses = statuses_loop(base.config, base.store, base.clock, base.forges)
    notifying = _notifying(base, sources)
    promoting = _promoting(base)
    own = (*base.hosting.loops(), *fleet.loops(), statuses, notifying.loop(), *promoting.loops())
    drifts = _drift_watch(base)
    drift = LoopSpec("drift", drifts.tick, timedelta(minutes=1))
    loops = (*looks.loops(), *own, drift)
    daemon = Daemon(base.store, deployments, loops, grace=base.config.shutdown_grace)
    reports.on_admitted = drifts.on_admitted = lambda: daemon.wake("deployments")
    receiver.on_arrival = lambda: daemon.wake("webhooks")
    looks.on_wish_done(lambda: daemon.wake("polls"))
    fleet.wake = daemon.wake
    daemon.look = looks.look_at
    daemon.on_start = base.mend
    daemon.meter_with(base.meters)
    explainer = _explainer(base, promoting)
    figures = Figures(base.store, base.clock, explainer, daemon, base.registries.client)
    daemon.on_end = looks.close
    notifying.join(daemon, deployments)
    promoting.join(daemon, deployments)
    return Application(
        config=base.config,
        clock=base.clock,
        store=base.store,
        repositories=base.repositories,
        checkouts=base.checkouts,
        redactor=base.redactor,
        daemon=daemon,
        engine=base.engine,
        started_at=base.clock.now(),
        requests=Requests(base.store, base.clock, base.brakes, sources, base.registries.client),
        plans=base.plans,
        first_looks=_first_looks(base),
        releases=Releases(base.store, base.clock, sources, base.registries.client),
        explainer=explainer,
        promotions=promoting.promotions,
        environments=promoting.environments,
        adoption=Adoption(base.store, base.hosting.machines, base.folders),
        hosts=base.hosting.hosts,
        host_checks=base.hosting.checks,
        clusters=base.hosting.declared_clusters,
        cluster_checks=base.hosting.cluster_checks,
        targets=Targets(base.store, base.clock),
        target_reports=base.target_reports,
        set_ups=SetUps(base.store, base.strategies.by_name, base.redactor),
        fleet=fleet,
        people=people_of(base.config, base.store, base.clock),
        pushes=pushes,
        receiver=receiver,
        registrations=_registrations(base),
        channels=notifying.channels,
        notices=notifying.notices,
        registry=base.registries.client,
        probe=base.registries.probe,
        brakes=base.brakes,
        meters=base.meters,
        metrics=figures.scrape(base.meters, per_project=base.config.project_metrics),
        resources=ExitStack(),
    )


def _first_looks(base: Foundation) -> FirstLooks:
    sources = base.plans.parts.sources  # whose client pins nothing, and is soon over
    composed = ComposeImages(base.store, sources.remote, base.repositories, base.reader)
    return FirstLooks(sources, composed, base.registries.client, base.clock)


def _explainer(base: Foundation, promoting: Promoting) -> Explainer:
    return Explainer(
        base.store,
        base.clock,
        base.brakes,
        base.hosting.troubles,
        base.config.deployments_at_once,
        promoting.watch.doubt,
    )


def _drift_watch(base: Foundation) -> DriftWatch:
    return DriftWatch(base.store, base.clock, base.target_reports.all, base.brakes)


def _promoting(base: Foundation) -> Promoting:
    return Promoting(
        base.store,
        base.clock,
        base.brakes,
        base.target_reports,
        base.hosting.prober,
        base.hosting.troubles,
    )


def _fleet(base: Foundation) -> FleetFiles:
    parts = FleetParts(
        base.store,
        base.repositories,
        base.checkouts,
        base.hosting.hosts,
        BoundedDocuments(),
        base.clock,
    )
    return FleetFiles(base.config, Fleets(parts), base.remote, base.repositories, base.clock)


def _registrations(base: Foundation) -> Registrations:
    config = base.config
    names = (*((config.listen.host,) if config.listen else ()), *config.own_names)
    return Registrations(base.store, base.clock, base.forges, config.public_url, names)


def _notifying(base: Foundation, sources: Sources) -> Notifying:
    basis = (base.config, base.store, base.clock, base.runner, base.redactor)
    parts = NotifyingParts(*basis, sources, base.hosting.standings)
    return Notifying(parts, f"{base.life}/{secrets.token_hex(4)}")


def _rollout(base: Foundation) -> Rollout:
    config = base.config
    window = Window(config.stability_healthy, config.stability_unchecked, config.verify_timeout)
    limits = Limits(window=window, kept_revisions=config.kept_revisions)
    return Rollout(
        base.store,
        base.clock,
        base.strategies.by_name,
        base.hosting.prober,
        base.checkouts,
        base.brakes,
        base.redactor,
        limits,
        random.random,
        base.strategies.migrator,
    )
