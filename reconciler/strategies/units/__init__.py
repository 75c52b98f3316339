"""Programs that run as a systemd unit: built here or on their host, switched in one step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from reconciler.domain.target import TargetStrategy
from reconciler.ports import Checkouts, CommandRunner, ImageFiles, Machines
from reconciler.strategies.units.local_build import LocalBuild
from reconciler.strategies.units.myself import Myself
from reconciler.strategies.units.remote_build import RemoteBuild
from reconciler.strategies.units.sources import Sources
from reconciler.strategies.units.strategy import UnitStrategy

__all__ = ["Myself", "UnitOptions", "UnitStrategy", "unit_strategies"]


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """How units are built."""

    folder: Path  #: of ours alone; what is built here, and what is kept of it
    build_timeout: timedelta = timedelta(minutes=30)  #: here, and on a host
    myself: Myself = field(default_factory=Myself)  #: nobody knows us unless it is said


def unit_strategies(
    machines: Machines,
    checkouts: Checkouts,
    runner: CommandRunner,
    options: UnitOptions,
    images: ImageFiles,
) -> Mapping[TargetStrategy, UnitStrategy]:
    """Return the strategies of units, which share what they know of repositories."""
    sources, timeout, myself = Sources(checkouts), options.build_timeout, options.myself
    local = LocalBuild(runner, sources, options.folder, timeout, images)
    return {
        TargetStrategy.SYSTEMD: UnitStrategy(machines, local, myself),
        TargetStrategy.SYSTEMD_REMOTE: UnitStrategy(
            machines, RemoteBuild(sources, timeout), myself
        ),
    }
