"""The files of a compose target where they lie: in its base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.domain.target import Target
from reconciler.strategies.compose.strategy import ComposeStrategy


@dataclass(frozen=True, slots=True)
class ComposeBaseFiles:
    """``BaseFiles``, here and on hosts."""

    strategy: ComposeStrategy

    def read(self, target: Target, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of ``paths`` that are files there; see ``BaseFiles``."""
        return self.strategy.place(target).read(paths)
