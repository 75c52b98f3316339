"""``reconciler receipt …``: what became of each deployment, signed, and whether that is whole."""

from dataclasses import asdict
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, LIMIT, examples, new_family
from reconciler.cli.files import name_of
from reconciler.cli.live import Compared, compare
from reconciler.cli.receipt_text import show_receipt
from reconciler.cli.signed import check, key_of, read_key, read_receipts

receipt = new_family("What became of each deployment, signed.")

_SUBJECT = typer.Argument(
    ..., metavar="ID|PROJECT", help="A deployment, or a project's newest.", show_default=False
)
#: What a receipt of these says is what should run from then on.
_SETTLED = ("deployed", "rolled-back")


@receipt.command(
    "list",
    epilog=examples("reconciler receipt list", "reconciler receipt list shop --status failed"),
)
def list_(
    context: typer.Context,
    project: str = typer.Argument("", metavar="[PROJECT]", help="Of one project only."),
    status: str = typer.Option(
        "", "--status", metavar="STATUS", help="Only of those that ended so, e.g. failed."
    ),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List receipts, newest first. Those of projects that are gone are there, too."""
    answer = connect(context).get(at("receipts"), project=project, status=status, limit=limit)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("RECEIPT", "DEPLOYMENT", "PROJECT", "STATUS", "WRITTEN", "HASH"),
        (
            (
                show.styled(show.word(item, "number"), "bold"),
                show.word(item, "deployment"),
                show.word(item, "project"),
                show.word(item, "status"),
                show.ago(item, "at"),
                show.word(item, "hash")[:12],
            )
            for item in items_of(answer)
        ),
        empty="no receipts yet: one is written when a deployment ends",
    )


@receipt.command(
    "show",
    epilog=examples(
        "reconciler receipt show shop",
        "reconciler receipt show 12 --json > receipt.json",
    ),
)
def show_(context: typer.Context, subject: str = _SUBJECT, as_json: bool = AS_JSON) -> None:
    """Show what a deployment's receipt says.

    With --json as it is signed.
    """
    found = _find(connect(context), subject)
    if as_json:
        show.as_json(found)
        return
    show_receipt(found)


@receipt.command(
    "verify",
    epilog=examples(
        "reconciler receipt verify 12",
        "reconciler receipt verify --all",
        "reconciler receipt verify --live shop",
        "reconciler receipt verify --file receipt.json --key key.pem",
    ),
)
def verify(
    context: typer.Context,
    subject: str = typer.Argument(
        "", metavar="[ID|PROJECT]", help="A deployment, or a project's newest."
    ),
    every: bool = typer.Option(False, "--all", help="All receipts of the daemon, and their order."),
    live: str = typer.Option(
        "", "--live", metavar="PROJECT", help="Whether what it says runs now: on each host."
    ),
    file: Path | None = typer.Option(
        None, "--file", metavar="FILE", help="Those in a file; `-`: on standard input."
    ),
    key: Path | None = typer.Option(
        None, "--key", metavar="FILE", help="Key to check with.  [default: the daemon's]"
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Check what was signed, or whether it runs.

    A file needs no daemon with --key.

    Exit 1 if something is not as it was signed, or with --live, if something else runs.
    """
    if [bool(subject), every, bool(live), file is not None].count(True) != 1:
        raise typer.BadParameter("name a deployment, a project, --all, --live PROJECT or --file")
    if every:
        _verify_all(connect(context), as_json=as_json)
    elif live:
        _verify_live(connect(context), live, key, as_json=as_json)
    elif file is not None:
        known = read_key(file=key) if key else key_of(connect(context))
        found = check(documents := read_receipts(file), known, name_of(file))
        _tell(found.problem, f"{len(documents)} of {name_of(file)}", known.id, as_json=as_json)
    else:
        client = connect(context)
        known = read_key(key) if key else key_of(client)
        found = check([_find(client, subject)], known, client.where)
        _tell(found.problem, str(found.head.number), known.id, as_json=as_json)


@receipt.command("export", epilog=examples("reconciler receipt export > receipts.jsonl"))
def export(context: typer.Context) -> None:
    """Write all receipts as JSON lines, oldest first."""
    for line in connect(context).lines(at("receipts", "export")):
        typer.echo(line)


@receipt.command("key", epilog=examples("reconciler receipt key > key.pem"))
def key_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Print the public key that receipts are checked with."""
    answer = connect(context).get(at("receipts", "key"))
    if as_json:
        show.as_json(answer)
        return
    for line in str(answer.get("pem")).splitlines():
        show.say(line)
    show.note(f"key {show.word(answer, 'id')}: keep a copy away from this daemon")


# ── Checking ──────────────────────────────────────────────────────────────────────────────────


def _verify_all(client: Client, *, as_json: bool) -> None:
    with show.busy("looking through all receipts"):
        answer = client.get(at("receipts", "check"))
    if as_json:
        show.as_json(answer)
    if show.pick(answer, "intact") is not True:
        raise _not_whole(show.word(answer, "problem"))
    if not as_json:
        show.say(f"receipts: {show.word(answer, 'receipts')}, all as they were signed")


def _verify_live(client: Client, project: str, key: Path | None, *, as_json: bool) -> None:
    signed = _find_settled(client, project)
    found = check([signed], read_key(key) if key else key_of(client), client.where)
    if found.problem:
        raise _not_whole(found.problem)
    with show.busy(f"asking what runs of {project}"):
        targets = items_of(client.get(at("targets", "status"), project=project))
    content = signed.get("receipt")
    rows = compare(content if isinstance(content, dict) else {}, targets)
    number = show.word(signed, "number")
    differing = [row for row in rows if row.problem]
    if as_json:
        told = {"receipt": signed.get("number"), "same": bool(rows) and not differing}
        show.as_json({**told, "items": [asdict(row) for row in rows]})
    else:
        _show_compared(rows)
    if not rows:
        raise CommandFailed(
            f"receipt {number} names no host that was verified", "", ExitStatus.ERROR
        )
    if differing:
        text = f"{len(differing)} of {len(rows)} things are not as receipt {number} says"
        raise CommandFailed(text, f"`reconciler why {project}`", ExitStatus.ERROR)
    if not as_json:
        show.say(f"what runs is what receipt {number} says")


def _show_compared(rows: list[Compared]) -> None:
    show.table(
        ("HOST", "SERVICE", "RECEIPT", "NOW", "DIFFERENCE"),
        (
            (
                show.styled(row.host, "bold"),
                row.service,
                row.signed,
                row.found,
                show.styled(row.problem, "red"),
            )
            for row in rows
        ),
    )


def _tell(problem: str, what: str, key: str, *, as_json: bool) -> None:
    if as_json:
        show.as_json({"intact": not problem, "problem": problem or None, "key": key})
    if problem:
        raise _not_whole(problem)
    if not as_json:
        show.say(f"receipt {what}: as signed with key {key}")


def _not_whole(problem: str) -> CommandFailed:
    return CommandFailed(f"not as it was signed: {problem}", "", ExitStatus.ERROR)


# ── Finding ───────────────────────────────────────────────────────────────────────────────────


def _find(client: Client, subject: str) -> JsonObject:
    """Return the signed receipt of the deployment with this number, or of a project's newest."""
    if subject.isascii() and subject.isdigit():
        return client.get(at("deployments", subject, "receipt"))
    newest = items_of(client.get(at("receipts"), project=subject, limit=1))
    if not newest:
        raise _none_of(subject)
    return client.get(at("deployments", show.word(newest[0], "deployment"), "receipt"))


def _find_settled(client: Client, project: str) -> JsonObject:
    """Return the receipt of what should run: of a rollback, that of what was gone back to."""
    settled = [
        item
        for status in _SETTLED
        for item in items_of(client.get(at("receipts"), project=project, status=status, limit=1))
    ]
    if not settled:
        raise _none_of(project)
    newest = max(settled, key=lambda item: int(show.word(item, "number")))
    found = client.get(at("deployments", show.word(newest, "deployment"), "receipt"))
    earlier = show.word(found, "receipt", "rolled_back_to")
    return client.get(at("deployments", earlier, "receipt")) if earlier else found


def _none_of(project: str) -> CommandFailed:
    text = f"there is no receipt of {project} that says what should run"
    remedy = f"`reconciler receipt list {project}` shows what there is"
    return CommandFailed(text, remedy, ExitStatus.NOT_FOUND)
