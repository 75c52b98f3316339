"""What a target is on the command line: its options, and what they say to the API."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import typer

from reconciler.cli.failure import CommandFailed, ExitStatus

HOST = typer.Argument(..., metavar="HOST", help="A declared host, or `local`.", show_default=False)
STRATEGY = typer.Option(
    None,
    "--strategy",
    help="Of a unit: systemd (built here) or systemd-remote (built there); of an image project: "
    "compose or kubernetes.  [default: the first]",
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
READY_PATH = typer.Option(
    None, "--ready-path", metavar="PATH", help="With --port: has to answer over HTTP as well."
)
READY = typer.Option(
    None, "--ready", metavar="JSON", help="A second check, written like --health; both must pass."
)
ENV = typer.Option(
    None, "--env", metavar="NAME=VALUE", help="Variable that is no secret; may be repeated."
)
COMPOSE_FILE = typer.Option(
    None, "--compose-file", metavar="PATH", help="Compose: one more file; may be repeated."
)
BASE = typer.Option(
    None,
    "--base",
    metavar="PATH",
    help="Compose: folder on the host that relative paths start from.  [default: the work tree]",
)
CONFIRM_WITHIN = typer.Option(
    None,
    "--confirm-within",
    metavar="SECONDS",
    help="The host goes back by itself unless the daemon confirms by then.",
)
BRANCH = typer.Option(None, "--branch", help="The project's own; another one is refused.")

IMAGE = typer.Option(
    None,
    "--image",
    metavar="NAME",
    help="Unit of a promoted project: the image that its release is a folder of.",
)
IMAGE_FOLDER = typer.Option(
    None, "--image-folder", metavar="PATH", help="With --image: that folder.  [default: /app]"
)

NAMESPACE = typer.Option(
    None, "--namespace", metavar="NAME", help="Kubernetes: where it is.  [default: default]"
)
WORKLOAD = typer.Option(
    None,
    "--workload",
    metavar="KIND/NAME:CONTAINER=IMAGE",
    help="Kubernetes: which container gets which image; may be repeated. KIND is deployment, "
    "statefulset or daemonset; IMAGE may be the service that built it in the environment before.",
)

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
    "ready_path": "ready_path",
    "ready": "ready",
    "env": "environment",
    "compose_file": "compose_files",
    "base": "base",
    "confirm_within": "confirm_within_seconds",
    "branch": "branch",
    "image": "image",
    "image_folder": "image_folder",
    "namespace": "namespace",
    "workload": "workloads",
}
_NOT_CLEARED = {"strategy", "health_path", "ready_path", "branch"}


def given(context: typer.Context) -> dict[str, object]:
    """Return the fields that the command line names."""
    found: dict[str, object] = {}
    for parameter, field in _FIELDS.items():
        value = context.params.get(parameter)
        if value is None or value == ():
            continue
        found[field] = _READ[parameter](value) if parameter in _READ else value
    return found


def _read_check(option: str, text: object) -> object:
    try:
        found = json.loads(str(text))
    except ValueError as error:
        raise CommandFailed(
            f"{option} is no JSON ({error})",
            'write it like \'{"kind": "tcp", "port": 5432}\'',
            ExitStatus.INVALID,
        ) from error
    if not isinstance(found, dict):
        raise CommandFailed(f"{option} is no JSON object", status=ExitStatus.INVALID)
    return found


def _read_environment(pairs: object) -> object:
    found = {}
    for pair in pairs if isinstance(pairs, list | tuple) else ():
        name, equals, value = str(pair).partition("=")
        if not equals:
            raise typer.BadParameter(f"--env {pair}: write it as NAME=VALUE")
        found[name] = value
    return found


def read_workloads(texts: object) -> object:
    """Return the workloads as the API takes them, one for all the containers of each."""
    found: dict[str, dict[str, str]] = {}
    for text in texts if isinstance(texts, list | tuple) else ():
        where, equals, image = str(text).partition("=")
        workload, colon, container = where.partition(":")
        if not (equals and colon and "/" in workload):
            problem = "write it as KIND/NAME:CONTAINER=IMAGE, like deployment/web:app=shop:1"
            raise typer.BadParameter(f"--workload {text}: {problem}")
        found.setdefault(workload, {})[container] = image
    return [
        {"kind": name.partition("/")[0], "name": name.partition("/")[2], "containers": containers}
        for name, containers in found.items()
    ]


_READ: dict[str, Callable[[Any], object]] = {
    "file": list,
    "compose_file": list,
    "health": partial(_read_check, "--health"),
    "ready": partial(_read_check, "--ready"),
    "env": _read_environment,
    "workload": read_workloads,
}


def cleared(option: str) -> str:
    """Return the field of the API that an option's value is taken from. Raises ``BadParameter``."""
    parameter = option.removeprefix("--").replace("-", "_")
    if parameter not in _FIELDS or parameter in _NOT_CLEARED:
        known = ", ".join(name.replace("_", "-") for name in _FIELDS if name not in _NOT_CLEARED)
        raise typer.BadParameter(f"{option!r} can't be cleared: choose of {known}")
    return _FIELDS[parameter]
