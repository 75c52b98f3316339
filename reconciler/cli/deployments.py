"""``reconciler deploy``, ``deployments``, ``logs``, ``rollback``, ``quarantine``."""

from collections.abc import Mapping
from dataclasses import dataclass

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.evidence import read_back
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import (
    AS_JSON,
    LIMIT,
    OVERRIDE,
    PROJECT,
    TIMEOUT,
    WAIT,
    examples,
    new_family,
)
from reconciler.cli.progress import line_of, show_stages
from reconciler.cli.watching import number_of, say_end, watch

quarantine = new_family("Revisions that were rolled back, and are not tried again.")

SUBJECT = typer.Argument(
    ..., metavar="ID|PROJECT", help="A deployment, or a project's newest.", show_default=False
)

#: What a plan says is looked at once more before it is deployed.
_ASKING_SECONDS = 75
#: Conflicts that are no answer of the gate.
_NO_REFUSAL = {"conflict", "already-exists", "nothing-to-approve"}
#: What helps against an answer of the gate, where its text does not say so itself.
_REMEDIES = {
    "already-live": "`--force` deploys it again, `reconciler project look` notices newer images",
    "quarantined": "`--force` tries it again",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What happens once a deployment was asked for."""

    wait: bool  #: it is followed to its end
    timeout: float | None
    as_json: bool


def deploy(
    context: typer.Context,
    name: str = PROJECT,
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Full commit.  [default: the branch's tip]"
    ),
    force: bool = typer.Option(
        False, "--force", help="Even if it is live already, or was rolled back before."
    ),
    host: list[str] | None = typer.Option(
        None, "--host", metavar="HOST", help="Only there; may be repeated.  [default: all]"
    ),
    reason: str = typer.Option("", "--reason", metavar="TEXT", help="Kept with the deployment."),
    plan: str | None = typer.Option(
        None, "--plan", metavar="ID", help="Exactly what `reconciler plan` showed, or nothing."
    ),
    override: str = OVERRIDE,
    wait: bool = WAIT,
    timeout: float | None = TIMEOUT,
    as_json: bool = AS_JSON,
) -> None:
    """Deploy a project now, to all of its hosts or to some.

    It runs whether or not auto-deploy and the master switch are on. Closed deploy windows and a
    freeze refuse it, unless --override says why not.

    Exit status with --wait: 0 deployed, 10 refused, 11 failed, 12 rolled back, 13 a person has to
    look, 14 superseded or withdrawn, 15 not ended within --timeout. Ctrl-C stops waiting; the
    deployment goes on.
    """
    body: dict[str, object] = {}
    if commit:
        body["commit"] = commit
    if force:
        body["force"] = True
    if reason:
        body["reason"] = reason
    if host:
        body["hosts"] = list(host)
    if plan:
        body["plan"] = plan
    if override:
        body["override"] = override
    client = connect(context)
    deployment = ask(client, at("projects", name, "deployments"), body)
    _go_on(client, deployment, Waiting(wait, timeout, as_json))


def approve_migration(
    client: Client, name: str, deployment: int | None, reason: str, waiting: Waiting
) -> None:
    """Approve what a migration found, and go on: that very revision is deployed."""
    given = {"deployment": deployment, "reason": reason}
    body: dict[str, object] = {field: value for field, value in given.items() if value}
    _go_on(client, ask(client, at("projects", name, "approve"), body), waiting)


def rollback(
    context: typer.Context,
    name: str = PROJECT,
    to: int | None = typer.Option(
        None, "--to", metavar="ID", help="Deployment to go back to.  [default: the one before]"
    ),
    wait: bool = WAIT,
    timeout: float | None = TIMEOUT,
    as_json: bool = AS_JSON,
) -> None:
    """Bring back an earlier deployment.

    It takes what is kept here: neither git server nor registry is needed. `reconciler project
    show` lists what can be restored. Exit status as of `reconciler deploy`.
    """
    client = connect(context)
    deployment = ask(client, at("projects", name, "rollback"), {"to": to} if to else {})
    _go_on(client, deployment, Waiting(wait, timeout, as_json))


def deployments(
    context: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="PROJECT", help="Of one project only.", show_default=False
    ),
    status: str | None = typer.Option(None, "--status", help="Only these, e.g. failed."),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List deployments, newest first."""
    answer = connect(context).get(at("deployments"), project=name, status=status, limit=limit)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        (
            *("ID", "PROJECT", "HOST", "STATUS", "MIGRATION", "COMMIT"),
            *("TRIGGER", "TOOK", "STARTED", "DETAIL"),
        ),
        (
            (
                show.styled(show.word(item, "id"), "bold"),
                "" if name else show.word(item, "project"),
                *row[:3],
                show.short(item, "revision", "commit"),
                show.word(_first_cause(item), "trigger"),
                *row[3:],
            )
            for item in items_of(answer)
            for row in _rows_of(item)
        ),
        empty="no deployments yet",
    )


