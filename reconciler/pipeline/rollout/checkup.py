"""A target's own health check, asked while the target is watched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.domain.probing import ProbeAnswer, ProbeHistory, with_health
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample, Window
from reconciler.ports import Prober


@dataclass(slots=True)
class Checkup:
    """Asks when it is time to, and tells what the answers amount to."""

    prober: Prober
    project: Project
    target: Target
    commit: CommitSha | None
    _history: ProbeHistory | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Begin without an answer."""
        if self.target.health is not None:
            self._history = ProbeHistory(self.target.health)

    def window(self, usual: Window) -> Window:
        """Return how long to watch: the start period comes on top."""
        check = self.target.health
        if check is None:
            return usual
        timeout = usual.timeout + check.start_period
        return Window(usual.healthy, usual.unchecked, timeout, usual.restarts)

    def ask(self, now: Callable[[], timedelta]) -> None:
        """Ask if it is time to, within the check's own limit.

        Args:
            now: the offset from the first look.

        Raises:
            TargetUnreachable: the host that should have asked could not be reached.
        """
        asked_at = now()
        if self._history is None or asked_at < self._history.due_at:
            return
        problem = self.prober.probe(self.target, self.commit)
        self._history = self._history.after(ProbeAnswer(asked_at, now(), problem))

    def judge(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """Return ``samples`` with what the check says of them."""
        return with_health(samples, self.project, self._history)
