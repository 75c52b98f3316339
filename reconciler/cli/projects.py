"""``reconciler project …``: what is declared, and where it stands."""

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, PROJECT, YES, confirm, examples, new_family
from reconciler.cli.project_lines import (
    approvals_of,
    environment_of,
    exposed_of,
    freeze_of,
    hosts_of,
    image_age_of,
    live_of,
    migration_of,
    quarantined_of,
    show_projects,
    source_of,
    statuses_of,
    toggle_of,
    version_check_of,
    watched_of,
    windows_of,
)
from reconciler.cli.project_options import (
    ALLOW_MANIFEST,
    APPROVAL_STATUS,
    APPROVALS,
    APPROVALS_EXPIRE_AFTER,
    BRANCH,
    COMMIT_STATUSES,
    COMPOSE_PATH,
    ENVIRONMENT,
    EXPOSE_PORT,
    EXPOSE_SERVICE,
    FORGE,
    FORGE_URL,
    IMAGE,
    MEND_DRIFT,
    MIGRATION,
    MIGRATION_SERVICE,
    MIGRATION_TIMEOUT,
    MINIMUM_IMAGE_AGE,
    NO_WINDOWS,
    ONE_BY_ONE,
    PORT,
    PROMOTED_FROM,
    PUSH_IMAGES,
    REPO,
    SKIP_MARKERS,
    SOAK,
    STATEFUL,
    URL,
    VERSION_JSON,
    VERSION_PATH,
    VERSION_PORT,
    VERSION_SERVICE,
    VOLUME,
    WATCH,
    WINDOW,
    cleared,
    given,
    names_inner_fields,
)

project = new_family("Add, change, look at and remove projects.")


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
        "reconciler project add shop-production --environment production \\",
        "    --promoted-from shop --soak 1h",
    ),
)
def add(
    context: typer.Context,
    name: str = PROJECT,
    kind: str | None = typer.Option(
        None,
        "--kind",
        metavar="KIND",
        help="compose, image, unit, tunnel or domain_only.  [default: compose]",
    ),
    repo: str | None = REPO,
    url: str | None = URL,
    branch: str | None = BRANCH,
    compose_path: str | None = COMPOSE_PATH,
    image: str | None = IMAGE,
    port: list[str] | None = PORT,
    volume: list[str] | None = VOLUME,
    expose_service: str | None = EXPOSE_SERVICE,
    expose_port: int | None = EXPOSE_PORT,
    stateful: list[str] | None = STATEFUL,
    one_by_one: bool | None = ONE_BY_ONE,
    mend_drift: bool | None = MEND_DRIFT,
    push_images: bool | None = PUSH_IMAGES,
    allow_manifest: bool | None = ALLOW_MANIFEST,
    watch: list[str] | None = WATCH,
    skip_markers: bool | None = SKIP_MARKERS,
    commit_statuses: bool | None = COMMIT_STATUSES,
    forge: str | None = FORGE,
    forge_url: str | None = FORGE_URL,
    migration: str | None = MIGRATION,
    migration_service: str | None = MIGRATION_SERVICE,
    migration_timeout: float | None = MIGRATION_TIMEOUT,
    approval_status: int | None = APPROVAL_STATUS,
    version_port: int | None = VERSION_PORT,
    version_path: str | None = VERSION_PATH,
    version_json: str | None = VERSION_JSON,
    version_service: str | None = VERSION_SERVICE,
    environment: str | None = ENVIRONMENT,
    promoted_from: str | None = PROMOTED_FROM,
    soak: str | None = SOAK,
    window: list[str] | None = WINDOW,
    minimum_image_age: str | None = MINIMUM_IMAGE_AGE,
    approvals: int | None = APPROVALS,
    approvals_expire_after: str | None = APPROVALS_EXPIRE_AFTER,
    auto_deploy: bool = typer.Option(False, "--auto-deploy", help="Deploy by itself from now on."),
) -> None:
    """Declare a project.

    A compose or unit project follows a branch: of a repository that the daemon hosts (--repo), or
    of one elsewhere (--url). Nothing deploys by itself before auto-deploy is on.

    One that is promoted from another follows nothing: it gets what was verified there, and what
    is not said here of the app is as it is there. `reconciler environment add` is shorter.
    """
    usual_kind = None if promoted_from else "compose"
    declared = {**given(context), "name": name, "auto_deploy": auto_deploy}
    declared |= {"kind": kind} if (kind := kind or usual_kind) else {}
    if repo:
        declared["create_repository"] = True
    made = connect(context).send("POST", at("projects"), declared)
    show.say(f"added {name}")
    if repo:
        show.note(f"`reconciler repo token {repo}` makes a token to push with")
    show.notes(made)
    _say_refusal(made)


