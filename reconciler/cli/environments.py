"""``reconciler environments`` and ``reconciler environment …``: an app from test to production."""

import typer

from reconciler.cli import show
from reconciler.cli.chain_picture import show_chain
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, PROJECT, examples, new_family
from reconciler.cli.spans import parse_span
from reconciler.cli.target_options import (
    BASE,
    BINARY,
    COMPOSE_FILE,
    ENV,
    FOLDER,
    HEALTH,
    HEALTH_PATH,
    IMAGE,
    IMAGE_FOLDER,
    NAMESPACE,
    PORT,
    READY,
    READY_PATH,
    STRATEGY,
    USER,
    WORKLOAD,
    given,
)

environment = new_family("Have what one environment verified go to another.")

#: Short for a health check, which is shown in full.
_SHORT = frozenset({"health_path", "ready_path", "port"})


def environments(
    context: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="[PROJECT]", help="Of one app only.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Show where an app is on its way to production.

    What runs in each, what comes next, how long it has soaked, who approved it, what it waits for.
    """
    client = connect(context)
    chains = [_chain(client, one) for one in ([name] if name else _firsts(client))]
    if as_json:
        show.as_json(chains[0] if name else {"items": chains})
        return
    if not chains:
        show.note("no app has more than one environment; `reconciler environment add --help`")
    for number, chain in enumerate(chains):
        if number:
            show.say("")
        show_chain(chain)


@environment.command(
    "add",
    epilog=examples(
        "reconciler environment add shop production --host prod1 --soak 1h",
        "reconciler environment add shop production --host prod1 --approvals 2 \\",
        "    --compose-file compose.production.yaml --name shop-live",
        "reconciler environment add shop production --kind unit --host prod1 \\",
        "    --image registry.example/shop --image-folder /srv/shop --binary bin/shop",
    ),
)
def add(
    context: typer.Context,
    before: str = PROJECT,
    name: str = typer.Argument(
        ..., metavar="ENVIRONMENT", help="What it is called, like production.", show_default=False
    ),
    host: str = typer.Option(..., "--host", metavar="HOST", help="A declared host, or `local`."),
    project: str | None = typer.Option(
        None, "--name", metavar="NAME", help="Its project.  [default: PROJECT-ENVIRONMENT]"
    ),
    kind: str | None = typer.Option(
        None, "--kind", metavar="KIND", help="compose, image or unit.  [default: as PROJECT]"
    ),
    soak: str | None = typer.Option(
        None, "--soak", metavar="SPAN", help="How long it has to stand there first, like 1h."
    ),
    approvals: int | None = typer.Option(
        None, "--approvals", metavar="N", min=1, help="How many people have to agree."
    ),
    auto_deploy: bool = typer.Option(
        False, "--auto-deploy", help="What may come comes by itself, unless people have to agree."
    ),
    strategy: str | None = STRATEGY,
    folder: str | None = FOLDER,
    binary: str | None = BINARY,
    user: str | None = USER,
    port: int | None = PORT,
    health_path: str | None = HEALTH_PATH,
    health: str | None = HEALTH,
    ready_path: str | None = READY_PATH,
    ready: str | None = READY,
    env: list[str] | None = ENV,
    compose_file: list[str] | None = COMPOSE_FILE,
    base: str | None = BASE,
    image: str | None = IMAGE,
    image_folder: str | None = IMAGE_FOLDER,
    namespace: str | None = NAMESPACE,
    workload: list[str] | None = WORKLOAD,
) -> None:
    """Add an environment that gets what PROJECT has verified.

    Nothing else comes there. It is a project of its own, with its own host, variables, secrets and
    history. What is not said of the app is as PROJECT has it. Where this was cut off, the same
    command completes it.
    """
    client, made = connect(context), project or f"{before}-{name}"
    declared: JsonObject = {"name": name, "promoted_from": before}
    if soak is not None:
        declared["soak_seconds"] = parse_span(soak, "--soak", "30m, 2h or 1d", none="0")
    body: JsonObject = {"name": made, "kind": kind, "environment": declared}
    body |= {"rules": {"approvals": approvals}} if approvals else {}
    notes, new = _declare(client, body)
    try:
        target = {"host": host, **given(context)}
        notes += _declare(client, target, at("projects", made, "targets"))[0]
    except CommandFailed:
        if new:  # without its host it would be deployed on the daemon's own machine
            client.send("DELETE", at("projects", made))
        raise
    if auto_deploy:
        client.send("PATCH", at("projects", made), {"auto_deploy": True})
    show.say(f"{made} gets what {before} has verified, on {host}")
    for line in notes:
        show.note(line)
    show.note(f"`reconciler environments {before}` shows both")


def _declare(client: Client, body: JsonObject, path: str = "") -> tuple[list[str], bool]:
    """Declare a project, or a target below ``path``; what is there as it should be is left alone.

    Returns:
        What is to be said of it, and whether it was not there before.

    Raises:
        CommandFailed: it can't be declared, or is there otherwise.
    """
    try:
        made = client.send("POST", path or at("projects"), body)
        return show.listed(made, "notes"), True
    except CommandFailed as refusal:
        if refusal.code != "already-exists":
            raise
        key = "host" if path else "name"
        found = client.get(f"{path or at('projects')}/{body[key]}")
        told = {field: value for field, value in body.items() if field not in _SHORT}
        if _is_as(found, told):
            return [], False
        text = f"{refusal.message}, and it is declared otherwise"
        remedy = "`reconciler project set` and `reconciler target set` change what is there"
        raise CommandFailed(text, remedy, ExitStatus.ERROR) from None


def _is_as(found: object, wanted: object) -> bool:
    """Tell whether what is declared has all that is wanted; None: whatever it is."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_is_as(found.get(field), value) for field, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        return all(map(_is_as, found, wanted))
    return wanted is None or found == wanted


def _chain(client: Client, name: str) -> JsonObject:
    return client.get(at("projects", name, "environments"))


def _firsts(client: Client) -> list[str]:
    """Return the first environment, as far as it is to be seen, of each app that has several."""
    projects = items_of(client.get_all(at("projects")))
    before = {
        show.word(one, "name"): show.word(one, "environment", "promoted_from") for one in projects
    }
    found = dict[str, None]()
    for name, first in before.items():
        if first:
            way = [name]
            while (one := before.get(way[-1], "")) in before and one not in way:
                way.append(one)
            found[way[-1]] = None
    return list(found)
