"""``reconciler adopt``: projects of what already runs under compose on a host."""

from collections.abc import Mapping

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed
from reconciler.cli.family import AS_JSON
from reconciler.domain.errors import InvalidInput
from reconciler.domain.stack import Exposed

#: The host is asked, and its folders are read: as long as a slow one takes.
_SECONDS = 90.0
#: What may be wrong with one of several; anything else is wrong with all of them.
_OF_ONE = frozenset({404, 409, 422, 502})


def adopt(
    context: typer.Context,
    host: str = typer.Argument(
        ..., metavar="HOST", help="Where it runs; `local` is the daemon's machine."
    ),
    names: list[str] | None = typer.Argument(
        None,
        metavar="NAME",
        help="Compose projects to adopt.  [default: list them]",
        show_default=False,
    ),
    every: bool = typer.Option(False, "--all", help="Adopt all that can be."),
    expose: str | None = typer.Option(
        None,
        "--expose",
        metavar="SERVICE:PORT",
        help="Of one NAME: what people reach.  [default: its only published port]",
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Make projects of what already runs under compose.

    Without a NAME it lists what there is. Nothing that runs is touched: a project follows the
    compose files in the folder that it was brought up from, and its auto-deploy is off.
    """
    exposed = _parse_exposed(expose, names or []) if expose else {}
    if every and names:
        raise typer.BadParameter("--all and NAME exclude each other")
    client = connect(context)
    if names:
        _adopt(client, host, names, exposed, as_json=as_json)
        return
    answer = _find(client, host)
    if every:
        possible = [show.word(one, "name") for one in items_of(answer) if one.get("adoptable")]
        _adopt(client, host, possible, {}, as_json=as_json)
    elif as_json:
        show.as_json(answer)
    else:
        _show(host, items_of(answer))


def _parse_exposed(text: str, names: list[str]) -> JsonObject:
    try:
        found = Exposed.parse(text)
    except InvalidInput:
        raise typer.BadParameter("--expose is SERVICE:PORT, like web:8080") from None
    if len(names) != 1:
        raise typer.BadParameter("--expose takes exactly one NAME")
    return {"expose_service": found.service, "expose_port": found.port}


def _find(client: Client, host: str) -> JsonObject:
    with show.busy(f"asking {host}"):
        return client.get_all(at("hosts", host, "stacks"))


def _show(host: str, stacks: list[JsonObject]) -> None:
    show.table(
        ("STACK", "FOLDER", "SERVICES", "REACHED AT", "CAN BE ADOPTED"),
        (
            (
                show.styled(show.word(one, "name"), "bold"),
                show.word(one, "folder"),
                ", ".join(map(_service, items_of(one, "services"))),
                ", ".join(_published(one)),
                _fate(one),
            )
            for one in stacks
        ),
        empty=f"nothing runs under compose on {host}",
    )
    if any(one.get("adoptable") for one in stacks):
        show.note(f"`reconciler adopt {host} NAME` makes a project of one, and touches nothing")


def _service(service: JsonObject) -> str:
    return show.word(service, "name") + ("" if service.get("running") else " (stopped)")


def _published(stack: JsonObject) -> list[str]:
    return [
        f"{show.word(service, 'name')}:{port}"
        for service in items_of(stack, "services")
        for port in show.listed(service, "published")
    ]


def _fate(stack: JsonObject) -> str:
    if obstacle := show.word(stack, "obstacle"):
        return f"no: {obstacle}"
    if project := show.word(stack, "project"):
        return f"already project {project}"
    return "yes" if show.pick(stack, "exposed") else "yes, with --expose SERVICE:PORT"


def _adopt(
    client: Client, host: str, names: list[str], exposed: JsonObject, *, as_json: bool
) -> None:
    """Adopt one after another, and say what came of each; the first failure is how it ends."""
    outcomes: dict[str, JsonObject | CommandFailed] = {}
    for name in dict.fromkeys(names):
        outcomes[name] = _adopt_one(client, host, name, exposed)
        if not as_json:
            _say(host, name, outcomes[name])
    if as_json:
        show.as_json({"items": [_as_item(*outcome) for outcome in outcomes.items()]})
    else:
        _say_next(host, outcomes)
    for outcome in outcomes.values():
        if isinstance(outcome, CommandFailed):
            raise typer.Exit(outcome.status)


def _adopt_one(
    client: Client, host: str, name: str, exposed: JsonObject
) -> JsonObject | CommandFailed:
    try:
        with show.busy(f"adopting {name}"):
            path = at("hosts", host, "stacks", name, "adopt")
            return client.send("POST", path, exposed, seconds=_SECONDS)
    except CommandFailed as failure:
        if failure.answer not in _OF_ONE:
            raise
        return failure


def _as_item(name: str, outcome: JsonObject | CommandFailed) -> JsonObject:
    if isinstance(outcome, CommandFailed):
        return {"name": name, "project": None, "problem": outcome.problem}
    return {"name": name, "project": outcome, "problem": None}


def _say(host: str, name: str, outcome: JsonObject | CommandFailed) -> None:
    if not isinstance(outcome, CommandFailed):
        show.say(f"adopted {name}")
        show.notes(outcome)
        return
    remedy = outcome.remedy
    if show.word(outcome.problem, "field") in {"expose_service", "expose_port"}:
        remedy = f"`reconciler adopt {host} {name} --expose SERVICE:PORT` says it"
    text = outcome.message if name in outcome.message else f"{name}: {outcome.message}"
    show.fail("; ".join(part for part in (text, remedy) if part))


def _say_next(host: str, outcomes: Mapping[str, JsonObject | CommandFailed]) -> None:
    adopted = [name for name, one in outcomes.items() if not isinstance(one, CommandFailed)]
    if not outcomes:
        show.note(f"nothing on {host} can be adopted; `reconciler adopt {host}` says why")
    if not adopted:
        return
    name = adopted[0] if len(adopted) == 1 else "NAME"
    show.note(f"`reconciler plan {name}` shows what deploying it changes")
    show.note(f"`reconciler deploy {name} --wait` runs the same images, in containers of ours")
    show.note(f"`reconciler project enable {name}` then has every change deploy by itself")
