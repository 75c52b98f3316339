"""A receipt for people to read."""

from collections.abc import Iterator

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of
from reconciler.cli.evidence import answer_rows, service_read_back


def show_receipt(found: JsonObject) -> None:
    """Print what the signed receipt ``found`` says."""
    content = found.get("receipt")
    show.facts(_facts(found, content))
    for headings, rows in (
        (("TRIGGER", "ACTOR", "DETAIL"), _triggers(content)),
        (("STAGE", "OUTCOME", "TOOK"), _stages(content)),
        (("HOST", "STATUS", "SERVICE", "PINNED", "READ BACK"), _services(content)),
        (("HOST", "IN", "CHECK", "ASKED", "ANSWER", "TOLD", "PROBLEM"), _answers(content)),
    ):
        if rows:
            show.say("")
            show.table(headings, rows)


def _facts(found: JsonObject, content: object) -> list[tuple[str, str]]:
    error = show.word(content, "error", "message")
    return [
        ("receipt", f"{show.word(found, 'number')}, key {show.word(content, 'daemon', 'key')}"),
        ("deployment", f"{show.word(found, 'deployment')} of {show.word(found, 'project')}"),
        ("status", show.word(found, "status")),
        ("gap", show.word(content, "gap")),
        ("commit", _moved(content)),
        ("promotes", _promotes(content)),
        ("agreed", ", ".join(show.word(one, "by") for one in _approvals(content))),
        ("forced", "yes" if show.pick(content, "forced") else ""),
        ("override", show.word(content, "override")),
        ("approved by", show.word(content, "approved", "by")),
        ("error", f"{show.word(content, 'error', 'code')}: {error}" if error else ""),
        ("rolled back to", show.word(content, "rolled_back_to")),
        ("superseded by", show.word(content, "superseded_by")),
        ("asked for", show.word(content, "created_at")),
        ("began", show.word(content, "started_at")),
        ("ended", show.word(content, "ended_at")),
        ("attempts", show.word(content, "attempts")),
        ("correlation", show.word(content, "correlation")),
        ("written by", f"reconciler {show.word(content, 'daemon', 'version')}"),
        ("follows", show.word(content, "previous")[:12] or "none, it is the first"),
        ("hash", show.word(found, "hash")),
    ]


def _promotes(content: object) -> str:
    number = show.word(content, "promotes", "deployment")
    return f"deployment {number} of {show.word(content, 'promotes', 'project')}" if number else ""


def _approvals(content: object) -> list[JsonObject]:
    return _items(show.pick(content, "promotes"), "approvals")


def _moved(content: object) -> str:
    before, after = (show.short(content, when, "commit") for when in ("before", "after"))
    return f"{before or 'none'} → {after}" if after and before != after else after


def _triggers(content: object) -> list[tuple[str, ...]]:
    return [
        tuple(show.word(one, field) for field in ("trigger", "actor", "detail"))
        for one in _items(content, "triggers")
    ]


def _stages(content: object) -> list[tuple[str, ...]]:
    return [
        (show.word(one, "stage"), show.word(one, "outcome"), _seconds(one))
        for one in _items(content, "stages")
    ]


def _services(content: object) -> list[tuple[str, ...]]:
    known = set(_digests(content))
    return [
        (
            show.word(target, "host"),
            show.word(target, "status"),
            show.word(service, "name"),
            show.word(service, "release") or show.short(service, "digest"),
            service_read_back(target, show.word(service, "name"), known),
        )
        for target in _items(content, "targets")
        for service in _items(target, "services") or [{}]
    ]


def _digests(content: object) -> Iterator[str]:
    """Yield each digest that was to run, or ran before."""
    for when in ("before", "after"):
        images = show.pick(content, when, "images")
        yield from map(show.word, images.values()) if isinstance(images, dict) else ()
    for target in _items(content, "targets"):
        yield from (show.word(one, "digest") for one in _items(target, "services"))


def _answers(content: object) -> list[tuple[str, ...]]:
    return [row for target in _items(content, "targets") for row in answer_rows(target)]


def _items(value: object, name: str) -> list[JsonObject]:
    return items_of(value, name) if isinstance(value, dict) else []


def _seconds(stage: object) -> str:
    took = show.pick(stage, "seconds")
    return f"{took:.1f} s" if isinstance(took, int | float) else ""
