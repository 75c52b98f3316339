"""What was read back on a host, as a deployment and its receipt have it, in a few words."""

from collections.abc import Collection

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of

#: Where it was read, the last one first.
_STAGES = ("roll-back", "verify")


def read_back(target: object, known: Collection[str]) -> str:
    """Return what ran at the end of the last verification of a host, and what it answered.

    An image has several digests; one of ``known``, those that were pinned, is shown where it can.
    """
    last = next((found for stage in _STAGES if (found := _read_in(target, stage))), None)
    if last is None:
        return ""
    running = [_named_state(one, known) for one in items_of(last, "running")]
    return "; ".join([*dict.fromkeys(running), *_last_answers(last)])


def _last_answers(read: JsonObject) -> list[str]:
    """Return the last answer of each check; of a container's version, only one that is wrong."""
    probes = {show.word(one, "check"): _answer(one) for one in items_of(read, "probes")}
    wrong = [one for one in items_of(read, "versions")[-1:] if show.word(one, "problem")]
    return [*probes.values(), *map(_answer, wrong)]


def service_read_back(target: object, service: str, known: Collection[str]) -> str:
    """Return the same of one service, by what was read last."""
    for stage in _STAGES:
        running = items_of(_read_in(target, stage) or {}, "running")
        own = [one for one in running if show.word(one, "service") == service]
        if said := [_state(one, known) for one in own]:
            return ", ".join(dict.fromkeys(said))
    return ""


def answer_rows(target: object) -> list[tuple[str, ...]]:
    """Return each answer that was kept.

    Host, stage, check, what was asked, status, told, problem.
    """
    return [
        (
            show.word(target, "host"),
            stage,
            show.word(answer, "check"),
            show.word(answer, "asked"),
            show.word(answer, "status"),
            show.word(answer, "told"),
            show.word(answer, "problem"),
        )
        for stage in reversed(_STAGES)
        for kind in ("probes", "versions")
        for answer in items_of(_read_in(target, stage) or {}, kind)
    ]


def _read_in(target: object, stage: str) -> JsonObject | None:
    found = show.pick(target, "evidence", stage)
    return found if isinstance(found, dict) else None


def _named_state(running: JsonObject, known: Collection[str]) -> str:
    return f"{show.word(running, 'service')} {_state(running, known)}"


def _state(running: JsonObject, known: Collection[str]) -> str:
    digests = sorted(show.listed(running, "digests"), key=lambda one: one not in known)
    shown = [one.removeprefix("sha256:")[:8] for one in digests[:1]]
    return " ".join((show.word(running, "state"), *shown))


def _answer(answer: JsonObject) -> str:
    said = show.word(answer, "problem") or show.word(answer, "status") or "ok"
    name = show.word(answer, "check")
    return f"{f'{name}: ' if name else ''}{show.word(answer, 'asked')} {said}"
