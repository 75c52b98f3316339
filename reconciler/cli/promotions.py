"""``reconciler promote``, ``approve``, ``reject``, ``promotions``."""

import typer

from reconciler.cli import show
from reconciler.cli.chain_picture import content_of, vote_of
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.deployments import Waiting, approve_migration
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, LIMIT, PROJECT, TIMEOUT, WAIT
from reconciler.cli.onwards import (
    Onwards,
    ask_for_promotion,
    reasons_to_wait,
    say_what_goes,
    way_to,
)
from reconciler.cli.verified import Patience

_PROMOTION = typer.Option(
    None, "--promotion", metavar="ID", min=1, help="Which one.  [default: the one that waits]"
)
#: Code of what a deployment ended with whose migration waits for a person.
_MIGRATION = "migration-needs-approval"
_REASON = typer.Option("", "--reason", metavar="TEXT", help="Kept with it.")


def promote(
    context: typer.Context,
    name: str = PROJECT,
    to: str | None = typer.Option(
        None, "--to", metavar="ENVIRONMENT", help="The environment after PROJECT that gets it."
    ),
    deployment: int | None = typer.Option(
        None, "--deployment", metavar="ID", min=1, help="Of the environment before."
    ),
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Full commit that was verified there."
    ),
    override: str = typer.Option(
        "", "--override", metavar="REASON", help="Go past soak, windows and freeze, because."
    ),
    reason: str = _REASON,
    follow: bool = typer.Option(
        True, "--follow/--no-follow", help="Follow the deployment to its end."
    ),
    timeout: float | None = typer.Option(
        None,
        "--timeout",
        metavar="SECONDS",
        min=1,
        help="Stop following after this long (exit 15).",
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Have an environment get what the one before it verified.

    PROJECT is the environment that gets it; or the one before, with --to. What goes there is that
    commit and those digests: nothing is built, and no tag is looked up. Without --deployment and
    --commit it is what is live there now.

    Exit status: 17 it waits, for approvals, a window or the end of a freeze; else as of
    `reconciler release`.
    """
    client = connect(context)
    project = way_to(client, name, to)[0] if to else name
    given = {"deployment": deployment, "commit": commit, "override": override, "reason": reason}
    before = client.get(at("projects", project))
    body: JsonObject = {field: value for field, value in given.items() if value}
    made = ask_for_promotion(client, project, body)
    if as_json and not (follow and made.get("became")):
        show.as_json(made)
    elif not as_json:
        say_what_goes(made, before)
    if show.word(made, "status") == "waiting":
        raise typer.Exit(_say_waiting(client, made))
    if not follow:
        show.note(f"follow it: reconciler logs {show.word(made, 'became')} -f")
        return
    onwards = Onwards(client, Patience(timeout, as_json=as_json))
    raise typer.Exit(onwards.follow_decided(made))


def approve(
    context: typer.Context,
    name: str = PROJECT,
    promotion: int | None = _PROMOTION,
    deployment: int | None = typer.Option(
        None, "--deployment", metavar="ID", min=1, help="Whose migration stopped for it."
    ),
    reason: str = _REASON,
    wait: bool = WAIT,
    timeout: float | None = TIMEOUT,
    as_json: bool = AS_JSON,
) -> None:
    """Approve a promotion, or what a migration found.

    Where more than one thing waits, say which: --promotion or --deployment. An approval is of one
    revision; another one asks anew. `reconciler environments` and `reconciler logs` show what
    there is to approve. Exit status as of `reconciler deploy`.
    """
    client = connect(context)
    meant = promotion or (None if deployment else _meant(client, name))
    if meant is None:
        _approve_migration(client, name, deployment, reason, Waiting(wait, timeout, as_json))
        return
    voted = _vote(client, name, meant, "approve", reason)
    if as_json and not wait:
        show.as_json(voted)
    elif not as_json:
        show.say(f"approved promotion {meant}: {_told(voted)}")
    if wait:
        raise typer.Exit(Onwards(client, Patience(timeout, as_json=as_json)).follow(voted))
    if show.word(voted, "status") == "waiting":
        for text in reasons_to_wait(client, name):
            show.note(f"it waits: {text}")


def reject(
    context: typer.Context,
    name: str = PROJECT,
    promotion: int | None = _PROMOTION,
    reason: str = _REASON,
    as_json: bool = AS_JSON,
) -> None:
    """Reject a promotion that waits. That revision does not come again by itself."""
    client = connect(context)
    meant = promotion or _only(name, _waiting(client, name))
    voted = _vote(client, name, meant, "reject", reason)
    if as_json:
        show.as_json(voted)
    else:
        show.say(f"rejected promotion {meant}: {_told(voted)}")


def promotions(
    context: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="[PROJECT]", help="What became of all of one project.", show_default=False
    ),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List what waits to be promoted, or one project's promotions."""
    path = at("projects", name, "promotions") if name else at("promotions")
    answer = connect(context).get(path, limit=limit)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("ID", "FROM", "TO", "WHAT", "STATUS", "PROPOSED", "BY", "DEPLOYMENT", "SAID"),
        (
            (
                show.styled(show.word(item, "id"), "bold"),
                f"{show.word(item, 'origin')} #{show.word(item, 'deployment')}",
                show.word(item, "project"),
                content_of(item.get("revision")),
                show.word(item, "status"),
                show.ago(item, "proposed_at"),
                show.word(item, "asked_by") or "itself",
                show.word(item, "became"),
                "; ".join(map(vote_of, items_of(item, "votes"))) or show.word(item, "reason"),
            )
            for item in items_of(answer)
        ),
        empty=f"nothing was promoted to {name} yet" if name else "nothing waits to be promoted",
    )


