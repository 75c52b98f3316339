"""What the labels of other image watchers ask for, and what of that is done here.

Sources: watchtower, ``pkg/container/metadata.go`` and ``docs/container-selection``; WUD,
``app/watchers/providers/docker/label.ts`` and ``Docker.ts`` (``isContainerToWatch``,
``isDigestToWatch``); drydock, the same files, which read ``dd.`` before ``wud.``; Diun,
``internal/provider/common.go`` (``ValidateImage``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_WATCHTOWER = "com.centurylinklabs.watchtower"
_LONGEST_SHOWN = 20
_BY_LABEL = "its label "


@dataclass(frozen=True, slots=True)
class ForeignLabels:
    """What the labels of one service come to."""

    follows: bool = True  #: whether what moves behind its tag may be deployed
    reason: str = ""  #: which label says that it may not
    notes: tuple[str, ...] = ()  #: what else they ask for, and what is done instead


def read_foreign_labels(labels: Mapping[str, str]) -> ForeignLabels:
    """Return what ``labels`` ask for; those of nobody we know say nothing."""
    for label, switch in _SWITCHES.items():
        if switch.read(labels.get(label, "")) is switch.stops:
            return ForeignLabels(False, f"{_BY_LABEL}{label} is {str(switch.stops).lower()}")
    return ForeignLabels(notes=(*_unreadable(labels), *_not_done(labels)))


def is_of_a_label(reason: str) -> bool:
    """Tell whether ``reason``, of an image that is not watched, is that a label says so."""
    return reason.startswith(_BY_LABEL)


def _unreadable(labels: Mapping[str, str]) -> Iterator[str]:
    for label, switch in _SWITCHES.items():
        value = labels.get(label)
        if value and switch.read(value) is None:
            yield f"{label} is ignored: {value[:_LONGEST_SHOWN]!r} is neither true nor false"


def _not_done(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield each thing that is not done once, with all labels that ask for it."""
    asking: dict[str, list[str]] = defaultdict(list)
    for label, instead in _NOT_DONE.items():
        if labels.get(label) and _go_boolean(labels[label]) is not False:
            asking[instead].append(label)
    for instead, names in asking.items():
        counts = "counts" if len(names) == 1 else "count"
        yield f"{', '.join(names)} {counts} for nothing: {instead}"


def _go_boolean(text: str) -> bool | None:
    """Return what Go's ``strconv.ParseBool`` does; None where it fails."""
    if text in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    return False if text in {"0", "f", "F", "FALSE", "false", "False"} else None


def _true_or_not(text: str) -> bool | None:
    """Return what WUD and drydock read: whatever is not ``true`` is false."""
    return text.lower() == "true" if text else None


@dataclass(frozen=True, slots=True)
class _Switch:
    """A label with which an image is left as it is."""

    stops: bool  #: the value that does
    read: Callable[[str], bool | None]  #: as its own tool does


#: In the order in which one of several is named.
_SWITCHES: Mapping[str, _Switch] = {
    f"{_WATCHTOWER}.enable": _Switch(False, _go_boolean),
    f"{_WATCHTOWER}.monitor-only": _Switch(True, _go_boolean),
    f"{_WATCHTOWER}.no-pull": _Switch(True, _go_boolean),
    "dd.watch": _Switch(False, _true_or_not),
    "dd.watch.digest": _Switch(False, _true_or_not),
    "wud.watch": _Switch(False, _true_or_not),
    "wud.watch.digest": _Switch(False, _true_or_not),
    "diun.enable": _Switch(False, _go_boolean),
}

#: Those whose value decides; of the others it counts that they are there.
DECIDING_LABELS = frozenset(_SWITCHES)

#: Label → what is done instead. What only words notifications or decorates a page is left out.
_NOT_DONE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("wud.tag.include", "wud.tag.exclude", "wud.tag.transform"),
            *("dd.tag.include", "dd.tag.exclude", "dd.tag.transform", "dd.tag.family"),
            *("dd.updatePolicy.skipTags", "dd.registry.lookup.image", "dd.registry.lookup.url"),
            *("diun.watch_repo", "diun.include_tags", "diun.exclude_tags", "diun.max_tags"),
        ),
        "only the tag that the file names is followed",
    ),
    **dict.fromkeys(
        (
            *(f"{_WATCHTOWER}.lifecycle.{at}-check" for at in ("pre", "post")),
            *(f"{_WATCHTOWER}.lifecycle.{at}-update" for at in ("pre", "post")),
            *("dd.hook.pre", "dd.hook.post"),
        ),
        "no command of a label is run",
    ),
    **dict.fromkeys(
        (
            *(f"{_WATCHTOWER}.cooldown-delay", "wud.watch.delay", "wud.tag.delay"),
            *("dd.updatePolicy.maturityMode", "dd.updatePolicy.maturityMinAgeDays"),
            "dd.updatePolicy.skipDigests",
        ),
        "the project's rules say when it is deployed",
    ),
    **dict.fromkeys(
        (
            *("wud.trigger.include", "wud.trigger.exclude"),
            *("dd.trigger.include", "dd.trigger.exclude"),
            *("dd.action.include", "dd.action.exclude", "dd.action.auto"),
        ),
        "a new image is deployed whatever they name",
    ),
    **dict.fromkeys(
        (f"{_WATCHTOWER}.depends-on", f"{_WATCHTOWER}.stop-signal"),
        "compose's own depends_on and stop_signal count",
    ),
}
