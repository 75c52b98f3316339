"""The images of a project: what runs of each, what was seen behind its tag, and why it is left."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.compose import BUILT_HERE, OF_STATEFUL_SERVICE, PINNED_BY_DIGEST
from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.errors import InvalidReference
from reconciler.domain.foreign_labels import is_of_a_label
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.state import ProjectState, RegistryTrouble, WatchedImage
from reconciler.web.pages.words import Badge

WATCHED = Badge("Watched", "ok", "ok")
NOT_WATCHED = Badge("Not watched", "blind", "hold")
LEFT_ALONE = Badge("Left alone", "lock", "off")
UNKNOWN = Badge("Unknown", "unknown", "hold")
COOLING = Badge("Cooling", "queue", "hold")

HANDED_ON = "it comes with what is promoted"
NAMED_NO_MORE = "it runs, and the files that were read last name it no more"
_AS_IT_SHOULD_BE = frozenset(
    {BUILT_HERE, OF_STATEFUL_SERVICE, PINNED_BY_DIGEST, HANDED_ON, NAMED_NO_MORE}
)
_VARIABLE = re.compile(r"\bvariable (\w{1,100}) ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A digest, and the deployment that brought it."""

    digest: Digest
    deployment: DeploymentId
    at: datetime


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image."""

    image: WatchedImage
    badge: Badge
    runs: Digest | None
    history: Sequence[Deployed]  #: newest first
    trouble: RegistryTrouble | None  #: of its registry
    variable: str  #: without a value, for which it is not watched; empty: none

    @property
    def moved(self) -> bool:
        """Whether something else than what runs is behind its tag."""
        seen = self.image.digest
        return self.runs is not None and seen is not None and seen != self.runs


def image_facts(
    images: Sequence[WatchedImage],
    state: ProjectState,
    verified: Sequence[Deployment],
    troubles: Sequence[RegistryTrouble],
    *,
    promoted: bool,
) -> Iterator[ImageFacts]:
    """Yield what is known of each image, in file order; then those that only run.

    Args:
        images: of the project, as its files name them.
        state: the project's.
        verified: its last verified deployments, newest first.
        troubles: of registries that are not asked now.
        promoted: whether it gets what another environment verified.
    """
    runs = state.live.target_revision.images if state.live else {}
    named = {one.image for one in images}
    why = HANDED_ON if promoted else NAMED_NO_MORE
    others = [WatchedImage(name, (), why) for name in runs if name not in named]
    for image in (*images, *others):
        trouble = _trouble_of(image, troubles)
        left = image.unwatched_because
        yield ImageFacts(
            image,
            _badge(image, trouble),
            runs.get(image.image),
            list(_history(image.image, verified)),
            trouble,
            _variable_in(left),
        )


def _variable_in(why: str) -> str:
    found = _VARIABLE.search(why)
    return found[1] if found else ""


def count_images(images: Sequence[WatchedImage], live: Deployment | None) -> int:
    """Return how many there are, those that only run among them."""
    runs = live.target_revision.images if live else {}
    return len({*(one.image for one in images), *runs})


def _badge(image: WatchedImage, trouble: RegistryTrouble | None) -> Badge:
    if why := image.unwatched_because:
        return LEFT_ALONE if why in _AS_IT_SHOULD_BE or is_of_a_label(why) else NOT_WATCHED
    if trouble:
        return COOLING
    return UNKNOWN if image.error else WATCHED


def _trouble_of(image: WatchedImage, troubles: Sequence[RegistryTrouble]) -> RegistryTrouble | None:
    if image.unwatched_because or not troubles:
        return None
    try:
        host = ImageReference.parse(image.image).registry
    except InvalidReference:
        return None
    return next((one for one in troubles if one.host == host), None)


def _history(image: str, verified: Sequence[Deployment]) -> Iterator[Deployed]:
    """Yield each digest that was deployed, with the first deployment in a row that had it."""
    first: Deployed | None = None
    for one in verified:
        digest = one.target_revision.images.get(image)
        if digest is None:
            continue
        if first and first.digest != digest:
            yield first
        first = Deployed(digest, one.id, one.finished_at or one.created_at)
    if first:
        yield first
