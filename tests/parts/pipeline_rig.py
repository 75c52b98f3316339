"""Deployments of a project on the real engine, carried out by the pipeline within the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.probes.prober import HealthProber
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, Trigger
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.references import CommitSha
from reconciler.domain.revision import Revision
from reconciler.domain.target import TargetStrategy
from reconciler.domain.verification import Window
from reconciler.log import Redactor
from reconciler.pipeline.rollout import Limits, Rollout
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Strategy
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.strategies.compose import ComposeMigrator
from tests.parts import tables
from tests.parts.compose_rig import ComposeRig

#: Short, because what should be up is so at once, and what is not has shown it by then.
WINDOW = Window(
    healthy=timedelta(seconds=0.5), unchecked=timedelta(seconds=1), timeout=timedelta(seconds=6)
)


@dataclass
class PipelineRig:
    """The pipeline with a store of its own."""

    rig: ComposeRig
    store: SqlStore
    window: Window = WINDOW

    def declare(self, **fields: object) -> None:
        """Change the project's declaration."""
        project = self.store.get_project(self.rig.name)
        self.store.update_project(replace(project, **fields))  # type: ignore[arg-type]

    def deploy(self, strategy: Strategy | None = None) -> Deployment:
        """Deploy the branch's tip, also where it is live, and return what became of it."""
        revision = Revision(CommitSha(self.rig.repository.tip()))
        cause = Cause(Trigger.PERSON, "somebody")
        asked = Request(self.rig.name, revision, cause, force=True)
        now = SystemClock().now()
        assert trigger_deployment(self.store, asked, brakes=no_brake, now=now).admitted
        ended = self.run_next(strategy)
        assert ended is not None
        return ended

    def run_next(self, strategy: Strategy | None = None) -> Deployment | None:
        """Carry out what waits, of whichever project, and return what became of it, if anything."""
        clock = SystemClock()
        claim = self.store.claim_next("me", clock.now(), lease=timedelta(minutes=5))
        if claim is None:
            return None
        rollout = Rollout(
            self.store,
            clock,
            {TargetStrategy.COMPOSE: strategy or self.rig.strategy},
            HealthProber(self.rig.strategy.machines, str),
            self.rig.checkouts,
            no_brake,
            Redactor(),
            Limits(self.window),
            lambda: 0.5,
            ComposeMigrator(self.rig.strategy),
        )
        rollout.run(claim, rollout.journal(claim), threading.Event())
        return self.store.get_deployment(claim.deployment.id)

    def output(self, deployment: Deployment) -> str:
        """Return the deployment's log."""
        return "\n".join(line.text for line in self.store.read_log(deployment.id))


@contextmanager
def open_pipeline(rig: ComposeRig) -> Iterator[PipelineRig]:
    """Give the pipeline until the block ends; the rig's project is declared in it."""
    tables.lay_out(rig.folder)
    store = open_store(
        rig.folder / "state.db",
        lambda may_create: KeySources(rig.folder / "key").open(may_create=may_create),
        SystemClock(),
    )
    try:
        store.create_project(rig.project)
        yield PipelineRig(rig, store)
    finally:
        store.close()


def no_brake(switch: MasterSwitch) -> MasterSwitch:
    """Leave the switch as it is: there is no emergency file."""
    return switch
