"""Whom deliveries woke: each source is looked at once, and each image, whatever came how often."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import StoreError
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.wish import Wish
from reconciler.triggers.webhook_inbox import Arrival

#: Looks in the background at images that a registry announced, for those who follow them.
LookAtImages = Callable[[ImagesHint, Mapping[ProjectName, Wish]], object]


@dataclass(slots=True)
class Awakened:
    """Gathered while deliveries are recorded; of several, the last one's name counts."""

    _sources: dict[ProjectName, tuple[Project, Wish]] = field(default_factory=dict)
    _images: dict[ImagesHint, dict[ProjectName, Wish]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(self, arrival: Arrival, projects: Sequence[Project], number: int) -> None:
        """Add those of ``projects`` that deploy by themselves; ``number`` is the delivery's."""
        name = arrival.webhook.name
        for project in projects:
            if not (project.auto_deploy and project.follows_its_source):
                continue
            if isinstance(arrival.hint, ImagesHint):
                wish = Wish(Trigger.REGISTRY_EVENT, name, number or None, arrival.correlation)
                self._images[arrival.hint][project.name] = wish
            else:
                wish = Wish(Trigger.WEBHOOK, name, number or None, arrival.correlation)
                self._sources[project.name] = project, wish

    def look(self, at_source: Callable[[Project, Wish], object], at_images: LookAtImages) -> None:
        """Have each looked at, once; those that the store kept from it wait for the next time.

        Raises:
            StoreError: what is left waits.
        """
        for name in tuple(self._sources):
            source = self._sources.pop(name)
            try:
                at_source(*source)
            except StoreError:
                self._sources[name] = source
                raise
        for hint in tuple(self._images):
            wishes = self._images.pop(hint)
            try:
                at_images(hint, wishes)
            except StoreError:
                self._images[hint] = wishes
                raise
