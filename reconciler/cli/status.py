"""``reconciler status``: everything on one screen."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.clusters import show_clusters
from reconciler.cli.family import AS_JSON
from reconciler.cli.hosts import show_hosts
from reconciler.cli.project_lines import show_projects

if TYPE_CHECKING:
    from rich.text import Text

_MOST_PROBLEMS = 10
#: States that the table alone does not explain.
_TROUBLED = {
    *("failed", "quarantined", "held", "needs-approval", "branch-gone", "drifted", "unknown"),
}


def status(
    context: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="PROJECT", help="One project only.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Show what the daemon sees and does, and what runs where.

    Hosts are asked at this moment, for 10 s at most.
    """
    client = connect(context)
    if as_json:
        path = at("targets", "status") if name else at("status")
        show.as_json(client.get(path, project=name))
        return
    answer = client.get(at("projects", name) if name else at("status"))
    if name:
        show_projects([answer])
        show.paragraph(show.word(answer, "state_text"))
    else:
        _show_all(answer)
    with show.busy("asking the hosts"):
        targets = items_of(client.get(at("targets", "status"), project=name))
    if told := [item for item in targets if name or _tells(item)]:
        show.say("")
        _show_targets(told)


def version_of(answer: JsonObject) -> str:
    """Return the daemon's version, with the commit that it was built of where that is known."""
    commit = show.short(answer, "commit")
    return f"version {show.word(answer, 'version')}" + (f" of commit {commit}" if commit else "")


def _show_all(answer: JsonObject) -> None:
    show.facts(
        (
            ("daemon", show.word(answer, "state")),
            ("", f"{version_of(answer)}, started {show.ago(answer, 'started_at')}"),
            ("master switch", _switch(answer)),
            ("docker", _engine(answer)),
            *(("registry", line) for line in _registries(answer)),
            *(("fleet file", line) for line in _fleet(answer)),
            ("notifications", _notifications(answer)),
            *(("loop", show.styled(line, "red")) for line in _late_loops(answer)),
            ("projects", _counts(items_of(answer, "projects"))),
        )
    )
    if hosts := items_of(answer, "hosts"):
        show.say("")
        show_hosts(hosts)
    if clusters := items_of(answer, "clusters"):
        show.say("")
        show_clusters(clusters)
    projects = items_of(answer, "projects")
    if projects:
        show.say("")
    show_projects(projects)
    troubled = [(show.word(item, "name"), text) for item in projects if (text := _trouble(item))]
    if troubled:
        show.say("")
        show.facts(troubled)


def _fleet(answer: JsonObject) -> "Iterator[str | Text]":
    """Yield where the fleet file is that is followed, and what is wrong with it."""
    fleet = show.pick(answer, "fleet")
    if not fleet:
        return
    when = show.ago(fleet, "applied_at")
    version = show.word(fleet, "version")[:12]
    yield f"{show.word(fleet, 'source')}{f', {version} applied {when}' if when else ''}"
    problems = show.listed(fleet, "problems")
    for problem in problems[:_MOST_PROBLEMS]:
        yield show.styled(f"not applied: {problem}", "red")
    if len(problems) > _MOST_PROBLEMS:
        yield show.styled(f"and {len(problems) - _MOST_PROBLEMS} more problems", "red")


def _tells(item: JsonObject) -> bool:
    """Tell whether there is anything to say of a target: it was deployed to, or is elsewhere."""
    return item.get("deployment") is not None or item.get("host") != "local"


def _show_targets(targets: list[JsonObject]) -> None:
    show.table(
        ("PROJECT", "HOST", "RUNS", "COMMIT", "RELEASE", "SINCE", "DIFFERENCE"),
        (
            (
                show.styled(show.word(item, "project"), "bold"),
                show.word(item, "host"),
                show.word(item, "now", "state"),
                _commit_of(item),
                show.word(item, "now", "release"),
                show.ago(item, "now", "since"),
                _difference(item),
            )
            for item in targets
        ),
    )


def _commit_of(item: JsonObject) -> str:
    """Return what runs; containers tell no commit, but what runs as it should is that one."""
    as_it_should = item.get("differs") is False
    return show.short(item, "now", "commit") or (show.short(item, "commit") if as_it_should else "")


def _difference(item: JsonObject) -> "str | Text":
    """Return what is not as it was deployed, or why nobody knows."""
    never = "never deployed there" if item.get("deployment") is None else ""
    if error := show.word(item, "error", "message"):
        return show.styled("; ".join(part for part in (never, error) if part), "yellow")
    if never:
        return never
    return show.styled("; ".join(show.listed(item, "differences")), "red")


def _trouble(item: JsonObject) -> str:
    """Return what the table does not explain of a project: its trouble, or that of its source."""
    if show.word(item, "state") in _TROUBLED:
        return show.word(item, "state_text")
    error = show.word(item, "source_error", "message")
    return f"its source can't be looked at: {error}" if error else ""


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


def _notifications(answer: JsonObject) -> "str | Text":
    told = show.pick(answer, "notifications")
    if told is None:  # who sees single projects is not told
        return ""
    if not show.pick(told, "channels"):
        text = "nobody is told of failures; `reconciler channel add` sets up who is"
        return show.styled(text, "yellow")
    if failing := show.words(told, "failing"):
        return show.styled(f"messages to {failing} are not sent; `reconciler channel show`", "red")
    count = show.word(told, "channels")
    return f"{count} channel" if count == "1" else f"{count} channels"


def _registries(answer: JsonObject) -> Iterator[str]:
    for item in items_of(answer, "registries"):
        host = show.word(item, "host")
        if cooling := show.ago(item, "cooling_until"):
            yield f"{host} asked to be left alone, next look {cooling}"
        elif item.get("reachable") is False:
            yield f"{host} can't be reached, its images are not watched: {show.word(item, 'error')}"
        else:
            yield f"{host} ok"


def _late_loops(answer: JsonObject) -> Iterator[str]:
    for item in items_of(answer, "loops"):
        if item.get("ok") is False:
            yield f"{show.word(item, 'name')} is late by {show.word(item, 'late_seconds')} s"


def _counts(projects: list[JsonObject]) -> str:
    """Return how many stand where, in the words of the table below."""
    counts = Counter(show.word(item, "state") for item in projects)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())
