"""Read this file first: one pass over one project.

It compares what was seen with what was acted on, and asks for a deployment where they differ.
It does not care how either came to be, so running it again is always safe.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause
from reconciler.domain.gate import Reason, reason_of_age, time_to_ask_again
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.revision import ImageChange, ImageDigests, Revision, changes_between
from reconciler.domain.state import ImageLook, PassedOver, ProjectState
from reconciler.domain.wish import Wish
from reconciler.pipeline.selection import Compare, Selection
from reconciler.pipeline.trigger import Brakes, Overtaken, TriggerResult, trigger_deployment
from reconciler.ports import Clock, Store


@dataclass(frozen=True, slots=True)
class InSync:
    """Nothing moved since it was last acted on."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Digests were recorded as the ones to compare with from now on; nothing was asked for."""

    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutOfDate:
    """Of all that the look saw, another one acted on something else since it began."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Turns what the triggers saw into requests."""

    store: Store
    clock: Clock
    brakes: Brakes
    compare: Compare  #: asked only where a move may not concern its project

    def reconcile_commit(
        self, name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish
    ) -> TriggerResult | InSync | PassedOver:
        """Ask for ``tip``, in the name of ``wish``, if it is not what was last acted on.

        Raises:
            SourceError: it can't be told now whether it concerns the project.
        """
        if tip == tracked:
            return InSync()
        verdict = Selection(self.store, self.clock, self.compare).judge(name, tip)
        if isinstance(verdict, PassedOver):
            return verdict
        moved = f"{tracked.short} → {tip.short}" if tracked else f"first seen at {tip.short}"
        cause = Cause(wish.trigger, wish.actor, moved + verdict.remark)
        return self._ask(Request(name, Revision(commit=tip), cause))

    def reconcile_images(
        self, look: ImageLook, wish: Wish
    ) -> TriggerResult | InSync | Seeded | OutOfDate:
        """Ask for a deployment if a digest moved; first sight only records.

        Looks may go on side by side and end in any order: of an image that was acted on since
        ``look`` began, what it saw does not count. So none ever deploys backwards.
        """
        while True:
            try:
                return self._compare(look, wish)
            except Overtaken:
                # What the other one acted on is passed over now, so that this ends.
                continue

    def _compare(self, look: ImageLook, wish: Wish) -> TriggerResult | InSync | Seeded | OutOfDate:
        name, state = look.project, self.store.get_state(look.project)
        tracked = state.tracked_images
        seen = look.valid_after(tracked)
        if look.seen and not seen:
            return OutOfDate()
        if not state.images_seeded and self._runs_by_hand(state):
            return InSync()
        known = _known(state, look.followed) if state.images_seeded else {}
        young = self._too_young(look, state, _moved(known, seen))
        seen = {image: digest for image, digest in seen.items() if image not in young}
        if moved := _moved(known, seen):
            self._look_again(name, young.values())
            images = {**known, **seen}
            return self._ask(_request(name, images, moved, wish, compared_with=tracked))
        if not state.images_seeded or {**known, **seen} != dict(tracked):
            if not self.store.seed_images(name, {**known, **seen}, compared_with=tracked):
                raise Overtaken
            if not young:
                return Seeded(tuple(sorted(set(seen) - set(known))))
        return self._wait(look, known, young, wish) if young else InSync()

    def _runs_by_hand(self, state: ProjectState) -> bool:
        """Tell whether it was adopted, and not deployed yet: that begins with what runs there."""
        adopted = self.store.get_project(state.name).followed_folder is not None
        return adopted and state.live is None

    def _too_young(
        self, look: ImageLook, state: ProjectState, moved: Sequence[ImageChange]
    ) -> Mapping[str, Reason]:
        """Return the images that may not be followed yet; what runs already is old enough."""
        project, now = self.store.get_project(look.project), self.clock.now()
        live = state.live.target_revision.images if state.live else {}
        found = {
            one.image: reason_of_age(
                project, one.image, one.after, look.first_seen.get(one.image, now), now
            )
            for one in moved
            if one.after and one.after != live.get(one.image)
        }
        return {image: reason for image, reason in found.items() if reason}

    def _wait(
        self,
        look: ImageLook,
        known: ImageDigests,
        young: Mapping[str, Reason],
        wish: Wish,
    ) -> TriggerResult:
        """Have it recorded that all that moved is too young; it is held, and asked for again."""
        images = {image: look.seen[image] for image in young}
        request = _request(look.project, images, _moved(known, images), wish)
        return self._ask(replace(request, too_young=tuple(young.values())))

    def _look_again(self, name: ProjectName, reasons: Iterable[Reason]) -> None:
        if again := time_to_ask_again(reasons):
            self.store.look_again(name, again, self.clock.now())

    def _ask(self, request: Request) -> TriggerResult:
        return trigger_deployment(self.store, request, brakes=self.brakes, now=self.clock.now())


def _known(state: ProjectState, followed: Collection[str]) -> dict[str, Digest]:
    """Return what to compare with. An image that nobody could look up yet counts as what runs."""
    running = state.live.target_revision.images if state.live else {}
    baseline = {**running, **state.tracked_images}
    return {image: baseline[image] for image in followed if image in baseline}


def _moved(known: ImageDigests, seen: ImageDigests) -> list[ImageChange]:
    return [change for change in changes_between(known, {**known, **seen}) if change.before]


def _request(
    name: ProjectName,
    images: ImageDigests,
    moved: Sequence[ImageChange],
    wish: Wish,
    compared_with: ImageDigests | None = None,
) -> Request:
    """Return a request whose commit is open: the transaction takes the one that is tracked."""
    cause = Cause(wish.trigger, wish.actor, _in_words(moved))
    return Request(name, Revision(None, images), cause, compared_with=compared_with)


def _in_words(moved: Sequence[ImageChange]) -> str:
    first = moved[0]
    before = first.before.short if first.before else "nothing"
    after = first.after.short if first.after else "nothing"
    more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
    return f"{first.image} {before} → {after}{more}"
