"""``reconciler webhook …``: ways in for forges, which announce pushes there."""

from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, LIMIT, YES, confirm, examples, new_family
from reconciler.cli.secrets import read_secret

webhook = new_family("Let forges announce pushes, so that they deploy at once.")

_NAME = typer.Argument(..., metavar="WEBHOOK", help="Name of the webhook.", show_default=False)
_SECRET_FILE = typer.Option(
    None,
    "--secret-file",
    metavar="FILE",
    help="Where the forge makes the secret: the file that has it; - is standard input.",
)


@webhook.command(
    "add",
    epilog=examples(
        "reconciler webhook add forgejo --provider forgejo",
        "reconciler webhook add push --provider gitea --project shop",
        "reconciler webhook add gl --provider gitlab --secret-file gitlab.secret",
    ),
)
def add(
    context: typer.Context,
    name: str = _NAME,
    provider: str = typer.Option(
        ...,
        "--provider",
        metavar="PROVIDER",
        help="gitea, forgejo, gogs, github, gitlab, gitlab-signed, bitbucket-cloud or "
        "bitbucket-server.",
        show_default=False,
    ),
    project: str | None = typer.Option(
        None,
        "--project",
        metavar="PROJECT",
        help="Wake only this one.  [default: each that follows the repository pushed to]",
    ),
    secret_file: Path | None = _SECRET_FILE,
) -> None:
    """Declare a webhook. Its secret is made here and shown once: give it to the forge."""
    body: dict[str, object] = {"name": name, "provider": provider, **_secret_from(secret_file)}
    if project:
        body["project"] = project
    _show_made(context, connect(context).send("POST", at("webhooks"), body))


@webhook.command(
    "list", epilog=examples("reconciler webhook list", "reconciler webhook list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the webhooks, and how much came in through each."""
    answer = connect(context).get(at("webhooks"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("WEBHOOK", "PROVIDER", "PATH", "WAKES", "VERIFIED", "REFUSED", "LAST", "SECRETS"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                show.word(item, "provider"),
                show.word(item, "url_path"),
                show.word(item, "project") or "followers",
                show.word(item, "verified"),
                show.word(item, "refused"),
                _last(item),
                _secrets(item),
            )
            for item in items_of(answer)
        ),
        empty="no webhooks; `reconciler webhook add --help` shows how",
    )


@webhook.command("remove", epilog=examples("reconciler webhook remove forgejo"))
def remove(context: typer.Context, name: str = _NAME, yes: bool = YES) -> None:
    """Remove a webhook with its deliveries. Projects are polled as before."""
    confirm(f"Remove the webhook {name} with its deliveries?", yes)
    connect(context).send("DELETE", at("webhooks", name))
    show.say(f"removed {name}")


@webhook.command(
    "rotate",
    epilog=examples(
        "reconciler webhook rotate forgejo",
        "reconciler webhook rotate forgejo --finish",
        "reconciler webhook rotate forgejo --at-once",
    ),
)
def rotate(
    context: typer.Context,
    name: str = _NAME,
    secret_file: Path | None = _SECRET_FILE,
    at_once: bool = typer.Option(
        False, "--at-once", help="Refuse the previous secret from now on, e.g. after a leak."
    ),
    finish: bool = typer.Option(
        False, "--finish", help="Make no new secret; refuse the previous one from now on."
    ),
) -> None:
    """Give a webhook a new secret, shown once. The previous one is taken until `--finish`."""
    if finish and (at_once or secret_file):
        raise typer.BadParameter("--finish makes no new secret; leave the other options out")
    client = connect(context)
    if finish:
        client.send("DELETE", at("webhooks", name, "previous-secret"))
        show.say(f"{name} takes its present secret alone")
        return
    body = {"keep_previous": not at_once, **_secret_from(secret_file)}
    _show_made(context, client.send("POST", at("webhooks", name, "rotate"), body))
    if not at_once:
        show.note(
            f"the previous secret is taken, too, until `reconciler webhook rotate {name} --finish`"
        )


@webhook.command(
    "deliveries",
    epilog=examples(
        "reconciler webhook deliveries forgejo",
        "reconciler webhook deliveries forgejo --limit 200 --json",
    ),
)
def deliveries(
    context: typer.Context, name: str = _NAME, limit: int = LIMIT, as_json: bool = AS_JSON
) -> None:
    """List what came in, and what it led to or why it was refused."""
    answer = connect(context).get(at("webhooks", name, "deliveries"), limit=min(limit, 250))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("NUMBER", "CAME", "FROM", "EVENT", "VERDICT", "LED TO"),
        (
            (
                show.word(item, "number"),
                show.ago(item, "at"),
                show.word(item, "remote"),
                show.word(item, "event"),
                show.word(item, "verdict"),
                _led_to(item),
            )
            for item in items_of(answer)
        ),
        empty="nothing came yet",
    )


@webhook.command(
    "test",
    epilog=examples(
        "reconciler webhook test forgejo", "reconciler webhook test forgejo --project shop"
    ),
)
def try_(
    context: typer.Context,
    name: str = _NAME,
    project: str | None = typer.Option(
        None, "--project", metavar="PROJECT", help="Pretend a push to what this one follows."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Send a webhook a signed push, as its forge would.

    Whether the forge reaches the daemon it can't tell: the forge's own test button does.
    """
    body = {"project": project} if project else {}
    answer = connect(context).send("POST", at("webhooks", name, "test"), body)
    if as_json:
        show.as_json(answer)
        return
    pushed = f"{show.word(answer, 'branch')} of {show.word(answer, 'repository')}"
    show.say(f"a push to {pushed} was verified")
    if wakes := show.words(answer, "wakes"):
        show.say(f"it has these looked at: {wakes}")
    else:
        show.say("no project follows that, so that nothing is looked at", "yellow")
    show.note(f"`reconciler webhook deliveries {name}` says what it led to")


def _secret_from(file: Path | None) -> dict[str, object]:
    return {"secret": read_secret("secret", file)} if file else {}


def _show_made(context: typer.Context, made: JsonObject) -> None:
    name = show.word(made, "webhook", "name")
    path = show.word(made, "webhook", "url_path")
    url = context.find_root().obj
    show.facts(
        (
            ("webhook", name),
            ("provider", show.word(made, "webhook", "provider")),
            ("target URL", f"{url.rstrip('/') if url else 'http://DAEMON:8484'}{path}"),
            ("content type", "application/json"),
        )
    )
    if secret := show.word(made, "secret"):
        show.note(f"secret of {name}, shown this once:")
        show.say(secret)


def _last(item: JsonObject) -> str:
    came = show.ago(item, "last_at")
    verdict = show.word(item, "last_verdict")
    return came if verdict in {"", "verified"} else f"{came}, {verdict}"


def _secrets(item: JsonObject) -> str:
    if show.word(item, "previous_fingerprint"):
        return f"two, since {show.ago(item, 'rotated_at')}"
    return "one"


def _led_to(item: JsonObject) -> str:
    led_to = show.pick(item, "led_to")
    projects = led_to if isinstance(led_to, dict) else {}
    told = "; ".join(f"{name}: {show.word(projects, name)}" for name in projects)
    again = "sent again: " if show.pick(item, "duplicate") is True else ""
    return f"{again}{told or show.word(item, 'note')}"
