"""``reconciler project …``: what is declared, and where it stands."""

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, PROJECT, YES, confirm, examples, new_family

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


@project.command(
    "add",
    epilog=examples(
        "reconciler project add shop --repo shop --expose-service web --expose-port 8080",
        "reconciler project add blog --url https://git.example.com/me/blog.git --branch live \\",
        "    --expose-service web --expose-port 80 --auto-deploy",
        "reconciler project add cache --kind image --image registry.example.com/redis:7 \\",
        "    --port 127.0.0.1:6379:6379 --volume data:/data",
    ),
)
def add(
    context: typer.Context,
    name: str = PROJECT,
    kind: str = typer.Option("compose", help="compose, image, tunnel or domain_only."),
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
    auto_deploy: bool = typer.Option(False, "--auto-deploy", help="Deploy by itself from now on."),
) -> None:
    """Declare a project.

    A compose project follows a branch: of a repository that the daemon hosts (--repo), or of one
    elsewhere (--url). Nothing deploys by itself before auto-deploy is on.
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
    for line in _notes(answer):
        show.note(line)


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


def show_projects(projects: list[JsonObject]) -> None:
    """Print a table of projects."""
    show.table(
        ("PROJECT", "STATE", "AUTO", "LIVE", "SINCE", "SOURCE"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                show.word(item, "state"),
                _toggle_of(item),
                _live(item),
                show.ago(item, "live", "since"),
                source_of(item),
            )
            for item in projects
        ),
        empty="no projects yet; `reconciler project add --help` shows how",
    )


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
            ("auto-deploy", _toggle_of(item)),
            ("", show.word(item, "auto_deploy_refused")),
            ("live", _live(item)),
            ("since", show.ago(item, "live", "since")),
            ("source", source_of(item)),
            ("acted on", show.short(item, "tracked_commit")),
            ("compose file", show.word(item, "compose_path") if show.pick(item, "source") else ""),
            ("exposes", _exposed(item)),
            ("stateful", show.words(item, "stateful_services")),
            ("ports", show.words(item, "ports")),
            ("volumes", show.words(item, "volumes")),
            ("looked at", show.ago(item, "looked_at")),
            ("next look", show.ago(item, "next_look_at")),
            ("source error", show.styled(show.word(item, "source_error", "message"), "red")),
            ("queued", show.word(item, "queued")),
            ("running", show.word(item, "running")),
            ("quarantined", _quarantined(item)),
            ("roll back to", show.words(item, "restorable")),
        )
    )


@project.command("remove", epilog=examples("reconciler project remove shop"))
def remove(context: typer.Context, name: str = PROJECT, yes: bool = YES) -> None:
    """Remove a project with its history and secrets. Its containers are left running."""
    confirm(f"Remove {name} with its history and secrets? Its containers keep running.", yes)
    connect(context).send("DELETE", at("projects", name), query={"keep_containers": "true"})
    show.say(f"removed {name}; its containers were left as they are")


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


# ── how a project reads ───────────────────────────────────────────────────────────────────────

#: Option → field of the API, where they differ.
_FIELDS = {
    "repo": "repository",
    "port": "ports",
    "volume": "volumes",
    "stateful": "stateful_services",
}
_DECLARED = (
    "name", "repo", "url", "branch", "compose_path", "image", "port", "volume", "expose_service",
    "expose_port", "stateful",
)  # fmt: skip


def _given(context: typer.Context) -> dict[str, object]:
    """Return the fields that the command line names."""
    given = {name: context.params.get(name) for name in _DECLARED}
    return {
        _FIELDS.get(name, name): list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value
    }


def _toggle(client: Client, name: str, *, on: bool) -> None:
    answer = client.send("PATCH", at("projects", name), {"auto_deploy": on})
    show.say(f"auto-deploy of {name} is {'on' if on else 'off'}")
    for line in _notes(answer):
        show.note(line)


def _notes(answer: JsonObject) -> list[str]:
    notes = answer.get("notes")
    return [show.word(line) for line in notes] if isinstance(notes, list) else []


def _say_refusal(item: JsonObject) -> None:
    if refused := show.word(item, "auto_deploy_refused"):
        show.note(refused)


def _toggle_of(item: JsonObject) -> str:
    """Return the toggle; there is none where nothing can be deployed."""
    if show.word(item, "state") == "nothing-to-deploy":
        return ""
    return "on" if show.pick(item, "auto_deploy") else "off"


def _live(item: JsonObject) -> str:
    live = show.pick(item, "live")
    if not live:
        return ""
    commit = show.short(live, "commit")
    if not commit:
        digests = show.pick(live, "images")
        commit = show.short(next(iter(digests.values()), None)) if isinstance(digests, dict) else ""
    number = show.word(live, "deployment")
    return f"{commit} (#{number})" if number else commit


def source_of(item: JsonObject) -> str:
    """Return what a project follows, in a few words."""
    source = show.pick(item, "source")
    if not source:
        return show.word(item, "image")
    place = show.word(source, "url") or f"hosted {show.word(source, 'repository')}"
    return f"{place} {show.word(source, 'branch')}"


def _exposed(item: JsonObject) -> str:
    service, port = show.word(item, "expose_service"), show.word(item, "expose_port")
    return f"{service}:{port}" if service or port else ""


def _quarantined(item: JsonObject) -> str:
    revisions = show.pick(item, "quarantined")
    if not isinstance(revisions, list):
        return ""
    return "; ".join(
        f"{show.short(one, 'commit') or 'images'}, {show.ago(one, 'since')}: "
        f"{show.word(one, 'reason')}"
        for one in revisions
    )
