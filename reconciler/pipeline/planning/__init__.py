"""Plans: what deploying now would change, without changing anything."""

from reconciler.pipeline.planning.plans import PlanParts, Plans

__all__ = ["PlanParts", "Plans"]
