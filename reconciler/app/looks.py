"""The loops that look at the world, and what they pass on."""

import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from reconciler.config import Config
from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL, POLL_INTERVAL
from reconciler.domain.state import ImageLook, PassedOver
from reconciler.domain.wish import Wish
from reconciler.log import fields
from reconciler.pipeline.reconcile import InSync, OutOfDate, Reconciler, Seeded
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import (
    Clock,
    ComposeReader,
    GitRemote,
    ImageRegistry,
    Metering,
    Repositories,
    Store,
)
from reconciler.scheduling import LoopSpec
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.git_poll import GitPoll
from reconciler.triggers.image_watch import ImageWatch
from reconciler.triggers.lanes import Lanes
from reconciler.triggers.push import ActOnTip, Pushes
from reconciler.triggers.registry_events import RegistryEvents
from reconciler.triggers.registry_probe import RegistryProbe
from reconciler.triggers.second_looks import SecondLooks
from reconciler.triggers.webhook import Receiver

_log = logging.getLogger(__name__)

#: The first delivery is looked into at once; those that follow it closely, together. However often
#: one is sent again, each project is looked at ten times a second at most.
HINTS_REST = timedelta(milliseconds=100)


class Reports:
    """Passes on what the triggers saw, and wakes the workers where something was admitted."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self.on_admitted: Callable[[], object] = lambda: None

    def acting(self, trigger: Trigger) -> ActOnTip:
        """Return what acts on a tip that ``trigger`` saw, and tells what came of it."""
        own = Wish(trigger, str(trigger))

        def act(
            name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish | None
        ) -> str:
            return self._told(self._reconciler.reconcile_commit(name, tip, tracked, wish or own))

        return act

    def watched(self, look: ImageLook) -> str | None:
        """Act on what the image watch saw of a project."""
        return self.announced(look, Wish(Trigger.IMAGE_WATCH, str(Trigger.IMAGE_WATCH)))

    def announced(self, look: ImageLook, wish: Wish) -> str | None:
        """Act on a look at the registries, and tell what came of it; None: it is out of date."""
        result = self._reconciler.reconcile_images(look, wish)
        return None if isinstance(result, OutOfDate) else self._told(result)

    def _told(self, result: TriggerResult | InSync | PassedOver | Seeded) -> str:
        match result:
            case InSync():
                return "nothing moved"
            case PassedOver(commit, text=text):
                return f"passed over {commit.short}: {text}"
            case Seeded(images):
                return f"recorded {len(images)} images to compare with"
        if result.admitted:
            self.on_admitted()
        return f"{result.outcome}: " + "; ".join(reason.text for reason in result.reasons)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the looks are made of."""

    config: Config
    store: Store
    clock: Clock
    remote: GitRemote
    registry: ImageRegistry
    repositories: Repositories
    reader: ComposeReader
    probe: RegistryProbe
    metering: Metering


class Looks:
    """The loops that look at the world, each with threads of its own."""

    def __init__(self, parts: Parts, reports: Reports, pushes: Pushes, receiver: Receiver) -> None:
        config, store, clock = parts.config, parts.store, parts.clock
        self._store = store
        self._pushes = pushes
        self._receiver = receiver
        self._probe = parts.probe
        self._poll_lanes = Lanes(
            "poll",
            at_once=config.polls_at_once,
            per_host=config.polls_at_once_per_host,
            suspects_at_once=max(8, config.polls_at_once // 2),
            slow_at_once=2 * config.polls_at_once,
        )
        at_once = config.lookups_at_once
        self._watch_lanes = Lanes(
            "watch", at_once=at_once, per_host=at_once, suspects_at_once=at_once
        )
        # Of their own, so that no look of the image watch is in their way, however long it takes.
        self._event_lanes = Lanes(
            "event", at_once=8, per_host=4, suspects_at_once=1, slow_at_once=8
        )
        self._events = RegistryEvents(
            store, parts.registry, clock, self._event_lanes, reports.announced, _say_bug
        )
        self._polls = GitPoll(
            store,
            parts.remote,
            clock,
            self._poll_lanes,
            reports.acting(Trigger.GIT_POLL),
            _say_bug,
            random.random,
            parts.metering,
        )
        self._images = ImageWatch(
            store,
            parts.registry,
            ComposeImages(store, parts.remote, parts.repositories, parts.reader),
            clock,
            self._watch_lanes,
            reports.watched,
            _say_bug,
            parts.probe.unreachable,
        )

        self._second_looks = SecondLooks(
            store, clock, self._look_at_source, self._look_at_images_of, _say_bug
        )

    def on_wish_done(self, wake: Callable[[], object]) -> None:
        """Have ``wake`` called after each look that was wished for."""
        self._polls.on_wish_done = wake

    def loops(self) -> Sequence[LoopSpec]:
        """Return the loops to schedule."""
        return (
            LoopSpec("polls", self._poll, timedelta(seconds=1)),
            LoopSpec("webhooks", self._receiver.tick, timedelta(seconds=1), rest=HINTS_REST),
            LoopSpec("held-sources", self._second_looks.tick_sources, timedelta(seconds=1)),
            LoopSpec("held-images", self._second_looks.tick_images, timedelta(seconds=1)),
            LoopSpec("hosted", self._look_at_hosted, follows=POLL_INTERVAL),
            LoopSpec("folders", self._look_at_folders, follows=POLL_INTERVAL),
            LoopSpec("images", self._look_at_images, follows=IMAGE_WATCH_INTERVAL),
        )

    def look_at(self, name: ProjectName) -> None:
        """Look at one project's source and images now."""
        try:
            self._look_at_source(name)
            self._look_at_images_of({name})
        except ReconcilerError as error:
            _say_bug(f"looking at {name}", error)

    def look_at_images(self, hint: ImagesHint, wishes: Mapping[ProjectName, Wish]) -> None:
        """Look in the background at images that a registry announced; see ``RegistryEvents``."""
        self._events.look_at(hint, wishes)

    def close(self) -> None:
        """Start no further look, and record what the last ones gave."""
        try:
            self._receiver.tick()  # what was received last is due at the next start
        finally:
            self._poll_lanes.close()
            self._watch_lanes.close()
            self._event_lanes.close()
            self._polls.record()

    def _poll(self) -> None:
        self._polls.tick(self._interval())

    def _look_at_hosted(self) -> None:
        self._pushes.look_at_all(self._interval())

    def _look_at_folders(self) -> None:
        self._pushes.look_at_folders(self._interval())

    def _look_at_source(self, name: ProjectName) -> None:
        project = self._store.get_project(name)
        if project.source is not None:
            self._pushes.look_at(project)

    def _look_at_images_of(self, names: Collection[ProjectName]) -> None:
        self._probe.look()  # the registry may be back
        self._images.tick(names)

    def _look_at_images(self) -> None:
        self._probe.look()
        self._images.tick()

    def _interval(self) -> timedelta:
        return timedelta(seconds=int(self._store.get_settings()[POLL_INTERVAL].value))


def _say_bug(what: str, error: Exception) -> None:
    if isinstance(error, ReconcilerError):
        _log.warning("%s: %s", what, error.message, extra=fields(code=error.code))
    else:
        _log.error("%s failed unexpectedly", what, exc_info=error)
