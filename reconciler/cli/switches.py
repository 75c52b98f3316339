"""``reconciler switch …`` and ``reconciler settings``: what changes live, for all projects."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, examples, new_family

switch = new_family(
    "The master switch. Off, nothing starts by itself; what a person asks for still runs."
)
_MASTER_SWITCH = "auto_deploy_master_enabled"
_REASON = typer.Option("", "--reason", metavar="TEXT", help="Shown to whoever asks why.")


@switch.command("on", epilog=examples("reconciler switch on --reason 'registry is back'"))
def on(context: typer.Context, reason: str = _REASON) -> None:
    """Let deployments start by themselves again.

    What moved meanwhile deploys once.
    """
    _put(context, {_MASTER_SWITCH: True, "reason": reason})
    show.say("the master switch is on")


@switch.command("off", epilog=examples("reconciler switch off --reason 'moving the registry'"))
def off(context: typer.Context, reason: str = _REASON) -> None:
    """Stop every automatic start. What already runs ends; each project's own toggle is kept."""
    _put(context, {_MASTER_SWITCH: False, "reason": reason})
    show.say("the master switch is off: nothing deploys by itself")


def settings(
    context: typer.Context,
    key: str | None = typer.Argument(None, metavar="KEY", help="One setting.", show_default=False),
    value: str | None = typer.Argument(
        None, metavar="VALUE", help="true, false, or whole seconds.", show_default=False
    ),
    reason: str = _REASON,
    as_json: bool = AS_JSON,
) -> None:
    """Show the live settings, or change one without a restart."""
    if key and value is not None:
        answer = _put(context, {key: _parse(value), "reason": reason})
    else:
        answer = connect(context).get(at("settings"))
    items = [item for item in items_of(answer) if key in {None, item.get("key")}]
    if not items:
        known = ", ".join(show.word(item, "key") for item in items_of(answer))
        raise CommandFailed(
            f"there is no setting {key}", f"there are {known}", ExitStatus.NOT_FOUND
        )
    if as_json:
        show.as_json(answer if key is None else items[0])
    else:
        _show(items)


def _show(items: list[JsonObject]) -> None:
    show.table(
        ("SETTING", "VALUE", "DEFAULT", "MINIMUM", "MEANING"),
        (
            (
                show.word(item, "key"),
                show.styled(_value(item, "value"), "bold"),
                _value(item, "default"),
                show.word(item, "minimum"),
                _meaning(item),
            )
            for item in items
        ),
    )


def _meaning(item: JsonObject) -> str:
    """Return what a setting is for, and who changed it last, when and why."""
    meaning = show.word(item, "meaning")
    when = show.ago(item, "changed_at")
    if not when:
        return meaning
    reason = show.word(item, "reason")
    by = f"changed {when} by {show.word(item, 'changed_by')}{f' ({reason})' if reason else ''}"
    return f"{meaning}; {by}" if meaning else by


def _put(context: typer.Context, body: dict[str, object]) -> JsonObject:
    if not body["reason"]:
        del body["reason"]
    return connect(context).send("PATCH", at("settings"), body)


def _parse(text: str) -> object:
    """Return what the API takes for ``text``; it refuses what does not fit, with a message."""
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    if text.lower() in words:
        return words[text.lower()]
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else text


def _value(item: JsonObject, name: str) -> str:
    value = item.get(name)
    return str(value).lower() if isinstance(value, bool) else show.word(value)
