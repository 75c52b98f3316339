"""What is recorded of a project, as far as it explains anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.announcement import Announcements
from reconciler.domain.deployment import Deployment
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.project import Project
from reconciler.domain.revision import ImageChange, changes_between
from reconciler.domain.state import ProjectState, RegistryTrouble, SourceHealth, WatchedImage
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

    def moved_images(self) -> tuple[ImageChange, ...]:
        """Return the images whose last seen digest was not acted on yet."""
        seen = {one.image: one.digest for one in self.images if one.digest}
        tracked = {
            image: digest for image, digest in self.state.tracked_images.items() if image in seen
        }
        return changes_between(tracked, {image: seen[image] for image in tracked})

    @property
    def waits(self) -> str:
        """What was seen and not acted on, in words; empty where nothing was."""
        moved = []
        tip = self.state.newest_wanted(self.health.observed)
        if tip and tip != self.state.tracked_commit:
            moved.append(f"{self.project.followed_branch} at {tip.short}")
        moved += [f"{one.image} at {one.after.short}" for one in self.moved_images() if one.after]
        return ", ".join(moved)
