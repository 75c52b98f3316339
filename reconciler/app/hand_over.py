"""The deployment of the daemon itself, while something that outlives it replaces it."""

import json
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import NotFound
from reconciler.ports import DeploymentStore
from reconciler.store.schema import CURRENT


@dataclass(frozen=True, slots=True)
class HandOver:
    """What the version that hands over leaves to those that start after it."""

    path: Path

    def begin(self, deployment: DeploymentId) -> None:
        """Note who we are: nobody else may put the database back to what we can read."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"deployment": deployment, "tables": CURRENT}))
        part.replace(self.path)

    def end(self, deployment: DeploymentId) -> None:
        """Forget it where it is this deployment's, which has ended."""
        if self._noted().get("deployment") == deployment:
            self.path.unlink()

    def forget_if_over(self, store: DeploymentStore) -> None:
        """Forget one that had ended when whoever ended it was killed: nobody comes back from it."""
        noted = self._noted().get("deployment")
        if isinstance(noted, int):
            try:
                over = store.get_deployment(DeploymentId(noted)).status.final
            except NotFound:
                over = True
            if over:
                self.end(DeploymentId(noted))

    def came_back(self) -> bool:
        """Tell whether we are the version that handed over, or one with the same tables."""
        return self._noted().get("tables") == CURRENT

    def _noted(self) -> dict[str, object]:
        """Return what is noted; nothing where a power cut left no whole word of it."""
        try:
            noted = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}
