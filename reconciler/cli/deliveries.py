"""``reconciler webhook deliveries`` and ``redeliver``: what came in, and looking into it again."""

import time

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, LIMIT, WEBHOOK

#: What is recorded of a look that goes on in the background.
_UNDER_WAY = "is looked at now"
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


def deliveries(
    context: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="[WEBHOOK]", help="Only through this one.", show_default=False
    ),
    project: str | None = typer.Option(
        None, "--project", metavar="PROJECT", help="Only those that led to this one."
    ),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List what came in, and what it led to or why it was refused."""
    client = connect(context)
    if name and not project:
        answer = client.get(at("webhooks", name, "deliveries"), limit=limit)
    else:
        answer = client.get(at("deliveries"), webhook=name, project=project, limit=limit)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("NUMBER", "WEBHOOK", "CAME", "FROM", "EVENT", "VERDICT", "LED TO"),
        (
            (
                show.word(item, "number"),
                show.word(item, "webhook"),
                show.ago(item, "at"),
                show.word(item, "remote"),
                show.word(item, "event"),
                show.word(item, "verdict"),
                _led_to(item),
            )
            for item in items_of(answer)
        ),
        empty="nothing came yet",
    )


def redeliver(
    context: typer.Context,
    name: str = WEBHOOK,
    number: int = typer.Argument(
        ..., metavar="NUMBER", min=1, help="Of the delivery.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Look again where a delivery pointed, and show what came of it.

    Nothing is sent again: the source itself says what is there by now.
    """
    client = connect(context)
    path = at("webhooks", name, "deliveries", str(number), "redeliver")
    with show.busy("looking again"):
        made = _ended(client, name, client.send("POST", path))
    if as_json:
        show.as_json(made)
        return
    show.say(f"delivery {show.word(made, 'number')} looked again at {show.word(made, 'announces')}")
    for project, told in _projects(made).items():
        show.say(f"{project}: {told}")
    if not _projects(made):
        show.say(show.word(made, "note"), "yellow")
    if _is_under_way(made):
        show.note(f"it takes longer; `reconciler webhook deliveries {name}` says what came of it")


def _ended(client: Client, name: str, delivery: JsonObject) -> JsonObject:
    """Return the delivery once all that it led to is known, or as it is when that takes long."""
    path = at("webhooks", name, "deliveries", show.word(delivery, "number"))
    late = time.monotonic() + _PATIENCE_SECONDS
    while _is_under_way(delivery) and time.monotonic() < late:
        time.sleep(_PAUSE_SECONDS)
        delivery = client.get(path)
    return delivery


def _is_under_way(delivery: JsonObject) -> bool:
    return _UNDER_WAY in _projects(delivery).values()


def _led_to(item: JsonObject) -> str:
    told = "; ".join(f"{name}: {said}" for name, said in _projects(item).items())
    again = "sent again: " if show.pick(item, "duplicate") is True else ""
    if repeated := show.word(item, "repeats"):
        again = f"{repeated} again: "
    return f"{again}{told or show.word(item, 'note')}"


def _projects(delivery: JsonObject) -> dict[str, str]:
    led_to = show.pick(delivery, "led_to")
    names = led_to if isinstance(led_to, dict) else {}
    return {name: show.word(names, name) for name in names}
