"""What a project is on the command line: its options, and what they say to the API."""

from collections.abc import Mapping

import typer

from reconciler.cli.client import JsonObject

REPO = typer.Option(None, "--repo", metavar="NAME", help="Hosted repository; made if it is new.")
URL = typer.Option(None, "--url", help="External repository: https://… or ssh://…")
BRANCH = typer.Option(None, "--branch", help="Branch to follow.  [default: main]")
COMPOSE_PATH = typer.Option(
    None, "--compose-path", metavar="PATH", help="Compose file in it.  [default: compose.yaml]"
)
IMAGE = typer.Option(None, "--image", metavar="NAME:TAG", help="Image of an image project.")
PORT = typer.Option(None, "--port", metavar="HOST:CONTAINER", help="Port of it; may be repeated.")
VOLUME = typer.Option(None, "--volume", metavar="NAME:PATH", help="Named volume; may be repeated.")
EXPOSE_SERVICE = typer.Option(None, "--expose-service", metavar="SERVICE", help="What faces users.")
EXPOSE_PORT = typer.Option(None, "--expose-port", metavar="PORT", help="The port it serves.")
STATEFUL = typer.Option(
    None, "--stateful", metavar="SERVICE", help="Never pinned, e.g. a database; may be repeated."
)
ONE_BY_ONE = typer.Option(
    None, "--one-by-one/--all-at-once", help="How its hosts take turns.  [default: all at once]"
)
PUSH_IMAGES = typer.Option(
    None, "--push-images/--keep-images", help="Whether built images go to their registry."
)
ALLOW_MANIFEST = typer.Option(
    None,
    "--allow-manifest/--forbid-manifest",
    help="Whether .reconciler.toml in the repository counts.  [default: it does not]",
)
WATCH = typer.Option(
    None,
    "--watch",
    metavar="PATH",
    help="Folder, file or glob of the repository whose changes concern it; may be repeated.",
)
SKIP_MARKERS = typer.Option(
    None,
    "--skip-markers/--no-skip-markers",
    help="Whether [skip cd] and the like in a commit keep it from deploying.",
)
COMMIT_STATUSES = typer.Option(
    None,
    "--commit-statuses/--no-commit-statuses",
    help="Whether the forge is told how each commit fares.  [default: it is not]",
)
FORGE = typer.Option(
    None,
    "--forge",
    metavar="PROVIDER",
    help="gitea, forgejo, gogs, github or gitlab.  [default: as github.com, gitlab.com tell]",
)
FORGE_URL = typer.Option(
    None, "--forge-url", metavar="URL", help="Address of the forge.  [default: the source's]"
)
MIGRATION = typer.Option(
    None,
    "--migration",
    metavar="COMMAND",
    help="Runs in the new image before anything is switched; no shell.",
)
MIGRATION_SERVICE = typer.Option(
    None,
    "--migration-service",
    metavar="SERVICE",
    help="In whose image.  [default: exposed one]",
)
MIGRATION_TIMEOUT = typer.Option(
    None, "--migration-timeout", metavar="SECONDS", help="How long it may take.  [default: 1800]"
)
APPROVAL_STATUS = typer.Option(
    None, "--approval-status", metavar="N", help="Its exit status that asks for a person."
)
VERSION_PORT = typer.Option(
    None, "--version-port", metavar="PORT", help="Where the app tells its commit over HTTP."
)
VERSION_PATH = typer.Option(
    None, "--version-path", metavar="PATH", help="The path of that.  [default: /]"
)
VERSION_JSON = typer.Option(
    None, "--version-json", metavar="NAME.NAME", help="Where in a JSON answer the commit is."
)
VERSION_SERVICE = typer.Option(
    None, "--version-service", metavar="SERVICE", help="What tells it.  [default: exposed one]"
)

#: Parameter → field of the API, an inner one as ``outer.inner``.
_FIELDS = {
    "repo": "repository",
    "url": "url",
    "branch": "branch",
    "compose_path": "compose_path",
    "image": "image",
    "port": "ports",
    "volume": "volumes",
    "expose_service": "expose_service",
    "expose_port": "expose_port",
    "stateful": "stateful_services",
    "one_by_one": "one_by_one",
    "push_images": "push_images",
    "allow_manifest": "allow_manifest",
    "watch": "watch_paths",
    "skip_markers": "skip_markers",
    "commit_statuses": "commit_statuses",
    "forge": "forge",
    "forge_url": "forge_url",
    "migration": "migration.command",
    "migration_service": "migration.service",
    "migration_timeout": "migration.timeout_seconds",
    "approval_status": "migration.approval_status",
    "version_port": "version.port",
    "version_path": "version.path",
    "version_json": "version.json_path",
    "version_service": "version.service",
}


def given(context: typer.Context, before: Mapping[str, object] | None = None) -> JsonObject:
    """Return the fields that the command line names.

    Args:
        context: of the command.
        before: what is declared now, of which inner fields that are not named stay.
    """
    found: JsonObject = {}
    for parameter, field in _FIELDS.items():
        value = context.params.get(parameter)
        if value is None or value in ((), ""):
            continue
        value = list(value) if isinstance(value, tuple) else value
        outer, _, inner = field.partition(".")
        if inner:
            known = found.get(outer) or (before or {}).get(outer)
            value = {**(known if isinstance(known, Mapping) else {}), inner: value}
        found[outer] = value
    return found


def names_inner_fields(context: typer.Context) -> bool:
    """Tell whether ``given`` needs to know what is declared now."""
    return any("." in field and context.params.get(name) for name, field in _FIELDS.items())


def cleared(option: str) -> str:
    """Return the field of the API that an option's value is taken from. Raises ``BadParameter``."""
    parameter = option.removeprefix("--").replace("-", "_")
    whole = {"migration": "migration", "version": "version"}
    known = whole | {name: field for name, field in _FIELDS.items() if "." not in field}
    if parameter not in known:
        names = ", ".join(name.replace("_", "-") for name in known)
        raise typer.BadParameter(f"{option!r} can't be cleared: choose of {names}")
    return known[parameter]
