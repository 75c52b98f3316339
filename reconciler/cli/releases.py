"""``reconciler releases …``: what CI built, reported, and can be found by its digests."""

import json
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, LIMIT, examples, new_family
from reconciler.cli.files import name_of, read_text

releases = new_family(
    """Report and find what CI built: digests of a commit.

    Nothing is deployed here: `reconciler release` deploys an app and follows it.
    """
)

#: The source and up to 20 images are looked up, each within its limit.
_LONGEST_SECONDS = 120


@releases.command(
    "list",
    epilog=examples(
        "reconciler releases list",
        "reconciler releases list shop --limit 5",
        "reconciler releases list --commit 1f2e3d4c5b6a798081920a1b2c3d4e5f60718293",
    ),
)
def list_(
    context: typer.Context,
    project: str | None = typer.Argument(
        None, metavar="[PROJECT]", help="Only of this project.", show_default=False
    ),
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Only of this full commit."
    ),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """List releases, newest first; of one project with how far each came."""
    query = {"project": project, "commit": commit, "limit": limit}
    client = connect(context)
    answer = client.get(at("releases"), **query)
    if as_json:
        show.as_json(answer)
        return
    journeys = _journeys(client, project) if project else []
    show.table(
        ("RELEASE", "PROJECT", "COMMIT", "BUILT", "CHECKS", "REPORTED BY", "CAME TO", "IMAGES"),
        (
            (
                show.styled(show.word(item, "id"), "bold"),
                show.word(item, "project"),
                show.short(item, "commit"),
                show.ago(item, "build", "finished_at"),
                str(len(items_of(item, "checks"))),
                show.word(item, "recorded_by"),
                _way_in_short(_arrivals(item, journeys)),
                ", ".join(f"{image} {digest[:8]}" for image, digest in _images(item)),
            )
            for item in items_of(answer)
        ),
        empty="no releases; `reconciler releases add --help` shows how CI reports one",
    )


@releases.command(
    "show", epilog=examples("reconciler releases show 7", "reconciler releases show 7 --json")
)
def show_(
    context: typer.Context,
    number: int = typer.Argument(
        ..., metavar="ID", min=1, help="Number of the release.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Show a release: its commit, digests, build and checks."""
    client = connect(context)
    found = client.get(at("releases", str(number)))
    _show(found, as_json=as_json)
    if as_json:
        return
    if arrivals := _arrivals(found, _journeys(client, show.word(found, "project"))):
        show.say("")
        _show_way(arrivals)


@releases.command(
    "add",
    epilog=examples(
        "reconciler releases add release.json", "reconciler releases add release.json --json"
    ),
)
def add(
    context: typer.Context,
    file: Path = typer.Argument(
        ..., metavar="FILE", help="The release as JSON; - is standard input.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Report a release, as CI does: FILE has what the API takes. Safe to repeat.

    It is kept once each registry has the digests and the source has the commit. The project is
    looked at, but a release deploys nothing by itself.
    """
    body = _parse(file)
    with show.busy("looking the commit and the digests up"):
        made = connect(context).send("POST", at("releases"), body, seconds=_LONGEST_SECONDS)
    _show(made, as_json=as_json)


def _parse(file: Path) -> JsonObject:
    """Return the object that a file has. Raises ``CommandFailed``."""
    text = read_text(file)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = f"{name_of(file)} is not a JSON object"
        remedy = 'it begins like {"project": "shop", "commit": "…"}'
        raise CommandFailed(message, remedy, ExitStatus.INVALID)
    return found


def _show(found: JsonObject, *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    show.facts(
        (
            ("release", f"{show.word(found, 'id')} of {show.word(found, 'project')}"),
            ("commit", show.word(found, "commit")),
            ("built", show.ago(found, "build", "finished_at")),
            ("build", show.word(found, "build", "url")),
            ("reported", f"{show.ago(found, 'recorded_at')} by {show.word(found, 'recorded_by')}"),
        )
    )
    show.say("")
    digests = ((image, show.word(found, "images", image)) for image, _ in _images(found))
    show.table(("IMAGE", "DIGEST"), digests)
    if checks := items_of(found, "checks"):
        show.say("")
        rows = (tuple(show.word(one, key) for key in ("name", "status", "url")) for one in checks)
        show.table(("CHECK", "STATUS", "MORE"), rows)


def _journeys(client: Client, project: str) -> list[JsonObject]:
    """Return how far revisions came that the first environment verified lately."""
    return items_of(client.get(at("projects", project, "environments", "releases"), limit=50))


def _arrivals(release: JsonObject, journeys: list[JsonObject]) -> list[JsonObject]:
    """Return how far a release came: as a revision of its commit with all of its digests."""
    wanted = {digest for _, digest in _images(release)}
    for journey in journeys:
        found = {digest for _, digest in _images(journey)}
        if show.word(journey, "commit") == show.word(release, "commit") and wanted <= found:
            return items_of(journey, "arrivals")
    return []


def _way_in_short(arrivals: list[JsonObject]) -> str:
    came = (one for one in arrivals if show.word(one, "progress") != "not-yet")
    return ", ".join(
        f"{show.word(one, 'environment')} ({show.word(one, 'progress')})" for one in came
    )


def _show_way(arrivals: list[JsonObject]) -> None:
    show.table(
        ("ENVIRONMENT", "PROJECT", "PROGRESS", "SINCE", "DEPLOYMENT"),
        (
            (
                show.styled(show.word(one, "environment"), "bold"),
                show.word(one, "project"),
                show.word(one, "progress"),
                show.ago(one, "at"),
                show.word(one, "deployment"),
            )
            for one in arrivals
        ),
    )


def _images(item: JsonObject) -> list[tuple[str, str]]:
    """Return (image, hex digits of its digest)."""
    images = show.pick(item, "images")
    names = images if isinstance(images, dict) else {}
    return [(show.word(name), show.word(names, name).removeprefix("sha256:")) for name in names]
