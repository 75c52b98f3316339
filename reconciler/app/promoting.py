"""How promotion is wired: its loops, and what wakes them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.host import HostHealth, HostName
from reconciler.pipeline.promoting.environments import Environments
from reconciler.pipeline.promoting.promotions import Promotions
from reconciler.pipeline.promoting.soak import EVERY, SoakWatch
from reconciler.pipeline.target_reports import TargetReports
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Clock, Prober, Store
from reconciler.scheduling import Daemon, Deployments, LoopSpec

_EVERY = timedelta(seconds=5)


class Promoting:
    """What goes from one environment to the next, and the loops that see to it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        brakes: Brakes,
        reports: TargetReports,
        prober: Prober,
        troubles: Callable[[], Mapping[HostName, HostHealth]],
    ) -> None:
        self.watch = SoakWatch(store, clock, reports.all, prober)
        self.promotions = Promotions(store, clock, brakes, self.watch)
        self.environments = Environments(store, clock, brakes, self.watch.doubt, troubles)

    def loops(self) -> Sequence[LoopSpec]:
        """Return the loops to schedule."""
        return (
            LoopSpec("promotions", self.promotions.tick, _EVERY),
            LoopSpec("soak", self.watch.tick, EVERY),
        )

    def join(self, daemon: Daemon, deployments: Deployments) -> None:
        """Look again once a deployment has ended, or somebody proposed or voted."""
        ended = deployments.on_ended

        def on_ended(deployment: DeploymentId) -> None:
            ended(deployment)
            daemon.wake("promotions")

        def on_change() -> None:
            daemon.wake("promotions")
            daemon.wake("deployments")

        deployments.on_ended, self.promotions.on_change = on_ended, on_change
