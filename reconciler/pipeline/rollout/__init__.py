"""One deployment from its claim to its end. Read ``run.py`` first."""

from reconciler.pipeline.rollout.run import Limits, Rollout

__all__ = ["Limits", "Rollout"]
