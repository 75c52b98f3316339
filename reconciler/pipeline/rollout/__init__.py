"""One deployment from its claim to its end. Read ``run.py`` first."""

from reconciler.pipeline.rollout.run import Rollout
from reconciler.pipeline.rollout.setback import Limits

__all__ = ["Limits", "Rollout"]
