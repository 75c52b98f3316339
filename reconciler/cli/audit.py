"""``reconciler audit …``: who did what, and whether the log of it is whole."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, LIMIT, examples, new_family
from reconciler.log import plain

audit = new_family("Who did what, and whether the log of it is whole.")


@audit.command(
    "list",
    epilog=examples(
        "reconciler audit list",
        "reconciler audit list --subject 'project shop'",
        "reconciler audit list --actor token:laptop --action setting --json",
    ),
)
def list_(
    context: typer.Context,
    actor: str = typer.Option("", "--actor", metavar="WHO", help="Only what they did."),
    subject: str = typer.Option("", "--subject", metavar="WHAT", help="Only what was done to it."),
    action: str = typer.Option("", "--action", metavar="ACTION", help="Only that: project.change."),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List what was done, newest first."""
    answer = connect(context).get(
        at("audit"), actor=actor, subject=subject, action=action, limit=limit
    )
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("ENTRY", "WHEN", "WHO", "FROM", "DID", "TO", "CHANGED"),
        (
            (
                show.word(item, "number"),
                show.ago(item, "at"),
                show.word(item, "actor"),
                show.word(item, "remote"),
                show.word(item, "action"),
                show.word(item, "subject"),
                _changes(item),
            )
            for item in items_of(answer)
        ),
        empty="no such entries" if actor or subject or action else "no entries yet",
    )


@audit.command(
    "verify",
    epilog=examples(
        "reconciler audit verify",
        "reconciler audit verify --noted 17:SEAL",
    ),
)
def verify(
    context: typer.Context,
    noted: str = typer.Option(
        "", "--noted", metavar="HEAD", help="What an earlier run printed, from where you keep it."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Look through the whole log for what was done to it.

    Exit 1 if an entry was changed, removed, added or moved.
    """
    with show.busy("looking through the audit log"):
        answer = connect(context).get(at("audit", "check"), noted=noted)
    if as_json:
        show.as_json(answer)
    if show.pick(answer, "intact") is not True:
        text = f"the audit log is not whole: {show.word(answer, 'problem')}"
        raise CommandFailed(text, "its last entry in order is shown by --json", ExitStatus.ERROR)
    if not as_json:
        show.say(f"entries: {show.word(answer, 'entries')}, all as they were written")
        show.note("note this elsewhere, and give it to --noted the next time:")
        show.say(show.word(answer, "head"))


@audit.command("export", epilog=examples("reconciler audit export > audit.jsonl"))
def export(context: typer.Context) -> None:
    """Write the whole log as JSON lines, oldest first."""
    for line in connect(context).lines(at("audit", "export")):
        typer.echo(line)


def _changes(item: JsonObject) -> str:
    changes = show.pick(item, "changes")
    if not isinstance(changes, dict):
        return ""
    return ", ".join(
        f"{plain(name)}: {_value(change, 'before')} → {_value(change, 'after')}"
        for name, change in changes.items()
        if not (_is_blank(change, "before") and _is_blank(change, "after"))
    )


def _is_blank(change: object, which: str) -> bool:
    return show.pick(change, which) in (None, "", False, [], {})


def _value(change: object, which: str) -> str:
    return show.word(change, which) or "—"
