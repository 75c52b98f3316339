"""Two environments of one app, test and production, on the pipeline of ``World``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, Trigger
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.promotion import Environment, EnvironmentName, Promotion
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.rules import Rules
from reconciler.domain.target import TargetStrategy
from reconciler.domain.verification import Health
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.promoting.environments import Environments
from reconciler.pipeline.promoting.promotions import Promotions, Proposal, Proposed
from reconciler.pipeline.promoting.soak import SoakWatch
from reconciler.pipeline.target_reports import TargetReports
from reconciler.pipeline.trigger import TriggerResult, trigger_deployment
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, World

PRODUCTION = ProjectName("web-production")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Way:
    """From test to production."""

    world: World
    watch: SoakWatch
    troubles: dict[HostName, HostHealth]

    @property
    def promotions(self) -> Promotions:
        return Promotions(self.world.store, self.world.clock, self.world.brakes, self.watch)

    @property
    def environments(self) -> Environments:
        world = self.world
        return Environments(world.store, world.clock, world.brakes, self.watch.doubt)

    def declare(
        self,
        name: ProjectName = PRODUCTION,
        before: ProjectName = WEB,
        *,
        soak: timedelta = timedelta(0),
        approvals: int = 0,
        auto_deploy: bool = True,
    ) -> None:
        """Add an environment that is promoted from ``before``."""
        store, label = self.world.store, EnvironmentName(name.removeprefix("web-"))
        project = replace(
            store.get_project(WEB),
            name=name,
            environment=Environment(label, before, soak),
            rules=Rules(approvals=approvals),
            auto_deploy=auto_deploy,
        )
        store.create_project(project)

    def change(self, name: ProjectName = PRODUCTION, **fields: object) -> None:
        """Declare an environment otherwise."""
        project = self.world.store.get_project(name)
        self.world.store.update_project(replace(project, **fields))  # type: ignore[arg-type]

    def verify(self, commit: CommitSha, seed: str) -> Deployment:
        """Deploy a commit on test, with the image that its tag names then."""
        self.world.strategy.digests[IMAGE] = digest_of(seed)
        return self.world.deploy(commit)

    def tick(self) -> None:
        """Let every loop have one pass, and what is queued be carried out."""
        self.watch.tick()
        self.promotions.tick()
        self.carry_out()

    def carry_out(self) -> None:
        """Carry out what is queued."""
        while claim := self.world.store.claim_next("me", self.world.clock.now(), lease=MINUTE):
            self.world.roll_out(claim)

    def later(self, by: timedelta) -> None:
        """Let time pass, then have a look."""
        self.world.clock.advance(by)
        self.tick()

    def propose(
        self, actor: str = "ann", name: ProjectName = PRODUCTION, **wish: object
    ) -> Proposed:
        return self.promotions.propose(name, Proposal(**wish), actor=actor)  # type: ignore[arg-type]

    def vote(self, person: str, *, approves: bool = True, reason: str = "") -> Promotion:
        say = self.promotions.approve if approves else self.promotions.reject
        return say(PRODUCTION, None, reason=reason, actor=person)

    def ask(self, name: ProjectName = PRODUCTION, **wish: object) -> TriggerResult:
        """Ask for a deployment that is no promotion, unless ``wish`` makes it one."""
        asked = Request(name, Revision(None), Cause(Trigger.PERSON, "ann", "now"))
        asked = replace(asked, **wish)  # type: ignore[arg-type]
        world = self.world
        return trigger_deployment(world.store, asked, brakes=world.brakes, now=world.clock.now())

    def live(self, name: ProjectName = PRODUCTION) -> Deployment | None:
        return self.world.store.get_state(name).live

    def newest(self, name: ProjectName = PRODUCTION) -> Promotion:
        return self.promotions.history(name)[0]

    def why(self, name: ProjectName = PRODUCTION) -> dict[str, str]:
        """Return code → sentence."""
        world = self.world
        explainer = Explainer(world.store, world.clock, world.brakes, doubt=self.watch.doubt)
        return {one.code: one.text for one in reversed(explainer.why(name).reasons)}

    def seen(self, seed: str, name: ProjectName = WEB) -> bool:
        """Tell whether the image of ``seed`` runs."""
        running = self.world.strategy.running.get((name, HostName("local")), [])
        return [one.digests for one in running] == [frozenset({digest_of(seed)})]

    def hurt(self, health: Health, name: ProjectName = WEB) -> None:
        """Have what runs say of itself how it is."""
        running = self.world.strategy.running
        key = (name, HostName("local"))
        running[key] = [replace(one, health=health) for one in running[key]]


@contextmanager
def open_way(world: World) -> Iterator[Way]:
    """Give the way until the block ends; its first environment is there."""
    web = world.store.get_project(WEB)
    first = Environment(EnvironmentName("test"))
    world.store.update_project(replace(web, environment=first))
    troubles: dict[HostName, HostHealth] = {}
    strategies = {TargetStrategy.COMPOSE: world.strategy}
    reports = TargetReports(world.store, strategies, lambda: troubles)
    try:
        yield Way(world, SoakWatch(world.store, world.clock, reports.all, world.prober), troubles)
    finally:
        reports.close()
