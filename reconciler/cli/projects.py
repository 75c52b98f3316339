"""``reconciler project …``: what is declared, and where it stands."""

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, PROJECT, YES, confirm, examples, new_family
from reconciler.cli.project_lines import (
    exposed_of,
    hosts_of,
    live_of,
    quarantined_of,
    show_projects,
    source_of,
    toggle_of,
)

project = new_family("Add, change, look at and remove projects.")

_REPO = typer.Option(None, "--repo", metavar="NAME", help="Hosted repository; made if it is new.")
_URL = typer.Option(None, "--url", help="External repository: https://… or ssh://…")
_BRANCH = typer.Option(None, "--branch", help="Branch to follow.  [default: main]")
_COMPOSE_PATH = typer.Option(
    None, "--compose-path", metavar="PATH", help="Compose file in it.  [default: compose.yaml]"
)
_IMAGE = typer.Option(None, "--image", metavar="NAME:TAG", help="Image of an image project.")
_PORT = typer.Option(None, "--port", metavar="HOST:CONTAINER", help="Port of it; may be repeated.")
_VOLUME = typer.Option(None, "--volume", metavar="NAME:PATH", help="Named volume; may be repeated.")
_EXPOSE_SERVICE = typer.Option(
    None, "--expose-service", metavar="SERVICE", help="What faces users."
)
_EXPOSE_PORT = typer.Option(None, "--expose-port", metavar="PORT", help="The port it serves.")
_STATEFUL = typer.Option(
    None, "--stateful", metavar="SERVICE", help="Never pinned, e.g. a database; may be repeated."
)


_ONE_BY_ONE = typer.Option(
    None, "--one-by-one/--all-at-once", help="How its hosts take turns.  [default: all at once]"
)


@project.command(
    "add",
    epilog=examples(
        "reconciler project add shop --repo shop \\",
        "    --expose-service web --expose-port 8080",
        "reconciler project add blog --url https://git.example.com/blog.git \\",
        "    --branch live --expose-service web --expose-port 80 --auto-deploy",
        "reconciler project add cache --kind image --image example.com/redis:7 \\",
        "    --port 127.0.0.1:6379:6379 --volume data:/data",
        "reconciler project add api --kind unit --url https://git.example.com/api.git",
    ),
)
def add(
    context: typer.Context,
    name: str = PROJECT,
    kind: str = typer.Option("compose", help="compose, image, unit, tunnel or domain_only."),
    repo: str | None = _REPO,
    url: str | None = _URL,
    branch: str | None = _BRANCH,
    compose_path: str | None = _COMPOSE_PATH,
    image: str | None = _IMAGE,
    port: list[str] | None = _PORT,
    volume: list[str] | None = _VOLUME,
    expose_service: str | None = _EXPOSE_SERVICE,
    expose_port: int | None = _EXPOSE_PORT,
    stateful: list[str] | None = _STATEFUL,
    one_by_one: bool | None = _ONE_BY_ONE,
    auto_deploy: bool = typer.Option(False, "--auto-deploy", help="Deploy by itself from now on."),
) -> None:
    """Declare a project.

    A compose or unit project follows a branch: of a repository that the daemon hosts (--repo), or
    of one elsewhere (--url). Nothing deploys by itself before auto-deploy is on.
    """
    declared = {**_given(context), "kind": kind, "auto_deploy": auto_deploy}
    if repo:
        declared["create_repository"] = True
    made = connect(context).send("POST", at("projects"), declared)
    show.say(f"added {name}")
    if repo:
        show.note(f"`reconciler repo token {repo}` makes a token to push with")
    _say_refusal(made)


@project.command(
    "set",
    epilog=examples(
        "reconciler project set shop --branch live",
        "reconciler project set shop --url https://git.example.com/shop.git",
        "reconciler project set shop --one-by-one",
        "reconciler project set shop --clear expose-service --clear expose-port",
    ),
)
def set_(
    context: typer.Context,
    name: str = PROJECT,
    repo: str | None = _REPO,
    url: str | None = _URL,
    branch: str | None = _BRANCH,
    compose_path: str | None = _COMPOSE_PATH,
    image: str | None = _IMAGE,
    port: list[str] | None = _PORT,
    volume: list[str] | None = _VOLUME,
    expose_service: str | None = _EXPOSE_SERVICE,
    expose_port: int | None = _EXPOSE_PORT,
    stateful: list[str] | None = _STATEFUL,
    one_by_one: bool | None = _ONE_BY_ONE,
    clear: list[str] | None = typer.Option(
        None, "--clear", metavar="OPTION", help="Take a value away; may be repeated."
    ),
) -> None:
    """Change what a project declares; what is not named stays.

    A credential goes where it was stored for: a URL on another host drops it, and says so.
    """
    changed = _given(context)
    del changed["name"]
    for option in clear or ():
        parameter = option.removeprefix("--").replace("-", "_")
        if parameter not in _DECLARED[1:]:
            known = ", ".join(name.replace("_", "-") for name in _DECLARED[1:])
            raise typer.BadParameter(f"{option!r} can't be cleared: choose of {known}")
        changed[_FIELDS.get(parameter, parameter)] = None
    if not changed:
        raise typer.BadParameter("nothing to change: name an option, e.g. --branch live")
    answer = connect(context).send("PATCH", at("projects", name), changed)
    show.say(f"changed {name}")
    show.notes(answer)


