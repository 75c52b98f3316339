"""Read this file first: one pass over one project.

It compares what was seen with what was acted on, and asks for a deployment where they differ.
It does not care how either came to be, so running it again is always safe.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Trigger
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.revision import ImageChange, Revision, changes_between
from reconciler.domain.state import ProjectState
from reconciler.domain.wish import Wish
from reconciler.pipeline.trigger import Brakes, TriggerResult, trigger_deployment
from reconciler.ports import Clock, Store


@dataclass(frozen=True, slots=True)
class InSync:
    """Nothing moved since it was last acted on."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Digests were recorded as the ones to compare with from now on; nothing was asked for."""

    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Turns what the triggers saw into requests."""

    store: Store
    clock: Clock
    brakes: Brakes

    def reconcile_commit(
        self, name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish
    ) -> TriggerResult | InSync:
        """Ask for ``tip``, in the name of ``wish``, if it is not what was last acted on."""
        if tip == tracked:
            return InSync()
        moved = f"{tracked.short} → {tip.short}" if tracked else f"first seen at {tip.short}"
        return self._ask(name, Revision(commit=tip), Cause(wish.trigger, wish.actor, moved))

    def reconcile_images(
        self,
        name: ProjectName,
        followed: Collection[str],
        seen: Mapping[str, Digest],
        trigger: Trigger,
    ) -> TriggerResult | InSync | Seeded:
        """Ask for a deployment if a digest moved; first sight only records.

        Args:
            name: the project.
            followed: every image that it follows now.
            seen: those of them whose look-up gave a digest; one that failed changes nothing.
            trigger: what made us look.
        """
        state = self.store.get_state(name)
        if not state.images_seeded:
            self.store.seed_images(name, seen)
            return Seeded(tuple(sorted(seen)))
        known = _known(state, followed)
        moved = [change for change in changes_between(known, {**known, **seen}) if change.before]
        if moved:
            # The commit is left open: the transaction takes the one that is tracked by then.
            revision = Revision(commit=None, images={**known, **seen})
            return self._ask(
                name, revision, Cause(trigger, actor=str(trigger), detail=_in_words(moved))
            )
        if {**known, **seen} != dict(state.tracked_images):
            self.store.seed_images(name, {**known, **seen})
            return Seeded(tuple(sorted(set(seen) - set(known))))
        return InSync()

    def _ask(self, name: ProjectName, revision: Revision, cause: Cause) -> TriggerResult:
        request = Request(name, revision, cause)
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
