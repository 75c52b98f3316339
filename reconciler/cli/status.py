"""``reconciler status``: everything on one screen."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect
from reconciler.cli.family import AS_JSON
from reconciler.cli.projects import show_projects

if TYPE_CHECKING:
    from rich.text import Text

#: States that the table alone does not explain.
_TROUBLED = {"failed", "quarantined", "held", "branch-gone"}


def status(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Show what the daemon sees and does."""
    answer = connect(context).get(at("status"))
    if as_json:
        show.as_json(answer)
        return
    show.facts(
        (
            ("daemon", show.word(answer, "state")),
            (
                "",
                f"version {show.word(answer, 'version')}, started {show.ago(answer, 'started_at')}",
            ),
            ("master switch", _switch(answer)),
            ("docker", _engine(answer)),
            *(("registry", line) for line in _registries(answer)),
            *(("loop", show.styled(line, "red")) for line in _late_loops(answer)),
            ("projects", _counts(_objects(answer, "projects"))),
        )
    )
    projects = _objects(answer, "projects")
    if projects:
        show.say("")
    show_projects(projects)
    troubled = [(show.word(item, "name"), text) for item in projects if (text := _trouble(item))]
    if troubled:
        show.say("")
        show.facts(troubled)


def _trouble(item: JsonObject) -> str:
    """Return what the table does not explain of a project: its trouble, or that of its source."""
    if show.word(item, "state") in _TROUBLED:
        return show.word(item, "state_text")
    error = show.word(item, "source_error", "message")
    return f"its source can't be looked at: {error}" if error else ""


def _objects(answer: JsonObject, name: str) -> list[JsonObject]:
    found = answer.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _switch(answer: JsonObject) -> "str | Text":
    """Return ``on``, or who turned it off, when and why."""
    switch = show.pick(answer, "master_switch")
    if emergency := show.word(switch, "emergency_file"):
        text = f"off: the emergency file {emergency} is there, nothing deploys by itself"
        return show.styled(text, "yellow")
    if show.pick(switch, "enabled"):
        return "on"
    who = show.word(switch, "changed_by")
    reason = show.word(switch, "reason")
    when = show.ago(switch, "changed_at")
    text = f"off, {when} by {who}{f' ({reason})' if reason else ''}: nothing deploys by itself"
    return show.styled(text, "yellow")


def _engine(answer: JsonObject) -> "str | Text":
    if show.pick(answer, "engine", "ok"):
        return show.word(answer, "engine", "version") or "ok"
    text = f"containers can't be deployed: {show.word(answer, 'engine', 'error')}"
    return show.styled(text, "yellow")


def _registries(answer: JsonObject) -> Iterator[str]:
    for item in _objects(answer, "registries"):
        host = show.word(item, "host")
        if cooling := show.ago(item, "cooling_until"):
            yield f"{host} asked to be left alone, next look {cooling}"
        elif item.get("reachable") is False:
            yield f"{host} can't be reached, its images are not watched: {show.word(item, 'error')}"
        else:
            yield f"{host} ok"


def _late_loops(answer: JsonObject) -> Iterator[str]:
    for item in _objects(answer, "loops"):
        if item.get("ok") is False:
            yield f"{show.word(item, 'name')} is late by {show.word(item, 'late_seconds')} s"


def _counts(projects: list[JsonObject]) -> str:
    """Return how many stand where, in the words of the table below."""
    counts = Counter(show.word(item, "state") for item in projects)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())
