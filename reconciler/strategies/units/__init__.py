"""Programs that run as a systemd unit: built here or on their host, switched in one step."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconciler.domain.target import TargetStrategy
from reconciler.ports import Checkouts, CommandRunner, Machines
from reconciler.strategies.units.local_build import LocalBuild
from reconciler.strategies.units.remote_build import RemoteBuild
from reconciler.strategies.units.sources import Sources
from reconciler.strategies.units.strategy import UnitStrategy

__all__ = ["UnitOptions", "UnitStrategy", "unit_strategies"]


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """How units are built."""

    folder: Path  #: of ours alone; what is built here lies in it until the next deployment
    build_timeout: timedelta = timedelta(minutes=30)  #: here, and on a host


def unit_strategies(
    machines: Machines, checkouts: Checkouts, runner: CommandRunner, options: UnitOptions
) -> Mapping[TargetStrategy, UnitStrategy]:
    """Return the strategies of units, which share what they know of repositories."""
    sources, timeout = Sources(checkouts), options.build_timeout
    local = LocalBuild(runner, sources, options.folder, timeout)
    return {
        TargetStrategy.SYSTEMD: UnitStrategy(machines, local),
        TargetStrategy.SYSTEMD_REMOTE: UnitStrategy(machines, RemoteBuild(sources, timeout)),
    }
