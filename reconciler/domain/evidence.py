"""What was read back on a host while it was verified, in a size that can be kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.probing import CheckName, Reading
from reconciler.domain.verification import Observation, Sample

#: Verification (``verify`` or ``roll-back``) → what was read back in it, as ``json`` holds it.
Evidence = Mapping[str, object]

#: Of one verification. A deployment has two a host at most, the second of going back.
MOST_BYTES = 30 << 10
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer to a question that the host, or one of its containers, was asked."""

    check: CheckName
    at: timedelta  #: offset from the first look
    reading: Reading
    container: str = ""  #: id of the one that was asked; empty: the target as a whole


@dataclass(frozen=True, slots=True)
class Verification:
    """Everything that was seen in one verification of one host."""

    ended_at: str  #: in ISO 8601
    problem: str  #: empty: it was proved
    seen: Sequence[Observation]
    answers: Sequence[Asked] = ()  #: to every check, oldest first


def evidence_of(one: Verification) -> Evidence:
    """Return what is kept of it: all at the end, and each change on the way as far as it fits."""
    document: Evidence = {}
    for most in (200, 100, 50, 25, 12, 6, 3, 1):
        document = _document(one, most)
        if len(json.dumps(document)) <= MOST_BYTES:
            break
    return document


def cleaned(evidence: Evidence, clean: Callable[[str], str]) -> Evidence:
    """Return it with each text in it as ``clean`` gives it."""
    return {name: _cleaned(value, clean) for name, value in evidence.items()}


def _cleaned(value: object, clean: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return cleaned(value, clean)
    return [_cleaned(one, clean) for one in value] if isinstance(value, list) else value


def _document(one: Verification, most: int) -> Evidence:
    latest = one.seen[-1].samples if one.seen else ()
    changes = _changes(one.seen)
    probes = [answer for answer in one.answers if answer.check is not CheckName.VERSION]
    versions = [answer for answer in one.answers if answer.check is CheckName.VERSION]
    return {
        "ended_at": one.ended_at,
        "problem": _short(one.problem),
        "looks": len(one.seen),
        "seconds": _seconds(one.seen[-1].at) if one.seen else 0,
        "running": [_running(sample) for sample in latest[:most]],
        "running_count": len(latest),
        "health": [_look(look, most) for look in changes[-most:]],
        "health_count": len(changes),
        "probes": [_answer(answer) for answer in _newest(probes, most)],
        "probe_count": len(probes),
        "versions": [_answer(answer) for answer in versions[-most:]],
        "version_count": len(versions),
    }


def _newest(answers: Sequence[Asked], most: int) -> list[Asked]:
    """Return the newest ones, with the last one of each check among them whatever it takes."""
    last = {answer.check: at for at, answer in enumerate(answers)}.values()
    first = len(answers) - most
    return [answer for at, answer in enumerate(answers) if at >= first or at in last]


def _changes(seen: Sequence[Observation]) -> list[Observation]:
    """Return the first look, and each one that saw something else than the one before it."""
    return [
        look
        for before, look in zip([None, *seen], seen, strict=False)
        if before is None or _states(before.samples) != _states(look.samples)
    ]


def _states(samples: Sequence[Sample]) -> list[tuple[object, ...]]:
    return [(*one.life, one.state, one.health, one.exit_status) for one in samples]


def _running(sample: Sample) -> Evidence:
    return {
        "service": sample.service,
        "id": _short(sample.id),
        "state": str(sample.state),
        "health": str(sample.health),
        "digests": sorted(digest.text for digest in sample.digests)[:20],
        "commit": _short(sample.revision) or None,
        "restarts": sample.restarts,
        "exit_status": sample.exit_status,
        "started_at": _short(sample.started_at),
    }


def _look(look: Observation, most: int) -> Evidence:
    return {
        "at": _seconds(look.at),
        "samples": [
            {
                "service": one.service,
                "id": _short(one.id),
                "state": str(one.state),
                "health": str(one.health),
                "detail": _short(one.health_detail or one.version_doubt),
            }
            for one in look.samples[:most]
        ],
    }


def _answer(answer: Asked) -> Evidence:
    reading = answer.reading
    return {
        "check": str(answer.check),
        "at": _seconds(answer.at),
        "container": _short(answer.container) or None,
        "asked": _short(reading.asked),
        "status": reading.status,
        "told": _short(reading.told) or None,
        "problem": _short(reading.problem),
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _seconds(offset: timedelta) -> float:
    return round(offset.total_seconds(), 3)
