"""Looking at what runs until it proved itself."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import Interrupted, NotWatched, TargetUnreachable, VerificationFailed
from reconciler.domain.evidence import Verification
from reconciler.domain.target import Target
from reconciler.domain.verification import (
    Judgement,
    Life,
    Observation,
    Verdict,
    Window,
    judge,
    lives_untroubled,
)
from reconciler.pipeline.rollout.checkup import Checkup
from reconciler.ports import Clock, LineSink, Strategy


def find_untroubled(strategy: Strategy, target: Target) -> frozenset[Life]:
    """Return what runs on ``target``; none where something is not well, or nobody can tell."""
    try:
        return lives_untroubled(strategy.observe(target))
    except TargetUnreachable:
        return frozenset()


@dataclass(slots=True)
class Watch:
    """One verification of one target."""

    strategy: Strategy
    clock: Clock
    checkup: Checkup
    window: Window
    say: LineSink
    #: Tells whether to stop looking because another host failed already.
    moot: Callable[[], bool] = lambda: False
    #: What was verified before, and left as it was; a few looks are enough while only that runs.
    untouched: frozenset[Life] = frozenset()
    every: timedelta = timedelta(seconds=1)
    every_of_untouched: timedelta = timedelta(seconds=0.2)
    #: Of the engine; longer, and nobody can say that what was deployed runs.
    longest_silence: timedelta = timedelta(seconds=30)
    _seen: list[Observation] = field(default_factory=list, init=False)
    _said: tuple[str, ...] = field(default=(), init=False)

    def until_proved(self, prepared: PreparedTarget, cancel: threading.Event) -> None:
        """Return once what runs is what was prepared, and stayed well for its whole window.

        Raises:
            VerificationFailed: with what is wrong with each service.
            NotWatched: it became moot.
            TargetUnreachable: the engine has been silent for too long.
            Interrupted: ``cancel`` was set.
        """
        began = answered = self.clock.monotonic()
        while True:
            now = self.clock.monotonic()
            try:
                self._look(began)
            except TargetUnreachable:
                if now - answered > self.longest_silence.total_seconds():
                    raise
            else:
                answered = now
                if self._is_proved(judge(prepared, self._seen, self._current_window)):
                    return
            if self.moot():
                raise NotWatched("not watched to the end: another host failed")
            every = self.every_of_untouched if self._is_untouched else self.every
            if self.clock.wait(cancel, every.total_seconds()):
                raise Interrupted(f"{self.target.project} was not verified to the end")

    def verification(self, problem: str) -> Verification:
        """Return what was seen so far; ``problem`` is empty where it was proved."""
        return Verification(
            ended_at=self.clock.now().isoformat(),
            problem=problem,
            seen=self._seen,
            answers=self.checkup.answers,
        )

    def _look(self, began: float) -> None:
        def since() -> timedelta:
            return timedelta(seconds=self.clock.monotonic() - began)

        at, samples = since(), self.strategy.observe(self.target)
        self.checkup.ask(since, samples)
        self._seen.append(Observation(at, self.checkup.judge(samples)))

    @property
    def _current_window(self) -> Window:
        usual = self.checkup.window(self.window)
        return usual.brief if self._is_untouched else usual

    @property
    def _is_untouched(self) -> bool:
        """Whether at each look just that ran, and well, which was verified before."""
        known = self.untouched
        return bool(known) and all(known == lives_untroubled(one.samples) for one in self._seen)

    @property
    def target(self) -> Target:
        """What is watched."""
        return self.checkup.target

    def _is_proved(self, judgement: Judgement) -> bool:
        if judgement.verdict is Verdict.BAD:
            self.strategy.diagnose(self.target, self.say)
            raise VerificationFailed("; ".join(judgement.problems))
        self._say_waiting(judgement.problems)
        return judgement.verdict is Verdict.GOOD

    def _say_waiting(self, problems: tuple[str, ...]) -> None:
        """Say what is waited for when that changes, not at each second of it."""
        waiting = tuple(text.split(" of ")[0].rstrip("0123456789 ") for text in problems)
        if waiting != self._said:
            self._said = waiting
            for text in problems:
                self.say(f"waiting: {text}")
