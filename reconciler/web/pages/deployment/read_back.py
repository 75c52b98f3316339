"""Before, tried, after: what was pinned, compared with what was read back on each host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.domain.deployment import (
    Built,
    Deployment,
    Pin,
    PlannedService,
    PreparedTarget,
    Release,
    Stage,
    TargetRecord,
)
from reconciler.domain.host import HostName
from reconciler.web.pages.words import AS_BEFORE, DIFFERS, LEFT_ALONE, MATCH, Badge

Evidence = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One service on one host."""

    host: HostName
    service: str
    image: str  #: as it is followed, or built; empty where none is pinned
    before: str  #: short digest, or release; empty: it was not there, or is not pinned
    tried: str
    after: str  #: what was read back; empty: nothing was
    state: str  #: of what was read back, in words
    compared: Badge | None  #: None: it was not read back yet

    @property
    def moved(self) -> bool:
        """Whether another one was asked for than ran before."""
        return self.before != self.tried


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to a question that was asked while it was verified."""

    host: HostName
    stage: Stage
    at: float  #: seconds since the first look
    check: str
    asked: str
    answer: str
    told: str
    good: bool


def read_in(target: TargetRecord, stage: Stage) -> Evidence:
    """Return what was read back on a host in this stage; nothing where it was not."""
    found = (target.evidence or {}).get(stage)
    return found if isinstance(found, Mapping) else {}


def rows_of(deployment: Deployment, before: Deployment | None) -> Sequence[Row]:
    """Return each service; ``before`` is what ran before, and is gone back to."""
    if deployment.prepared is None:
        return ()
    records = {one.host: one for one in deployment.targets}
    return [
        row
        for ready in deployment.prepared.targets
        for row in _rows_on(ready, _earlier(before, ready.host), records.get(ready.host))
    ]


def samples_of(deployment: Deployment) -> Sequence[Sample]:
    """Return every answer that was kept, in order of host and time."""
    return [
        sample
        for target in deployment.targets
        for stage in (Stage.VERIFY, Stage.ROLL_BACK)
        for kind in ("probes", "versions")
        for sample in _samples(target, stage, kind)
    ]


def _earlier(before: Deployment | None, host: HostName) -> Mapping[str, PlannedService]:
    ready = before.prepared.find(host) if before and before.prepared else None
    return {one.name: one for one in ready.services} if ready else {}


def _rows_on(
    ready: PreparedTarget,
    earlier: Mapping[str, PlannedService],
    record: TargetRecord | None,
) -> Iterator[Row]:
    back = read_in(record, Stage.ROLL_BACK) if record else {}
    last = back or (read_in(record, Stage.VERIFY) if record else {})
    for service in ready.services:
        old = earlier.get(service.name)
        expected = (old.pin if old else None) if back else service.pin
        running = _running(last, service.name)
        yield Row(
            ready.host,
            service.name,
            _image(service.pin),
            _short(old.pin if old else None),
            _short(service.pin),
            _seen(running, expected),
            _state(running),
            _compare(running, expected, back=bool(back)) if last else None,
        )


def _running(read: Evidence, service: str) -> Sequence[Evidence]:
    return [one for one in _items(read, "running") if one.get("service") == service]


def _compare(
    running: Sequence[Evidence], expected: Pin | Built | Release | None, *, back: bool
) -> Badge:
    if expected is None:
        return LEFT_ALONE
    if running and all(expected.digest.text in _digests(one) for one in running):
        return AS_BEFORE if back else MATCH
    return DIFFERS


def _seen(running: Sequence[Evidence], expected: Pin | Built | Release | None) -> str:
    """Return what runs: of an image's several digests the expected one, where it is among them."""
    found = [text for one in running for text in _digests(one)]
    if expected is not None and expected.digest.text in found:
        return _short(expected)
    return found[0].partition(":")[2][:12] if found else ""


def _state(running: Sequence[Evidence]) -> str:
    said = []
    for one in running:
        restarts, status = one.get("restarts"), one.get("exit_status")
        parts = [str(one.get("state", ""))]
        parts += [str(health)] if (health := one.get("health")) not in {None, "none"} else []
        parts += [f"exit status {status}"] if status is not None else []
        parts += [f"{restarts} restart{'' if restarts == 1 else 's'}"] if restarts else []
        said.append(", ".join(parts))
    return "; ".join(dict.fromkeys(said))


def _samples(target: TargetRecord, stage: Stage, kind: str) -> Iterator[Sample]:
    for one in _items(read_in(target, stage), kind):
        at, problem = one.get("at"), _word(one, "problem")
        yield Sample(
            target.host,
            stage,
            float(at) if isinstance(at, int | float) else 0.0,
            _word(one, "check"),
            _word(one, "asked"),
            problem or _word(one, "status") or "ok",
            _word(one, "told"),
            not problem,
        )


def _items(read: Evidence, name: str) -> Sequence[Evidence]:
    found = read.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else ()


def _digests(running: Evidence) -> Sequence[str]:
    found = running.get("digests")
    return [str(one) for one in found] if isinstance(found, list) else ()


def _word(one: Evidence, name: str) -> str:
    value = one.get(name)
    return "" if value is None else str(value)


def _image(pin: Pin | Built | Release | None) -> str:
    return pin.image.familiar if isinstance(pin, Pin | Built) else str(pin or "")


def _short(pin: Pin | Built | Release | None) -> str:
    if pin is None:
        return ""
    return pin.name if isinstance(pin, Release) else pin.digest.short
