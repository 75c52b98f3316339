"""What goes from one environment to the next, and who agreed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus, Standing, Vote
from reconciler.domain.references import ProjectName


class PromotionStore(Protocol):
    """Promotions, the votes on them, and how long what was verified has stood."""

    def propose(
        self, promotion: Promotion, *, seen: PromotionId | None = None
    ) -> tuple[Promotion, bool]:
        """Keep one that waits, and tell if it is new; its id is given here.

        The same revision that waits for the same project already is that one. What
        ``promotion.asked_by`` a person fills in that of one which followed by itself, with its
        reason and override. Safe to repeat.

        Args:
            promotion: as it begins to wait.
            seen: the project's newest one that was known when this one was thought of.

        Raises:
            NotFound: there is no such project, or its environment before has no such deployment.
            ChangedMeanwhile: there is a newer one than was ``seen``: it is to be thought of anew.
        """
        ...

    def vote(self, promotion: PromotionId, vote: Vote, *, needed: int) -> Promotion:
        """Keep what one person says of a promotion that waits; their last word counts.

        One who rejects ends it. How many have approved, of ``needed``, is told in the audit log.

        Raises:
            NotFound: there is no such promotion.
            Conflict: it waits no longer, or has expired; the error says what became of it.
        """
        ...

    def decide(
        self,
        promotion: PromotionId,
        status: PromotionStatus,
        now: datetime,
        *,
        became: DeploymentId | None = None,
    ) -> bool:
        """End one that waits; False if it waits no longer."""
        ...

    def get_promotion(self, promotion: PromotionId) -> Promotion:
        """Return it with its votes. Raises ``NotFound``."""
        ...

    def list_waiting(self, project: ProjectName | None = None) -> Sequence[Promotion]:
        """Return those that wait, oldest first, of one project or of all."""
        ...

    def list_promotions(
        self,
        project: ProjectName,
        *,
        before: PromotionId | None = None,
        limit: int = 50,
    ) -> Sequence[Promotion]:
        """Return newest first, whatever became of them; those with an id below ``before``."""
        ...

    def find_promotion(self, deployment: Deployment) -> Promotion | None:
        """Return what ``deployment`` was admitted for; None: nothing, or it is no promotion."""
        ...

    def list_standings(
        self, project: ProjectName, *, of: Collection[DeploymentId] = (), limit: int = 50
    ) -> Sequence[Standing]:
        """Return newest first, those of some deployments or of all."""
        ...

    def list_origins(self) -> Mapping[ProjectName, ProjectName | None]:
        """Return which project each is promoted from; None: from none."""
        ...

    def current_standings(self) -> Mapping[ProjectName, Standing]:
        """Return what stands now, of each project where something does."""
        ...

    def break_standing(self, standing: Standing, because: str, now: datetime) -> bool:
        """End a stretch because what runs is not well; False if it ended already."""
        ...

    def resume_standing(self, project: ProjectName, live: DeploymentId, now: datetime) -> bool:
        """Begin another stretch of what is live still, and well again; False if one stands."""
        ...
