"""What a project is on the command line: its options, and what they say to the API."""

from collections.abc import Callable, Mapping

import typer

from reconciler.cli.client import JsonObject
from reconciler.cli.spans import parse_span

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
MEND_DRIFT = typer.Option(
    None,
    "--mend-drift/--show-drift",
    help="What was changed by hand: put back what was deployed, or only show it.",
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
    None,
    "--version-port",
    metavar="PORT",
    help="Where the app tells its commit over HTTP.  [default of a unit: its target's]",
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
ENVIRONMENT = typer.Option(
    None, "--environment", metavar="NAME", help="Which environment of an app it is, like test."
)
PROMOTED_FROM = typer.Option(
    None,
    "--promoted-from",
    metavar="PROJECT",
    help="The environment before: it gets what was verified there, and nothing else.",
)
SOAK = typer.Option(
    None, "--soak", metavar="SPAN", help="How long that has to stand there, like 30m or 2h."
)
WINDOW = typer.Option(
    None,
    "--window",
    metavar="DAYS HH:MM-HH:MM ZONE",
    help="When it may change, like 'mon-fri 09:00-17:00 Europe/Berlin'; may be repeated.",
)
NO_WINDOWS = typer.Option(None, "--no-windows", help="It may change at any time.")
MINIMUM_IMAGE_AGE = typer.Option(
    None,
    "--minimum-image-age",
    metavar="SPAN",
    help="How long ago an image that moved was first seen, like 3d; 0: it does not matter.",
)
APPROVALS = typer.Option(
    None, "--approvals", metavar="N", help="How many people approve each promotion to it."
)
APPROVALS_EXPIRE_AFTER = typer.Option(
    None,
    "--approvals-expire-after",
    metavar="SPAN",
    help="How long a promotion waits for them, like 12h.  [default: 3d]",
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
    "mend_drift": "mend_drift",
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
    "environment": "environment.name",
    "promoted_from": "environment.promoted_from",
    "soak": "environment.soak_seconds",
    "no_windows": "rules.windows",
    "window": "rules.windows",
    "minimum_image_age": "rules.minimum_image_age_seconds",
    "approvals": "rules.approvals",
    "approvals_expire_after": "rules.approvals_expire_after_seconds",
}
#: Parameter → how it is read, where that is not as it stands there.
_READ: Mapping[str, Callable[[str], object]] = {
    "soak": lambda text: parse_span(text, "--soak", "30m, 2h or 1d", none="0"),
    "no_windows": lambda _: [],
    "minimum_image_age": lambda text: parse_span(
        text, "--minimum-image-age", "12h or 3d", none="0"
    ),
    "approvals_expire_after": lambda text: parse_span(
        text, "--approvals-expire-after", "12h or 3d"
    ),
}


def given(context: typer.Context, before: Mapping[str, object] | None = None) -> JsonObject:
    """Return the fields that the command line names.

    Args:
        context: of the command.
        before: what is declared now, of which inner fields that are not named stay.
    """
    found: JsonObject = {}
    for parameter, field in _FIELDS.items():
        if not _is_given(context, parameter):
            continue
        value = context.params[parameter]
        value = list(value) if isinstance(value, tuple) else value
        if read := _READ.get(parameter):
            value = read(str(value))
        outer, _, inner = field.partition(".")
        if inner:
            known = found.get(outer) or (before or {}).get(outer)
            value = {**(known if isinstance(known, Mapping) else {}), inner: value}
        found[outer] = value
    return found


def names_inner_fields(context: typer.Context) -> bool:
    """Tell whether ``given`` needs to know what is declared now."""
    return any("." in field and _is_given(context, name) for name, field in _FIELDS.items())


def _is_given(context: typer.Context, parameter: str) -> bool:
    value = context.params.get(parameter)
    return value is not None and value not in ((), "", [])


def cleared(option: str) -> str:
    """Return the field of the API that an option's value is taken from. Raises ``BadParameter``."""
    parameter = option.removeprefix("--").replace("-", "_")
    whole = {name: name for name in ("migration", "version", "environment", "rules")}
    known = whole | {name: field for name, field in _FIELDS.items() if "." not in field}
    if parameter not in known:
        names = ", ".join(name.replace("_", "-") for name in known)
        raise typer.BadParameter(f"{option!r} can't be cleared: choose of {names}")
    return known[parameter]
