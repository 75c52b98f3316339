"""The environment before: what it has verified, and how long that has stood."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import NotFound
from reconciler.domain.gate import Reason, reason_of_age
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    JUDGED,
    Soak,
    content_of,
    first_seen,
    longest_stand,
    name_of_environment,
    same_content,
    trouble_with,
)
from reconciler.domain.promotion import Standing
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Revision, is_image_name
from reconciler.domain.state import ProjectState
from reconciler.ports import Store

#: Ends of deployments that are looked through for the last word on what is to be handed on.
_MOST_JUDGED = 50


@dataclass(frozen=True, slots=True)
class Origin:
    """What is recorded of the environment that another is promoted from."""

    project: Project
    state: ProjectState
    judged: Sequence[Deployment]  #: the last ends that say something, newest first

    @property
    def name(self) -> str:
        """What people call it."""
        return name_of_environment(self.project)

    def trouble_with(self, deployment: Deployment) -> str:
        """Return why ``deployment`` does not count as verified here; empty: it does."""
        hosts = [one.host for one in self.project.where]
        return trouble_with(deployment, self.judged, self.state.quarantined, hosts)

    def find_verified(self, commit: CommitSha) -> Deployment | None:
        """Return the newest deployment of ``commit`` that was verified."""
        verified = (one for one in self.judged if one.status is Status.DEPLOYED)
        return next((one for one in verified if one.target_revision.commit == commit), None)

    def alike(self, deployment: Deployment) -> frozenset[DeploymentId]:
        """Return the deployments that verified what ``deployment`` did, itself included."""
        content = content_of(deployment)
        found = {deployment.id}
        for one in self.judged:
            other = content_of(one)
            if content and other and one.status is Status.DEPLOYED and same_content(other, content):
                found.add(one.id)
        return frozenset(found)


def read_origin(store: Store, name: ProjectName) -> Origin:
    """Return what is recorded of it, in a handful of statements. Raises ``NotFound``."""
    judged = store.list_deployments(name, statuses=JUDGED, limit=_MOST_JUDGED)
    return Origin(store.get_project(name), store.get_state(name), judged)


def find_deployment(store: Store, origin: Origin, deployment: DeploymentId) -> Deployment | None:
    """Return a deployment of the environment; None: it has no such one."""
    known = next((one for one in origin.judged if one.id == deployment), None)
    if known is not None:
        return known
    try:
        found = store.get_deployment(deployment)
    except NotFound:
        return None
    return found if found.project == origin.project.name else None


def standing_of(store: Store, origin: Origin) -> Standing | None:
    """Return what stands there now; the newest stretch alone may be open."""
    newest = store.list_standings(origin.project.name, limit=1)
    return next((one for one in newest if one.until is None), None)


def reasons_of_age(
    store: Store, origin: Origin, project: Project, content: Revision, now: datetime
) -> tuple[Reason, ...]:
    """Return which images of ``content`` are too young for ``project``; what it runs is not."""
    if not project.rules.minimum_image_age:
        return ()
    sights = first_seen(content, origin.judged, store.get_images(origin.project.name))
    live = store.get_state(project.name).live
    runs = live.target_revision.images if live else {}
    found = (
        reason_of_age(project, image, digest, sights.get(image, now), now)
        for image, digest in content.images.items()
        if is_image_name(image) and runs.get(image) != digest
    )
    return tuple(one for one in found if one)


def soak_of(
    store: Store, origin: Origin, deployment: Deployment, needed: Project, now: datetime
) -> Soak:
    """Return how long what ``deployment`` verified has stood, and how long ``needed`` asks for."""
    standings = store.list_standings(origin.project.name, of=origin.alike(deployment))
    asked = needed.environment.soak if needed.environment else timedelta(0)
    return Soak(longest_stand(standings, now), asked)