def deployment(
    context: typer.Context,
    subject: str = SUBJECT,
    as_json: bool = AS_JSON,
) -> None:
    """Show the stages of a deployment, and its hosts.

    Each stage with how long it took, and how long it took lately where all went well.
    """
    client = connect(context)
    found = client.get(at("deployments", str(number_of(_find(client, subject)))))
    if as_json:
        show.as_json(found)
        return
    manifest = show.word(found, "manifest")
    show.facts(
        (
            ("deployment", f"{show.word(found, 'id')} of {show.word(found, 'project')}"),
            ("status", show.word(found, "status")),
            ("commit", show.word(found, "revision", "commit")),
            ("which says", show.word(found, "headline", "subject")),
            ("asked for by", _asker_of(found)),
            ("began", show.ago(found, "started_at") or "not yet"),
            ("took", _duration(found)),
            ("override", show.word(found, "override")),
            ("manifest", "" if manifest == "none" else manifest),
            ("in the log as", show.word(found, "correlation")),
            ("error", show.word(found, "error", "message")),
        )
    )
    show.say("")
    show_stages(found)
    if hosts := items_of(found, "targets"):
        pinned = {show.word(one, "digest") for one in items_of(found, "services")}
        show.say("")
        show.table(
            ("HOST", "STATUS", "TOOK", "READ BACK"),
            (
                (
                    show.word(one, "host"),
                    _status_of(one, found),
                    _duration(one),
                    read_back(one, pinned),
                )
                for one in hosts
            ),
        )


def withdraw(context: typer.Context, subject: str = SUBJECT, as_json: bool = AS_JSON) -> None:
    """Take a deployment back before it changes anything.

    Refused once it does: it then goes on to its end, and `reconciler rollback` goes back.
    """
    client = connect(context)
    number = number_of(_find(client, subject))
    answer = client.send("POST", at("deployments", str(number), "withdraw"))
    if as_json:
        show.as_json(answer)
    elif answer.get("finished_at"):
        show.say(f"deployment {number} of {show.word(answer, 'project')} was withdrawn")
    else:
        show.say(f"deployment {number} ends before it changes anything")


def logs(
    context: typer.Context,
    subject: str = SUBJECT,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until it has ended."),
    as_json: bool = AS_JSON,
) -> None:
    """Show the output of a deployment."""
    client = connect(context)
    deployment = _find(client, subject)
    if follow and not as_json:
        raise typer.Exit(watch(client, deployment, None))
    after, items = 0, list[JsonObject]()
    while page := items_of(
        client.get(at("deployments", str(number_of(deployment)), "log"), after=after)
    ):
        items += page
        last = page[-1].get("number")
        if not isinstance(last, int) or last <= after:
            break
        after = last
    if as_json:
        show.as_json({"items": items, "finished": bool(deployment.get("finished_at"))})
        return
    out = show.console()
    for line in items:
        out.print(line_of(line))
    say_end(deployment)