@project.command(
    "list", epilog=examples("reconciler project list", "reconciler project list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List all projects with their states."""
    answer = connect(context).get(at("projects"))
    if as_json:
        show.as_json(answer)
    else:
        show_projects(items_of(answer))


@project.command("show", epilog=examples("reconciler project show shop"))
def show_(context: typer.Context, name: str = PROJECT, as_json: bool = AS_JSON) -> None:
    """Show all that is declared and known of a project."""
    item = connect(context).get(at("projects", name))
    if as_json:
        show.as_json(item)
        return
    show.facts(
        (
            ("project", show.styled(show.word(item, "name"), "bold")),
            ("kind", show.word(item, "kind")),
            ("state", show.word(item, "state")),
            ("", show.word(item, "state_text")),
            ("auto-deploy", toggle_of(item)),
            ("", show.word(item, "auto_deploy_refused")),
            ("live", live_of(item)),
            ("since", show.ago(item, "live", "since")),
            ("source", source_of(item)),
            ("hosts", hosts_of(item)),
            ("acted on", show.short(item, "tracked_commit")),
            ("compose file", show.word(item, "compose_path") if show.pick(item, "source") else ""),
            ("exposes", exposed_of(item)),
            ("stateful", show.words(item, "stateful_services")),
            ("ports", show.words(item, "ports")),
            ("volumes", show.words(item, "volumes")),
            ("looked at", show.ago(item, "looked_at")),
            ("next look", show.ago(item, "next_look_at")),
            ("source error", show.styled(show.word(item, "source_error", "message"), "red")),
            ("queued", show.word(item, "queued")),
            ("running", show.word(item, "running")),
            ("quarantined", quarantined_of(item)),
            ("roll back to", show.words(item, "restorable")),
        )
    )


@project.command("remove", epilog=examples("reconciler project remove shop"))
def remove(context: typer.Context, name: str = PROJECT, yes: bool = YES) -> None:
    """Remove a project with its history and secrets. What runs of it goes on."""
    confirm(f"Remove {name} with its history and secrets? What runs of it goes on.", yes)
    connect(context).send("DELETE", at("projects", name), query={"keep_containers": "true"})
    show.say(f"removed {name}; what runs of it was left as it is")


@project.command("enable", epilog=examples("reconciler project enable shop"))
def enable(context: typer.Context, name: str = PROJECT) -> None:
    """Turn auto-deploy on.

    The branch's tip deploys once to align, and from then on every change does.
    """
    _toggle(connect(context), name, on=True)


@project.command("disable", epilog=examples("reconciler project disable shop"))
def disable(context: typer.Context, name: str = PROJECT) -> None:
    """Turn auto-deploy off. A deployment that runs is not stopped."""
    _toggle(connect(context), name, on=False)


@project.command("look", epilog=examples("reconciler project look shop"))
def look(context: typer.Context, name: str = PROJECT) -> None:
    """Look at the project's branch and images now."""
    connect(context).send("POST", at("projects", name, "look"))
    show.say(f"looking at {name}")


@project.command(
    "move",
    epilog=examples(
        "reconciler project move shop --to web2",
        "reconciler project move shop --to web2 --leaving web1 --yes",
    ),
)
def move(
    context: typer.Context,
    name: str = PROJECT,
    to: str = typer.Option(..., "--to", metavar="HOST", help="Where it is deployed to instead."),
    leaving: str | None = typer.Option(
        None, "--leaving", metavar="HOST", help="The host it leaves.  [default: its only other one]"
    ),
    yes: bool = YES,
) -> None:
    """Deploy a project to another host from now on.

    Its volumes stay on the old host, and what runs there goes on until you stop it there. Copy
    what you need before the next deployment: on the new host it starts with empty volumes.
    """
    left = leaving or "its host"
    confirm(
        f"Move {name} to {to}? What runs on {left} goes on, and its volumes and data stay there; "
        f"on {to} it starts without them.",
        yes,
    )
    body = {"to": to, "leaving": leaving}
    answer = connect(context).send("POST", at("projects", name, "move"), body)
    show.say(f"{name} is deployed to {show.words(answer, 'hosts')} from now on")
    show.notes(answer)


# ── what the command line says to the API ─────────────────────────────────────────────────────

#: Option → field of the API, where they differ.
_FIELDS = {
    "repo": "repository",
    "port": "ports",
    "volume": "volumes",
    "stateful": "stateful_services",
}
_DECLARED = (
    "name", "repo", "url", "branch", "compose_path", "image", "port", "volume", "expose_service",
    "expose_port", "stateful", "one_by_one",
)  # fmt: skip


def _given(context: typer.Context) -> dict[str, object]:
    """Return the fields that the command line names."""
    given = {name: context.params.get(name) for name in _DECLARED}
    return {
        _FIELDS.get(name, name): list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value or value is False
    }


def _toggle(client: Client, name: str, *, on: bool) -> None:
    answer = client.send("PATCH", at("projects", name), {"auto_deploy": on})
    show.say(f"auto-deploy of {name} is {'on' if on else 'off'}")
    show.notes(answer)


def _say_refusal(item: JsonObject) -> None:
    if refused := show.word(item, "auto_deploy_refused"):
        show.note(refused)