@project.command(
    "set",
    epilog=examples(
        "reconciler project set shop --branch live",
        "reconciler project set shop --url https://git.example.com/shop.git",
        "reconciler project set shop --one-by-one",
        "reconciler project set shop --commit-statuses --forge forgejo",
        "reconciler project set shop --watch apps/shop --watch 'libs/**/*.sql'",
        'reconciler project set shop --migration "bin/migrate up" --approval-status 3',
        "reconciler project set shop --version-port 8080 --version-path /version",
        "reconciler project set shop --window 'mon-fri 09:00-17:00 Europe/Berlin'",
        "reconciler project set shop --minimum-image-age 3d",
        "reconciler project set shop --clear expose-service --clear expose-port",
    ),
)
def set_(
    context: typer.Context,
    name: str = PROJECT,
    repo: str | None = REPO,
    url: str | None = URL,
    branch: str | None = BRANCH,
    compose_path: str | None = COMPOSE_PATH,
    image: str | None = IMAGE,
    port: list[str] | None = PORT,
    volume: list[str] | None = VOLUME,
    expose_service: str | None = EXPOSE_SERVICE,
    expose_port: int | None = EXPOSE_PORT,
    stateful: list[str] | None = STATEFUL,
    one_by_one: bool | None = ONE_BY_ONE,
    mend_drift: bool | None = MEND_DRIFT,
    push_images: bool | None = PUSH_IMAGES,
    allow_manifest: bool | None = ALLOW_MANIFEST,
    watch: list[str] | None = WATCH,
    skip_markers: bool | None = SKIP_MARKERS,
    commit_statuses: bool | None = COMMIT_STATUSES,
    forge: str | None = FORGE,
    forge_url: str | None = FORGE_URL,
    migration: str | None = MIGRATION,
    migration_service: str | None = MIGRATION_SERVICE,
    migration_timeout: float | None = MIGRATION_TIMEOUT,
    approval_status: int | None = APPROVAL_STATUS,
    version_port: int | None = VERSION_PORT,
    version_path: str | None = VERSION_PATH,
    version_json: str | None = VERSION_JSON,
    version_service: str | None = VERSION_SERVICE,
    environment: str | None = ENVIRONMENT,
    promoted_from: str | None = PROMOTED_FROM,
    soak: str | None = SOAK,
    window: list[str] | None = WINDOW,
    no_windows: bool | None = NO_WINDOWS,
    minimum_image_age: str | None = MINIMUM_IMAGE_AGE,
    approvals: int | None = APPROVALS,
    approvals_expire_after: str | None = APPROVALS_EXPIRE_AFTER,
    clear: list[str] | None = typer.Option(
        None, "--clear", metavar="OPTION", help="Take a value away; may be repeated."
    ),
) -> None:
    """Change what a project declares; what is not named stays.

    A credential goes where it was stored for: a URL on another host drops it, and says so.
    """
    client = connect(context)
    before = client.get(at("projects", name)) if names_inner_fields(context) else None
    changed = given(context, before)
    for option in clear or ():
        changed[cleared(option)] = None
    if not changed:
        raise typer.BadParameter("nothing to change: name an option, e.g. --branch live")
    answer = client.send("PATCH", at("projects", name), changed)
    show.say(f"changed {name}")
    show.notes(answer)


@project.command(
    "list", epilog=examples("reconciler project list", "reconciler project list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List all projects with their states."""
    answer = connect(context).get_all(at("projects"))
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
            ("environment", environment_of(item)),
            ("hosts", hosts_of(item)),
            ("acted on", show.short(item, "tracked_commit")),
            ("compose file", show.word(item, "compose_path") if show.pick(item, "source") else ""),
            ("exposes", exposed_of(item)),
            ("stateful", show.words(item, "stateful_services")),
            ("migration", migration_of(item)),
            ("version", version_check_of(item)),
            ("built images", "go to their registry" if show.pick(item, "push_images") else ""),
            ("manifest", "counts" if show.pick(item, "allow_manifest") else ""),
            ("watches", watched_of(item)),
            ("windows", windows_of(item)),
            ("images", image_age_of(item)),
            ("approvals", approvals_of(item)),
            ("frozen", show.styled(freeze_of(item), "yellow")),
            ("statuses", statuses_of(item)),
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


def _toggle(client: Client, name: str, *, on: bool) -> None:
    answer = client.send("PATCH", at("projects", name), {"auto_deploy": on})
    show.say(f"auto-deploy of {name} is {'on' if on else 'off'}")
    show.notes(answer)


def _say_refusal(item: JsonObject) -> None:
    if refused := show.word(item, "auto_deploy_refused"):
        show.note(refused)
