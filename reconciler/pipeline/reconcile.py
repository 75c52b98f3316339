"""Read this file first: one pass over one project.

It compares what was seen with what was acted on, and asks for a deployment where they differ.
It does not care how either came to be, so running it again is always safe.
"""

from collections.abc import Collection
from dataclasses import dataclass

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause
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
        return self._ask(name, Revision(commit=tip), cause)

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
        known = _known(state, look.followed) if state.images_seeded else {}
        moved = [change for change in changes_between(known, {**known, **seen}) if change.before]
        if moved:
            # The commit is left open: the transaction takes the one that is tracked by then.
            revision = Revision(commit=None, images={**known, **seen})
            return self._ask(
                name, revision, Cause(wish.trigger, wish.actor, _in_words(moved)), tracked
            )
        if not state.images_seeded or {**known, **seen} != dict(tracked):
            if not self.store.seed_images(name, {**known, **seen}, compared_with=tracked):
                raise Overtaken
            return Seeded(tuple(sorted(set(seen) - set(known))))
        return InSync()

    def _ask(
        self,
        name: ProjectName,
        revision: Revision,
        cause: Cause,
        compared_with: ImageDigests | None = None,
    ) -> TriggerResult:
        request = Request(name, revision, cause, compared_with=compared_with)
        return trigger_deployment(self.store, request, brakes=self.brakes, now=self.clock.now())


def _known(state: ProjectState, followed: Collection[str]) -> dict[str, Digest]:
    """Return what to compare with. An image that nobody could look up yet counts as what runs."""
    running = state.live.target_revision.images if state.live else {}
    baseline = {**running, **state.tracked_images}
    return {image: baseline[image] for image in followed if image in baseline}


def _in_words(moved: list[ImageChange]) -> str:
    first = moved[0]
    before = first.before.short if first.before else "nothing"
    after = first.after.short if first.after else "nothing"
    more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
    return f"{first.image} {before} → {after}{more}"
