"""Compose projects: rendered and judged first, pinned by digest, then brought up."""

from reconciler.strategies.compose.base_files import ComposeBaseFiles
from reconciler.strategies.compose.cli import ComposeOptions
from reconciler.strategies.compose.extracting.files import EngineImageFiles
from reconciler.strategies.compose.migrating.migrator import ComposeMigrator
from reconciler.strategies.compose.planning import ComposePlanner
from reconciler.strategies.compose.self_update import SelfUpdates
from reconciler.strategies.compose.strategy import ComposeStrategy

__all__ = [
    "ComposeBaseFiles",
    "ComposeMigrator",
    "ComposeOptions",
    "ComposePlanner",
    "ComposeStrategy",
    "EngineImageFiles",
    "SelfUpdates",
]
