"""Images that a registry announced: looked up at once, beside the image watch and its long looks.

What the registry announced is not believed: its tag is looked up. Whichever look ends last, none
deploys backwards: see ``Reconciler.reconcile_images``.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.state import ImageLook, ProjectState, WatchedImage
from reconciler.domain.wish import Wish
from reconciler.log import correlated
from reconciler.ports import Clock, ImageRegistry, Store
from reconciler.triggers.git_poll import OnBug
from reconciler.triggers.image_lookups import Lookup, first_seen, looked, lookups_for
from reconciler.triggers.lanes import Lanes

T = TypeVar("T")

#: Acts on a look in somebody's name; returns in plain words what came of it. None: another look
#: was acted on meanwhile, so that this one has to be made again.
ActOnLook = Callable[[ImageLook, Wish], str | None]

#: Looks for one wish, where others are acted on in between.
_MOST_LOOKS = 5
_NOT_SEEDED = "its images were never looked at before; the image watch records what to compare with"


@dataclass(slots=True)
class RegistryEvents:
    """Looks at announced images, each once for all who follow it, however often it is announced."""

    store: Store
    registry: ImageRegistry
    clock: Clock
    lanes: Lanes
    act: ActOnLook
    on_bug: OnBug
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    #: Look-ups that nobody began yet: for whom each is made. One that is under way may have got an
    #: older answer, so what is announced meanwhile waits for the next.
    _waiting: dict[Lookup, dict[ProjectName, Wish]] = field(default_factory=dict, init=False)

    def look_at(self, hint: ImagesHint, wishes: Mapping[ProjectName, Wish]) -> None:
        """Look in the background at those images of the projects that ``hint`` concerns."""
        lookup_for = lookups_for(self.store)
        wanted: dict[Lookup, dict[ProjectName, Wish]] = defaultdict(dict)
        for name, wish in wishes.items():
            for image in self.store.get_images(name):
                if not image.unwatched_because and hint.concerns(ImageReference.parse(image.image)):
                    wanted[lookup_for(name, image)][name] = wish
        for lookup, mine in wanted.items():
            self._submit(lookup, mine)

    def _submit(self, lookup: Lookup, wishes: dict[ProjectName, Wish], looks: int = 1) -> None:
        with self._guard:
            waiting = self._waiting.get(lookup)
            # The newest delivery says what came of it: a look that is made again is an older one's.
            merged = {**(waiting or {}), **wishes} if looks == 1 else {**wishes, **(waiting or {})}
            self._waiting[lookup] = merged
        if waiting is not None:
            return
        self.lanes.submit(lookup.image.registry, partial(self._look, lookup, looks))

    def _look(self, lookup: Lookup, looks: int) -> None:
        with self._guard:
            wishes = self._waiting.pop(lookup)
        # Before the registry is asked: what is acted on from here on makes the answer void.
        states = {name: self._guarded(name, partial(self.store.get_state, name)) for name in wishes}
        result = lookup.ask(self.registry, self.on_bug)
        overtaken = {}
        for name, state in states.items():
            if state is None:
                continue
            with correlated(wishes[name].correlation):
                told = self._guarded(name, partial(self._tell, state, lookup, result, wishes[name]))
            if told is False:
                overtaken[name] = wishes[name]
        if overtaken and looks < _MOST_LOOKS:
            self._submit(lookup, overtaken, looks + 1)

    def _tell(
        self, state: ProjectState, lookup: Lookup, result: Digest | Failure | None, wish: Wish
    ) -> bool:
        """Pass on and record what the look-up gave for one project; False if it was overtaken."""
        images = {one.image: one for one in self.store.get_images(state.name)}
        image = str(lookup.image)
        said = self._act(state, images, image, result, wish)
        if said is None:
            return False
        if image in images:
            mine = looked(images[image], result, self.clock.now())
            self.store.record_lookups({state.name: [mine]})
        if wish.delivery is not None:
            self.store.record_outcomes({wish.delivery: {state.name: said}})
        return True

    def _act(
        self,
        state: ProjectState,
        images: Mapping[str, WatchedImage],
        image: str,
        result: Digest | Failure | None,
        wish: Wish,
    ) -> str | None:
        if result is None:
            return "the look-up failed unexpectedly; the daemon's log says how"
        if isinstance(result, Failure):
            return result.message
        if not state.images_seeded:
            return _NOT_SEEDED
        followed = [name for name, one in images.items() if not one.unwatched_because]
        if image not in followed:
            return f"it follows {image} no longer"
        known = first_seen([looked(images[image], result, self.clock.now())])
        look = ImageLook(state.name, followed, {image: result}, state.tracked_images, known)
        return self.act(look, wish)

    def _guarded(self, name: ProjectName, work: Callable[[], T]) -> T | None:
        """Do ``work`` so that its failure is this project's alone; None if it failed."""
        try:
            return work()
        except Exception as bug:  # noqa: BLE001  the image watch looks again
            self.on_bug(f"looking up the images of {name}", bug)
            return None
