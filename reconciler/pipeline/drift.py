"""Whether what runs is what was deployed: looked at again and again, of every project at rest.

A difference counts once two looks in a row have found it: what is just being started again is none.
What nobody could look at tells nothing, and so changes nothing that is known.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, Trigger
from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.state import ProjectState
from reconciler.pipeline.target_reports import TargetNow
from reconciler.pipeline.trigger import Brakes, trigger_deployment
from reconciler.ports import Clock, Store

#: Between two looks at what was as it should be, and at what was not.
_CALM, _SUSPICIOUS = timedelta(minutes=5), timedelta(seconds=50)
#: Projects that are looked at in one go: all of them within the time limit of one question.
_AT_ONCE = 32
#: After what was put back: what goes on changing it is for a person to find.
_BETWEEN_MENDINGS = timedelta(minutes=30)
_MOST_DIFFERENCES = 20
#: How long one tick goes on for; who is left over comes first at the next.
_LONGEST_SECONDS = 20.0

#: Tells what runs of projects now, side by side and bounded.
Ask = Callable[[Collection[str] | None], Sequence[TargetNow]]


@dataclass(slots=True)
class DriftWatch:
    """Looks at what runs. To be called by one loop alone."""

    store: Store
    clock: Clock
    ask: Ask
    brakes: Brakes
    on_admitted: Callable[[], object] = lambda: None
    #: When each is to be looked at next, as the monotonic clock has it.
    _due: dict[ProjectName, float] = field(default_factory=dict, init=False)
    _suspected: set[ProjectName] = field(default_factory=set, init=False)

    def tick(self) -> None:
        """Look at every project whose turn it is.

        Raises:
            TooBusy: too many others ask what runs already.
        """
        states, now = self.store.list_states(), self.clock.monotonic()
        self._due = {name: at for name, at in self._due.items() if name in states}
        self._suspected &= states.keys()
        due = {name: self._due.get(name, now) for name, one in states.items() if _rests(one)}
        waiting = iter(sorted((name for name in due if due[name] <= now), key=lambda one: due[one]))
        while some := list(islice(waiting, _AT_ONCE)):
            self._look(some, states)
            if self.clock.monotonic() - now > _LONGEST_SECONDS:
                return

    def _look(
        self, names: Sequence[ProjectName], states: Mapping[ProjectName, ProjectState]
    ) -> None:
        found = self.ask(names)
        for name in names:
            live = states[name].live
            if live is None:
                continue
            mine = [one for one in found if one.target.project == name and one.prepared]
            calm = all(self._is_as_deployed(one, live) for one in mine)
            if calm or self._is_sure(name, mine, live):
                self._record(name, live, list(_differences(mine)))
            pause = _CALM if calm else _SUSPICIOUS
            self._due[name] = self.clock.monotonic() + pause.total_seconds()

    def _is_as_deployed(self, one: TargetNow, live: Deployment) -> bool:
        compared = one.deployment is not None and one.deployment.id == live.id
        return compared and one.running is not None and not one.running.differences

    def _is_sure(self, name: ProjectName, mine: Sequence[TargetNow], live: Deployment) -> bool:
        """Tell whether the difference is one that an earlier look has found, too."""
        if not any(_differences(mine)) or any(
            one.deployment is None or one.deployment.id != live.id for one in mine
        ):
            self._suspected.discard(name)
            return False
        known = name in self._suspected
        self._suspected.add(name)
        return known

    def _record(self, name: ProjectName, live: Deployment, differences: Sequence[str]) -> None:
        if not differences:
            self._suspected.discard(name)
        try:
            found = differences[:_MOST_DIFFERENCES]
            is_news = self.store.record_drift(name, live.id, found, self.clock.now())
            if found and (is_news or self._is_left(name)):
                self._mend(name, live, found)
        except NotFound:  # it went meanwhile
            self._due.pop(name, None)

    def _is_left(self, name: ProjectName) -> bool:
        """Tell whether nobody has tried to mend it since it came about: a brake held that."""
        state = self.store.get_state(name)
        latest, drift = state.latest, state.drift
        return drift is not None and latest is not None and latest.created_at <= drift.since

    def _mend(self, name: ProjectName, live: Deployment, differences: Sequence[str]) -> None:
        """Put back what was deployed, where the project says so and no brake is on."""
        now = self.clock.now()
        was_mended = any(cause.trigger is Trigger.DRIFT for cause in live.causes)
        if was_mended and now - live.created_at < _BETWEEN_MENDINGS:
            return
        if not self.store.get_project(name).mend_drift:
            return
        cause = Cause(Trigger.DRIFT, str(Trigger.DRIFT), "; ".join(differences))
        request = Request(name, live.target_revision, cause, restores=live.id)
        if trigger_deployment(self.store, request, brakes=self.brakes, now=now).admitted:
            self.on_admitted()


def _rests(state: ProjectState) -> bool:
    return state.live is not None and state.running is None and state.queued is None


def _differences(targets: Sequence[TargetNow]) -> Iterator[str]:
    several = len(targets) > 1
    for one in targets:
        for text in one.running.differences if one.running else ():
            yield f"{one.target.host}: {text}" if several else text
