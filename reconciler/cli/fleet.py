"""``reconciler fleet …``: projects, hosts and settings declared in one file."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family
from reconciler.cli.files import is_stdin, name_of, read_text
from reconciler.domain.document import DocumentForm, form_of, parse_form
from reconciler.domain.errors import InvalidInput

fleet = new_family("Declare projects, hosts and settings in one file.")

#: Thousands of new projects take a while.
_LONGEST_SECONDS = 300
_FILE = typer.Argument(
    ...,
    metavar="FILE",
    help="The fleet file: .toml, .yaml or .json; - is standard input.",
    show_default=False,
)
_PRUNE = typer.Option(
    False, "--prune", help="Take away what the file does not name, of the sections that it has."
)
_FORMAT = typer.Option(
    None, "--format", metavar="FORMAT", help="toml, yaml or json.  [default: as FILE ends, or toml]"
)
_MARKS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


@fleet.command(
    "plan",
    epilog=examples(
        "reconciler fleet plan fleet.toml",
        "reconciler fleet plan fleet.toml --prune --exit-code",
        "reconciler fleet plan fleet.yaml --json",
    ),
)
def plan(
    context: typer.Context,
    file: Path = _FILE,
    prune: bool = _PRUNE,
    form: str | None = _FORMAT,
    exit_code: bool = typer.Option(
        False, "--exit-code", help="End with 16 if applying would change something."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Show what applying a file would change. Nothing is changed."""
    answer = _send(context, "plan", _read(file, form), file, prune=prune)
    if as_json:
        show.as_json(answer)
    else:
        _show(answer)
    if exit_code and items_of(answer, "changes"):
        raise typer.Exit(ExitStatus.WOULD_CHANGE)


@fleet.command(
    "apply",
    epilog=examples(
        "reconciler fleet apply fleet.toml",
        "reconciler fleet apply fleet.toml --prune --yes",
    ),
)
def apply(
    context: typer.Context,
    file: Path = _FILE,
    prune: bool = _PRUNE,
    form: str | None = _FORMAT,
    yes: bool = YES,
    as_json: bool = AS_JSON,
) -> None:
    """Make it as a file says; applied again, it changes nothing.

    It shows what it would change, and asks. All is checked first: a file with anything wrong in
    it changes nothing.
    """
    body, shown = _read(file, form), list[JsonObject]()
    if not yes:
        planned = _send(context, "plan", body, file, prune=prune)
        if shown := items_of(planned, "changes"):
            _show(planned)
            confirm("Apply this?", yes)
    answer = _send(context, "apply", body, file, prune=prune)
    if as_json:
        show.as_json(answer)
        return
    if shown and shown == items_of(answer, "changes"):
        show.say("applied")
    else:
        _show(answer)
    show.notes(answer)
    for line in show.listed(answer, "left"):
        show.note(f"not removed: {line}")


@fleet.command(
    "export",
    epilog=examples(
        "reconciler fleet export > fleet.toml", "reconciler fleet export --format yaml"
    ),
)
def export(
    context: typer.Context,
    form: str = typer.Option("toml", "--format", metavar="FORMAT", help="toml, yaml or json."),
) -> None:
    """Print a fleet file of all that is declared now. Secrets are not in it."""
    answer = connect(context).get(at("fleet"), format=form)
    sys.stdout.write(str(answer.get("text") or ""))


def _send(
    context: typer.Context, what: str, body: JsonObject, file: Path, *, prune: bool
) -> JsonObject:
    query = {"prune": "true"} if prune else {}
    doing = "comparing" if what == "plan" else "applying"
    with _named(file), show.busy(f"{doing} {name_of(file)}"):
        return connect(context).send(
            "POST", at("fleet", what), body, query, seconds=_LONGEST_SECONDS
        )


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Have what is wrong with the file begin with its name, one problem a line."""
    try:
        yield
    except CommandFailed as failure:
        if failure.status == ExitStatus.INVALID:
            failure.lines = tuple(
                f"{name_of(file)}: {line}" for line in failure.several or (failure.message,)
            )
        raise


def _read(file: Path, form: str | None) -> JsonObject:
    """Return a file as the API takes it.

    Raises:
        CommandFailed: it can't be read, is too long, or nothing tells how it is written.
    """
    try:
        told = parse_form(form, "--format") if form else _form_of(file)
    except InvalidInput as error:
        remedy = "--format says how it is written"
        raise CommandFailed(error.message, remedy, ExitStatus.USAGE) from error
    return {"text": read_text(file), "format": told.value}


def _form_of(file: Path) -> DocumentForm:
    return DocumentForm.TOML if is_stdin(file) else form_of(str(file), "FILE")


def _show(answer: JsonObject) -> None:
    changes = items_of(answer, "changes")
    for change in changes:
        mark, style = _MARKS.get(show.word(change, "action"), ("?", ""))
        subject = f"{show.word(change, 'kind')} {show.word(change, 'name')}".rstrip()
        show.say(f"{mark} {subject}", style)
        rows = [(f"    {show.word(one, 'field')}", _values(one)) for one in _fields(change)]
        show.facts(rows, style="")
    counts = Counter(show.word(change, "action") for change in changes)
    told = [f"{counts[action]} to {action}" for action in _MARKS if counts[action]]
    unchanged = show.word(answer, "unchanged")
    show.say(", ".join((*told, f"{unchanged} unchanged")) if told else "nothing to change")


def _fields(change: JsonObject) -> list[JsonObject]:
    return items_of(change, "fields")


def _values(field: JsonObject) -> str:
    after = _value(field, "after") or "(default)"
    before = field.get("before")
    return after if before is None else f"{_value(field, 'before')} → {after}"


def _value(field: JsonObject, which: str) -> str:
    value = field.get(which)
    if isinstance(value, bool):
        return str(value).lower()
    return show.words(field, which) if isinstance(value, list) else show.word(field, which)
