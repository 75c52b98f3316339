"""``reconciler target …``: on which hosts a project runs, and how."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, PROJECT, YES, confirm, examples, new_family
from reconciler.cli.target_options import (
    BASE,
    BINARY,
    BRANCH,
    BUILD,
    COMPOSE_FILE,
    CONFIRM_WITHIN,
    ENV,
    FILE,
    FOLDER,
    HEALTH,
    HEALTH_PATH,
    HOST,
    IMAGE,
    IMAGE_FOLDER,
    NAMESPACE,
    PORT,
    READY,
    READY_PATH,
    SOURCE_FOLDER,
    STRATEGY,
    USER,
    WORKLOAD,
    cleared,
    given,
)

target = new_family(
    "On which hosts a project runs, and how. Without one it runs in containers here."
)


@target.command(
    "add",
    epilog=examples(
        "reconciler target add shop web1",
        'reconciler target add api web1 --build "make release" --binary bin/api \\',
        "    --user api --port 8080 --health-path /healthz --env LOG_LEVEL=info",
        "reconciler target add api web2 --strategy systemd-remote --binary bin/api \\",
        '    --health \'{"kind": "tcp", "port": 8080}\' --confirm-within 120',
        "reconciler target add live prod --strategy kubernetes --namespace shop \\",
        "    --workload deployment/web:app=registry.example/shop:main",
    ),
)
def add(
    context: typer.Context,
    project: str = PROJECT,
    host: str = HOST,
    strategy: str | None = STRATEGY,
    folder: str | None = FOLDER,
    source_folder: str | None = SOURCE_FOLDER,
    build: str | None = BUILD,
    binary: str | None = BINARY,
    file: list[str] | None = FILE,
    user: str | None = USER,
    port: int | None = PORT,
    health_path: str | None = HEALTH_PATH,
    health: str | None = HEALTH,
    ready_path: str | None = READY_PATH,
    ready: str | None = READY,
    env: list[str] | None = ENV,
    compose_file: list[str] | None = COMPOSE_FILE,
    base: str | None = BASE,
    confirm_within: float | None = CONFIRM_WITHIN,
    branch: str | None = BRANCH,
    image: str | None = IMAGE,
    image_folder: str | None = IMAGE_FOLDER,
    namespace: str | None = NAMESPACE,
    workload: list[str] | None = WORKLOAD,
) -> None:
    """Have a project deployed to one more host."""
    body = {"host": host, **given(context)}
    answer = connect(context).send("POST", at("projects", project, "targets"), body)
    show.say(f"{project} is deployed to {host} from now on")
    show.notes(answer)
    show.note(f"`reconciler setup {project} --host {host}` makes a fresh host ready for it")


@target.command(
    "list", epilog=examples("reconciler target list", "reconciler target list shop --json")
)
def list_(
    context: typer.Context,
    project: str | None = typer.Argument(
        None, metavar="PROJECT", help="Of one project only.", show_default=False
    ),
    as_json: bool = AS_JSON,
) -> None:
    """List the targets, with how each one runs."""
    path = at("projects", project, "targets") if project else at("targets")
    answer = connect(context).get_all(path)
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("PROJECT", "HOST", "STRATEGY", "FOLDER", "RUNS", "HEALTH"),
        (
            (
                show.styled(show.word(item, "project"), "bold"),
                show.word(item, "host"),
                show.word(item, "strategy"),
                show.word(item, "folder") or _namespace_of(item),
                show.word(item, "binary")
                or show.words(item, "compose_files")
                or ", ".join(workloads_of(item)),
                check_of(item, "health"),
            )
            for item in items_of(answer)
        ),
        empty="no targets; `reconciler target add --help` shows how",
    )


@target.command("show", epilog=examples("reconciler target show api web1"))
def show_(
    context: typer.Context, project: str = PROJECT, host: str = HOST, as_json: bool = AS_JSON
) -> None:
    """Show all that is declared of a target."""
    item = connect(context).get(at("projects", project, "targets", host))
    if as_json:
        show.as_json(item)
        return
    implied = "" if item.get("declared") else "(implied: nobody declared a target)"
    show.facts(
        (
            ("project", show.styled(show.word(item, "project"), "bold")),
            ("host", show.word(item, "host")),
            ("", implied),
            ("strategy", show.word(item, "strategy")),
            ("unit", show.word(item, "unit")),
            ("folder", show.word(item, "folder")),
            ("source folder", show.word(item, "source_folder")),
            ("image", show.word(item, "image")),
            ("folder in it", show.word(item, "image_folder")),
            ("namespace", show.word(item, "namespace")),
            *(("sets", f"{one} {pairs}") for one, pairs in workloads_of(item).items()),
            ("build", " ".join(show.listed(item, "build"))),
            ("binary", show.word(item, "binary")),
            ("files", show.words(item, "files")),
            ("user", show.word(item, "user")),
            ("port", show.word(item, "port")),
            ("environment", _environment_of(item)),
            ("compose files", show.words(item, "compose_files")),
            ("base", show.word(item, "base")),
            ("health", check_of(item, "health")),
            ("ready", check_of(item, "ready")),
            ("confirm within", _seconds(item, "confirm_within_seconds")),
        )
    )


@target.command(
    "set",
    epilog=examples(
        "reconciler target set api web1 --port 9090 --env LOG_LEVEL=debug",
        "reconciler target set api web1 --clear health --clear user",
    ),
)
def set_(
    context: typer.Context,
    project: str = PROJECT,
    host: str = HOST,
    strategy: str | None = STRATEGY,
    folder: str | None = FOLDER,
    source_folder: str | None = SOURCE_FOLDER,
    build: str | None = BUILD,
    binary: str | None = BINARY,
    file: list[str] | None = FILE,
    user: str | None = USER,
    port: int | None = PORT,
    health_path: str | None = HEALTH_PATH,
    health: str | None = HEALTH,
    ready_path: str | None = READY_PATH,
    ready: str | None = READY,
    env: list[str] | None = ENV,
    compose_file: list[str] | None = COMPOSE_FILE,
    base: str | None = BASE,
    confirm_within: float | None = CONFIRM_WITHIN,
    branch: str | None = BRANCH,
    image: str | None = IMAGE,
    image_folder: str | None = IMAGE_FOLDER,
    namespace: str | None = NAMESPACE,
    workload: list[str] | None = WORKLOAD,
    clear: list[str] | None = typer.Option(
        None, "--clear", metavar="OPTION", help="Take a value away; may be repeated."
    ),
) -> None:
    """Change a target; what is not named stays. --env changes the variables that it names.

    The next deployment applies it.
    """
    changed = {**given(context), **{cleared(option): None for option in clear or ()}}
    if not changed:
        raise typer.BadParameter("nothing to change: name an option, e.g. --port 9090")
    client, path = connect(context), at("projects", project, "targets", host)
    if isinstance(named := changed.get("environment"), dict):
        known = show.pick(client.get(path), "environment")
        changed["environment"] = {**(known if isinstance(known, dict) else {}), **named}
    answer = client.send("PATCH", path, changed)
    show.say(f"changed {project} on {host}")
    show.notes(answer)


@target.command("remove", epilog=examples("reconciler target remove api web1"))
def remove(
    context: typer.Context, project: str = PROJECT, host: str = HOST, yes: bool = YES
) -> None:
    """Deploy a project to a host no more. What runs there goes on."""
    confirm(f"Deploy {project} to {host} no more? What runs there goes on.", yes)
    connect(context).send("DELETE", at("projects", project, "targets", host))
    show.say(f"{project} is not deployed to {host} any more; what runs there was left as it is")


def check_of(item: JsonObject, name: str) -> str:
    """Return the check ``health`` or ``ready`` in a few words."""
    check = show.pick(item, name)
    if not check:
        return ""
    kind, port = show.word(check, "kind"), show.word(check, "port")
    what = " ".join(show.listed(check, "command")) or f"{port}{show.word(check, 'path')}"
    where = "" if show.word(check, "origin") in {"", "host"} else ", from the daemon"
    return f"{kind} {what}{where}"


def workloads_of(item: JsonObject) -> dict[str, str]:
    """Return each workload of a target, with the images of its containers."""
    found = show.pick(item, "workloads")
    return {
        f"{show.word(one, 'kind')}/{show.word(one, 'name')}": _pairs(show.pick(one, "containers"))
        for one in (found if isinstance(found, list) else ())
    }


def _namespace_of(item: JsonObject) -> str:
    name = show.word(item, "namespace")
    return f"namespace {name}" if name else ""


def _environment_of(item: JsonObject) -> str:
    return _pairs(show.pick(item, "environment"))


def _pairs(found: object) -> str:
    pairs = found.items() if isinstance(found, dict) else ()
    return ", ".join(f"{name}={show.word(value)}" for name, value in pairs)


def _seconds(item: JsonObject, name: str) -> str:
    found = show.pick(item, name)
    return f"{found:g} s" if isinstance(found, int | float) else ""
