"""The fleet file: projects, hosts and settings declared at once, planned and applied."""

from reconciler.pipeline.declaring.fleet.difference import (
    Action,
    Difference,
    EntryChange,
    FieldChange,
)
from reconciler.pipeline.declaring.fleet.fleets import Applied, FleetParts, Fleets

__all__ = ["Action", "Applied", "Difference", "EntryChange", "FieldChange", "FleetParts", "Fleets"]