@quarantine.command("lift", epilog=examples("reconciler quarantine lift shop"))
def lift(context: typer.Context, name: str = PROJECT) -> None:
    """Let a project's rolled-back revisions deploy by themselves again."""
    answer = connect(context).send("DELETE", at("projects", name, "quarantine"))
    lifted = show.word(answer, "lifted")
    if lifted in {"", "0"}:
        show.say(f"no revision of {name} is quarantined")
    else:
        show.say(f"lifted {lifted} quarantined revision{'' if lifted == '1' else 's'} of {name}")


def ask(
    client: Client,
    path: str,
    body: dict[str, object],
    remedies: Mapping[str, str] = _REMEDIES,
) -> JsonObject:
    """Ask for a deployment; what the gate refuses ends with the status for that."""
    try:
        return client.send("POST", path, body, seconds=_ASKING_SECONDS)
    except CommandFailed as failure:
        if failure.answer == 409 and failure.code not in _NO_REFUSAL:
            failure.status = ExitStatus.REFUSED
            failure.remedy = failure.remedy or remedies.get(failure.code, "")
        raise


def _go_on(client: Client, deployment: JsonObject, waiting: Waiting) -> None:
    number = number_of(deployment)
    if waiting.as_json and not waiting.wait:
        show.as_json(deployment)
        return
    if not waiting.wait:
        show.say(f"deployment {number} of {show.word(deployment, 'project')} is asked for")
        show.note(f"follow it: reconciler logs {number} -f")
        return
    raise typer.Exit(watch(client, deployment, waiting.timeout))


def _find(client: Client, subject: str) -> JsonObject:
    """Return the deployment with this number, or the newest of the project of this name."""
    if subject.isascii() and subject.isdigit():
        return client.get(at("deployments", subject))
    newest = items_of(client.get(at("projects", subject, "deployments"), limit=1))
    if not newest:
        raise CommandFailed(
            f"{subject} was never deployed", f"`reconciler why {subject}`", ExitStatus.NOT_FOUND
        )
    return newest[0]


def _rows_of(item: JsonObject) -> list[tuple[str, str, str, str, str, str]]:
    """Return host, status, migration, duration, start and detail of each host, or of all of it."""
    hosts = items_of(item, "targets")
    if len(hosts) < 2:
        host = show.word(hosts[0], "host") if hosts else ""
        started = show.ago(item, "started_at") or show.ago(item, "created_at")
        detail = show.word(item, "error", "message") or _cause_of(item)
        migration = show.word(hosts[0], "migration") if hosts else ""
        return [(host, show.word(item, "status"), migration, _duration(item), started, detail)]
    return [
        (
            show.word(one, "host"),
            _status_of(one, item),
            show.word(one, "migration"),
            _duration(one),
            show.ago(one, "started_at"),
            show.word(one, "error", "message") or _cause_of(item),
        )
        for one in hosts
    ]


def _status_of(host: JsonObject, deployment: JsonObject) -> str:
    """Return how far it got on a host; nothing waits any more in a deployment that has ended."""
    waits = show.word(host, "status") == "waiting" and deployment.get("finished_at")
    return show.word(deployment if waits else host, "status")


def _duration(item: JsonObject) -> str:
    took = item.get("duration_ms")
    return f"{took / 1000:.1f} s" if isinstance(took, int) else ""


def _first_cause(item: JsonObject) -> object:
    causes = item.get("causes")
    return causes[0] if isinstance(causes, list) and causes else None


def _asker_of(item: JsonObject) -> str:
    """Return which trigger asked for it, and why, as `reconciler why` has it."""
    return f"{show.word(_first_cause(item), 'trigger')} ({_cause_of(item)})"


def _cause_of(item: JsonObject) -> str:
    """Return what had moved, or who asked."""
    causes, first = item.get("causes"), _first_cause(item)
    more = f" (+{len(causes) - 1})" if isinstance(causes, list) and len(causes) > 1 else ""
    return (show.word(first, "detail") or show.word(first, "actor")) + more
