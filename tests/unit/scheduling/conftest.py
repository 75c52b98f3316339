"""The pipeline's world, whose deployments are carried out in threads here."""

from tests.unit.pipeline.conftest import world

__all__ = ["world"]
