"""What a target is on the command line: its options, and what they say to the API."""

import json
from collections.abc import Callable
from typing import Any

import typer

from reconciler.cli.failure import CommandFailed, ExitStatus

HOST = typer.Argument(..., metavar="HOST", help="A declared host, or `local`.", show_default=False)
STRATEGY = typer.Option(
    None,
    "--strategy",
    help="Of a unit: systemd (built here) or systemd-remote (built there).  [default: systemd]",
)
FOLDER = typer.Option(
    None, "--folder", metavar="PATH", help="On the host.  [default: /opt/apps/PROJECT]"
)
SOURCE_FOLDER = typer.Option(
    None, "--source-folder", metavar="PATH", help="Unit: where its source is in the repository."
)
BUILD = typer.Option(
    None, "--build", metavar="COMMAND", help="Unit: builds it, in the source folder; no shell."
)
BINARY = typer.Option(
    None, "--binary", metavar="PATH", help="Unit: what it runs, below the source folder."
)
FILE = typer.Option(
    None, "--file", metavar="PATH", help="Unit: file or folder to go with it; may be repeated."
)
USER = typer.Option(None, "--user", metavar="USER", help="Unit: whom it runs as.  [default: root]")
PORT = typer.Option(None, "--port", metavar="PORT", help="Where it listens; a unit's PORT.")
HEALTH_PATH = typer.Option(
    None,
    "--health-path",
    metavar="PATH",
    help="With --port: has to answer over HTTP.",
)
HEALTH = typer.Option(
    None,
    "--health",
    metavar="JSON",
    help='Any other health check, e.g. \'{"kind": "tcp", "port": 5432}\'.',
)
ENV = typer.Option(
    None, "--env", metavar="NAME=VALUE", help="Variable that is no secret; may be repeated."
)
COMPOSE_FILE = typer.Option(
    None, "--compose-file", metavar="PATH", help="Compose: one more file; may be repeated."
)
CONFIRM_WITHIN = typer.Option(
    None,
    "--confirm-within",
    metavar="SECONDS",
    help="The host goes back by itself unless the daemon confirms by then.",
)
BRANCH = typer.Option(None, "--branch", help="The project's own; another one is refused.")

#: Parameter → field of the API.
_FIELDS = {
    "strategy": "strategy",
    "folder": "folder",
    "source_folder": "source_folder",
    "build": "build",
    "binary": "binary",
    "file": "files",
    "user": "user",
    "port": "port",
    "health_path": "health_path",
    "health": "health",
    "env": "environment",
    "compose_file": "compose_files",
    "confirm_within": "confirm_within_seconds",
    "branch": "branch",
}
_NOT_CLEARED = {"strategy", "health_path", "branch"}


def given(context: typer.Context) -> dict[str, object]:
    """Return the fields that the command line names."""
    found: dict[str, object] = {}
    for parameter, field in _FIELDS.items():
        value = context.params.get(parameter)
        if value is None or value == ():
            continue
        found[field] = _READ[parameter](value) if parameter in _READ else value
    return found


def _read_health(text: object) -> object:
    try:
        found = json.loads(str(text))
    except ValueError as error:
        raise CommandFailed(
            f"--health is no JSON ({error})",
            'write it like \'{"kind": "tcp", "port": 5432}\'',
            ExitStatus.INVALID,
        ) from error
    if not isinstance(found, dict):
        raise CommandFailed("--health is no JSON object", status=ExitStatus.INVALID)
    return found


def _read_environment(pairs: object) -> object:
    found = {}
    for pair in pairs if isinstance(pairs, list | tuple) else ():
        name, equals, value = str(pair).partition("=")
        if not equals:
            raise typer.BadParameter(f"--env {pair}: write it as NAME=VALUE")
        found[name] = value
    return found


_READ: dict[str, Callable[[Any], object]] = {
    "file": list,
    "compose_file": list,
    "health": _read_health,
    "env": _read_environment,
}


def cleared(option: str) -> str:
    """Return the field of the API that an option's value is taken from. Raises ``BadParameter``."""
    parameter = option.removeprefix("--").replace("-", "_")
    if parameter not in _FIELDS or parameter in _NOT_CLEARED:
        known = ", ".join(name.replace("_", "-") for name in _FIELDS if name not in _NOT_CLEARED)
        raise typer.BadParameter(f"{option!r} can't be cleared: choose of {known}")
    return _FIELDS[parameter]
