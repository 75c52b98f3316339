"""Projects of what already runs under compose: found by its labels, followed in its folder."""

from reconciler.pipeline.adopting.adoption import Adoption, FoundStack
from reconciler.pipeline.adopting.folders import Folders

__all__ = ["Adoption", "Folders", "FoundStack"]
