"""How targets change: one strategy of each kind, made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.app.installation import make_private, own_paths
from reconciler.config import Config
from reconciler.domain.references import ProjectName
from reconciler.domain.target import TargetStrategy
from reconciler.ports import (
    Checkouts,
    CommandRunner,
    ComposeReader,
    ImageRegistry,
    Machines,
    RegistryCredentials,
    Strategy,
)
from reconciler.strategies.compose import ComposeOptions, ComposeStrategy
from reconciler.strategies.units import UnitOptions, unit_strategies

FindCredentials = Callable[[str, ProjectName | None], RegistryCredentials | None]


@dataclass(frozen=True, slots=True)
class StrategyParts:
    """What strategies work with."""

    config: Config
    runner: CommandRunner
    checkouts: Checkouts
    registry: ImageRegistry
    reader: ComposeReader
    machines: Machines
    find_credentials: FindCredentials


class Strategies:
    """Every strategy, by its name."""

    def __init__(self, parts: StrategyParts) -> None:
        self._compose = _compose(parts)
        config = parts.config
        units = unit_strategies(
            parts.machines,
            parts.checkouts,
            parts.runner,
            UnitOptions(make_private(config.data_folder / "builds"), config.deployment_timeout),
        )
        #: What changes targets of each kind.
        self.by_name: Mapping[TargetStrategy, Strategy] = {
            TargetStrategy.COMPOSE: self._compose,
            **units,
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
    )
