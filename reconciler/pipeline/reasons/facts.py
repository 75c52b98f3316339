"""What is recorded of a project, as far as it explains anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.announcement import Announcements
from reconciler.domain.deployment import Deployment
from reconciler.domain.gate import MasterSwitch, Reason, reason_of_age, reasons_to_hold
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.project import Project
from reconciler.domain.revision import ImageChange, changes_between
from reconciler.domain.state import ProjectState, RegistryTrouble, SourceHealth, WatchedImage
from reconciler.pipeline.promoting.prospects import Prospect
from reconciler.ports import Message, QueuePlace, TriggerRecord, WebhookRecord


@dataclass(frozen=True, slots=True)
class Facts:
    """A list of all projects knows the first few of them; a single answer knows all."""

    project: Project
    state: ProjectState
    health: SourceHealth
    switch: MasterSwitch
    now: datetime
    hosts: Mapping[HostName, HostHealth] = field(default_factory=dict)  #: that are in trouble
    images: Sequence[WatchedImage] = ()
    registries: Sequence[RegistryTrouble] = ()
    image_interval: timedelta | None = None  #: between two looks at the images
    triggers: Sequence[TriggerRecord] = ()  #: newest first
    superseded: Sequence[Deployment] = ()  #: the last few, newest first
    queue: QueuePlace | None = None  #: of the one that waits
    announcements: Announcements = field(default_factory=Announcements)
    webhooks: Sequence[WebhookRecord] = ()  #: all, where pushes come unannounced
    status: Message | None = None  #: the newest that the forge was to be told
    places: int = 0  #: how many deployments one daemon carries out at once
    promoting: Prospect | None = None  #: None: it is promoted from no other environment

    def moved_images(self) -> tuple[ImageChange, ...]:
        """Return the images whose last seen digest was not acted on yet."""
        seen = {one.image: one.digest for one in self.images if one.digest}
        tracked = {
            image: digest for image, digest in self.state.tracked_images.items() if image in seen
        }
        return changes_between(tracked, {image: seen[image] for image in tracked})

    @property
    def holds(self) -> tuple[Reason, ...]:
        """Why nothing starts by itself now."""
        return reasons_to_hold(self.project, self.switch, self.state.freeze, self.now)

    def too_young(self) -> tuple[Reason, ...]:
        """Return why images that moved are not followed yet."""
        live = self.state.live.target_revision.images if self.state.live else {}
        seen = {one.image: one.first_seen_at for one in self.images}
        found = (
            reason_of_age(self.project, one.image, one.after, since, self.now)
            for one in self.moved_images()
            if one.after and one.after != live.get(one.image) and (since := seen[one.image])
        )
        return tuple(filter(None, found))

    @property
    def waits(self) -> str:
        """What was seen and not acted on, in words; empty where nothing was."""
        moved = []
        live = self.state.live
        tip = self.state.newest_wanted(self.health.observed)
        # A person may have deployed it meanwhile.
        runs = live.target_revision.commit if live else None
        if tip and tip not in (self.state.tracked_commit, runs):
            moved.append(f"{self.project.followed_branch} at {tip.short}")
        if self.promoting and (candidate := self.promoting.candidate):
            moved.append(f"{candidate.target_revision} of {self.promoting.origin.name}")
        moved += [f"{one.image} at {one.after.short}" for one in self.moved_images() if one.after]
        return ", ".join(moved)
