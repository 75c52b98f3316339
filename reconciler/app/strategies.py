"""How targets change: one strategy of each kind, made once."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.app.installation import make_private, own_paths
from reconciler.config import Config
from reconciler.domain.references import ProjectName
from reconciler.domain.target import TargetStrategy
from reconciler.ports import (
    BaseFiles,
    Checkouts,
    Clock,
    Clusters,
    CommandRunner,
    ComposeReader,
    IndexedRegistry,
    Machines,
    Migrator,
    Planner,
    RegistryCredentials,
    Strategy,
)
from reconciler.strategies.compose import (
    ComposeBaseFiles,
    ComposeMigrator,
    ComposeOptions,
    ComposePlanner,
    ComposeStrategy,
    EngineImageFiles,
    SelfUpdates,
)
from reconciler.strategies.kubernetes import KubernetesStrategy, Patience
from reconciler.strategies.units import Myself, UnitOptions, unit_strategies

#: What a start of the daemon may take, a migration of its database included.
_START = timedelta(minutes=1)

FindCredentials = Callable[[str, ProjectName | None], RegistryCredentials | None]


@dataclass(frozen=True, slots=True)
class StrategyParts:
    """What strategies work with."""

    config: Config
    runner: CommandRunner
    checkouts: Checkouts
    registry: IndexedRegistry
    reader: ComposeReader
    machines: Machines
    clusters: Clusters
    clock: Clock
    find_credentials: FindCredentials


class Strategies:
    """Every strategy, by its name."""

    def __init__(self, parts: StrategyParts) -> None:
        self._compose = _compose(parts)
        #: What runs the migrations of those that run containers.
        self.migrator: Migrator = ComposeMigrator(self._compose)
        #: What foresees what targets of each kind would get.
        self.planners: Mapping[TargetStrategy, Planner] = {
            TargetStrategy.COMPOSE: ComposePlanner(self._compose)
        }
        config = parts.config
        units = unit_strategies(
            parts.machines,
            parts.checkouts,
            parts.runner,
            UnitOptions(
                make_private(config.data_folder / "builds"),
                config.deployment_timeout,
                Myself.of(os.environ, _patience(config)),
            ),
            EngineImageFiles(parts.machines, self._compose.options, parts.find_credentials),
        )
        #: What changes targets of each kind.
        self.base_files: BaseFiles = ComposeBaseFiles(self._compose)
        self.by_name: Mapping[TargetStrategy, Strategy] = {
            TargetStrategy.COMPOSE: self._compose,
            **units,
            TargetStrategy.KUBERNETES: KubernetesStrategy(
                parts.clusters,
                parts.registry,
                parts.clock,
                Patience(roll_out=config.deployment_timeout),
            ),
        }

    def sweep(self) -> None:
        """Remove the secrets that a killed life left on this machine."""
        self._compose.forget_secrets()


def _compose(parts: StrategyParts) -> ComposeStrategy:
    config = parts.config
    options = ComposeOptions(
        data_folder=config.data_folder,
        docker_host=f"unix://{config.docker_socket}",
        pull_timeout=config.deployment_timeout,
        build_timeout=config.deployment_timeout,
        up_timeout=config.deployment_timeout,
        own_paths=own_paths(config),
    )
    return ComposeStrategy(
        parts.machines,
        parts.checkouts,
        parts.registry,
        parts.reader,
        options,
        parts.find_credentials,
        SelfUpdates(
            make_private(config.data_folder / "self-update"),
            parts.runner,
            options.docker_host,
            sys.executable,
            _patience(config),
        ),
    )


def _patience(config: Config) -> timedelta:
    """Return how long a new version of the daemon may take: to let go, to start, to be verified."""
    return config.shutdown_grace + _START + config.verify_timeout
