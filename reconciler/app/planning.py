"""How plans are wired: with a client of git servers of their own, that remembers nothing."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.git.fetch import FetchLimits
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.scratch import Scratches
from reconciler.adapters.git.ssh import HostKeys
from reconciler.app.registries import Registries
from reconciler.app.strategies import Strategies
from reconciler.config import Config
from reconciler.domain.host import HostHealth, HostName
from reconciler.pipeline.planning import PlanParts, Plans
from reconciler.pipeline.sources import Sources
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Bring, Checkouts, Clock, CommandRunner, Repositories, Store

_LOOK = timedelta(seconds=10)
_FETCH = FetchLimits(time=timedelta(seconds=25), pack_bytes=256 << 20)


@dataclass(frozen=True, slots=True)
class PlanningParts:
    """What plans look at."""

    config: Config
    store: Store
    clock: Clock
    brakes: Brakes
    runner: CommandRunner
    repositories: Repositories
    checkouts: Checkouts
    registries: Registries
    strategies: Strategies
    bring: Bring  #: what changed in a folder that is followed: a deployment would take it
    troubles: Callable[[], Mapping[HostName, HostHealth]]


def plans_of(parts: PlanningParts, folder: Path, resources: ExitStack) -> Plans:
    """Return what makes plans, in ``folder``, which is theirs alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    # A first contact pins nothing: a plan leaves no trace.
    keys = HostKeys(parts.store.get_host_key, lambda _origin, _key: None)
    remote = DulwichRemote(
        folder / "git",
        parts.runner,
        keys,
        limit=_LOOK,
        fetch_limits=_FETCH,
        ca_file=parts.config.git_ca_file,
    )
    resources.callback(remote.close)
    scratches = Scratches(
        folder / "scratch", parts.runner, remote, parts.repositories, parts.checkouts
    )
    return Plans(
        PlanParts(
            store=parts.store,
            clock=parts.clock,
            brakes=parts.brakes,
            sources=Sources(parts.store, remote, parts.repositories, parts.bring),
            registry=parts.registries.client,
            open_scratch=scratches.open,
            planners=parts.strategies.planners,
            troubles=parts.troubles,
        )
    )