def _approve_migration(
    client: Client, name: str, deployment: int | None, reason: str, waiting: Waiting
) -> None:
    """Approve what a migration found, where no promotion waits."""
    try:
        approve_migration(client, name, deployment, reason, waiting)
    except CommandFailed as failure:
        if failure.code != "nothing-to-approve" or deployment:
            raise
        text = f"nothing waits for approval at {name}: no promotion to it, and no migration of it"
        raise CommandFailed(
            text, "`reconciler promotions` lists what waits", failure.status
        ) from None


def _say_waiting(client: Client, promotion: JsonObject) -> ExitStatus:
    project, number = show.word(promotion, "project"), show.word(promotion, "id")
    reasons = reasons_to_wait(client, project)
    because = f": {'; '.join(reasons)}" if reasons else ""
    show.note(f"promotion {number} waits{because}")
    show.note(f"look again: reconciler environments {project}")
    return ExitStatus.WAITS


def _meant(client: Client, name: str) -> int | None:
    """Return the promotion that waits for people; None: none does, and a migration may.

    Raises:
        CommandFailed: more than one thing waits.
    """
    waiting = _waiting(client, name)
    if not waiting:
        return None
    newest = items_of(client.get(at("projects", name, "deployments"), limit=1))
    stopped = [one for one in newest if show.word(one, "error", "code") == _MIGRATION]
    if not stopped:
        return _only(name, waiting)
    number = show.word(stopped[0], "id")
    text = f"a promotion to {name} waits ({_numbers(waiting)}), and so does the migration of "
    remedy = f"say which: --promotion {waiting[0].get('id')} or --deployment {number}"
    raise CommandFailed(f"{text}deployment {number}", remedy, ExitStatus.USAGE)


def _waiting(client: Client, name: str) -> list[JsonObject]:
    newest = items_of(client.get(at("projects", name, "promotions")))
    return [one for one in newest if show.word(one, "status") == "waiting"]


def _only(name: str, waiting: list[JsonObject]) -> int:
    """Return the number of the one that waits. Raises ``CommandFailed``: there is not one."""
    if len(waiting) == 1 and isinstance(number := waiting[0].get("id"), int):
        return number
    if not waiting:
        remedy = f"`reconciler promotions {name}` lists what there was"
        raise CommandFailed(f"no promotion to {name} waits", remedy, ExitStatus.NOT_FOUND)
    text = f"{len(waiting)} promotions to {name} wait: {_numbers(waiting)}"
    raise CommandFailed(text, "say which: --promotion ID", ExitStatus.USAGE)


def _numbers(waiting: list[JsonObject]) -> str:
    return ", ".join(
        f"{show.word(one, 'id')} of {content_of(one.get('revision'))}" for one in waiting
    )


def _vote(client: Client, name: str, promotion: int, word: str, reason: str) -> JsonObject:
    path = at("projects", name, "promotions", str(promotion), word)
    return client.send("POST", path, {"reason": reason} if reason else {})


def _told(promotion: JsonObject) -> str:
    """Return what goes where."""
    what, number = content_of(promotion.get("revision")), show.word(promotion, "deployment")
    origin, project = show.word(promotion, "origin"), show.word(promotion, "project")
    return f"{what} of deployment {number} of {origin}, to {project}"
