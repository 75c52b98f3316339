"""``reconciler webhook …``: ways in for forges and registries, which announce pushes there."""

from pathlib import Path

import typer

from reconciler.cli import deliveries, show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.family import AS_JSON, WEBHOOK, YES, confirm, examples, new_family
from reconciler.cli.secrets import read_secret
from reconciler.cli.webhook_registration import (
    TOKEN_FILE,
    create,
    deregister,
    place_of,
    show_one,
    wakes_of,
)

webhook = new_family("Let forges and registries announce what was pushed.")

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
        "reconciler webhook add mono --provider gitea --apps",
        "reconciler webhook add gl --provider gitlab --secret-file gitlab.secret",
        "reconciler webhook add images --provider harbor --registry hub.example",
    ),
)
def add(
    context: typer.Context,
    name: str = WEBHOOK,
    provider: str = typer.Option(
        ...,
        "--provider",
        metavar="PROVIDER",
        help="gitea, forgejo, gogs, github, gitlab, gitlab-signed, bitbucket-cloud or "
        "bitbucket-server; of registries distribution, harbor, docker-hub, quay or "
        "github-packages.",
        show_default=False,
    ),
    project: str | None = typer.Option(
        None,
        "--project",
        metavar="PROJECT",
        help="Wake only this one.  [default: each that follows what was pushed]",
    ),
    registry: str | None = typer.Option(
        None,
        "--registry",
        metavar="HOST",
        help="Of a registry: its host, as images name it; needed for distribution and harbor.",
    ),
    apps: bool = typer.Option(
        False,
        "--apps",
        help="Of those, wake the projects NAME whose folder apps/NAME/ was changed.",
    ),
    secret_file: Path | None = _SECRET_FILE,
) -> None:
    """Declare a webhook. Its secret is made here and shown once: give it to the forge."""
    body: dict[str, object] = {"name": name, "provider": provider, **_secret_from(secret_file)}
    if project:
        body["project"] = project
    if apps:
        body["matching"] = "apps"
    if registry:
        body["registry"] = registry
    _show_made(context, connect(context).send("POST", at("webhooks"), body))


@webhook.command(
    "list", epilog=examples("reconciler webhook list", "reconciler webhook list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the webhooks, and how much came in through each."""
    answer = connect(context).get_all(at("webhooks"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        (
            *("WEBHOOK", "PROVIDER", "PATH", "WAKES", "VERIFIED", "REFUSED", "LAST", "SECRETS"),
            *("AT THE FORGE", "REMARK"),
        ),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                show.word(item, "provider"),
                show.word(item, "url_path"),
                wakes_of(item),
                show.word(item, "verified"),
                show.word(item, "refused"),
                _last(item),
                _secrets(item),
                show.word(item, "registration", "repository"),
                show.word(item, "announced", "remark"),
            )
            for item in items_of(answer)
        ),
        empty="no webhooks; `reconciler webhook add --help` shows how",
    )


webhook.command(
    "create",
    epilog=examples(
        "reconciler webhook create shop --token-file forge.token",
        "reconciler webhook create shop --provider gitea --url https://deploy.example",
        "pass show github/hooks | reconciler webhook create blog",
        "reconciler webhook create shop --provider gitea --forge-url http://10.0.0.5",
    ),
)(create)
webhook.command("show", epilog=examples("reconciler webhook show shop"))(show_one)


@webhook.command(
    "remove",
    epilog=examples(
        "reconciler webhook remove forgejo",
        "reconciler webhook remove shop --forge --token-file forge.token",
    ),
)
def remove(
    context: typer.Context,
    name: str = WEBHOOK,
    forge: bool = typer.Option(
        False, "--forge", help="Remove it at its forge first, with an access token of the forge."
    ),
    token_file: Path | None = TOKEN_FILE,
    yes: bool = YES,
) -> None:
    """Remove a webhook with its deliveries. Projects are polled as before."""
    confirm(f"Remove the webhook {name} with its deliveries?", yes)
    client = connect(context)
    known = client.get(at("webhooks", name))
    if forge:
        deregister(client, name, token_file)
    client.send("DELETE", at("webhooks", name))
    show.say(f"removed {name}")
    if not forge and (place := place_of(known)):
        show.note(f"the forge still has it, {place}: remove it there, too")


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
    name: str = WEBHOOK,
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


webhook.command(
    "deliveries",
    epilog=examples(
        "reconciler webhook deliveries",
        "reconciler webhook deliveries --project shop",
        "reconciler webhook deliveries forgejo --limit 200 --json",
    ),
)(deliveries.deliveries)
webhook.command(
    "redeliver",
    epilog=examples(
        "reconciler webhook redeliver forgejo 17",
        "reconciler webhook redeliver forgejo 17 --json",
    ),
)(deliveries.redeliver)


@webhook.command(
    "test",
    epilog=examples(
        "reconciler webhook test forgejo", "reconciler webhook test forgejo --project shop"
    ),
)
def try_(
    context: typer.Context,
    name: str = WEBHOOK,
    project: str | None = typer.Option(
        None, "--project", metavar="PROJECT", help="Pretend a push to what this one follows."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Send a webhook a signed push, as its forge or registry would.

    Whether that reaches the daemon it can't tell: the forge's own test button does.
    """
    body = {"project": project} if project else {}
    answer = connect(context).send("POST", at("webhooks", name, "test"), body)
    if as_json:
        show.as_json(answer)
        return
    pushed = f"{show.word(answer, 'branch')} to {show.word(answer, 'repository')}"
    show.say(f"a push of {pushed} was verified")
    if wakes := show.words(answer, "wakes"):
        show.say(f"it has these looked at: {wakes}")
    else:
        show.say("no project follows that, so that nothing is looked at", "yellow")
    show.note(f"`reconciler webhook deliveries {name}` says what it led to")


def _secret_from(file: Path | None) -> dict[str, object]:
    return {"secret": read_secret("secret", file)} if file else {}


def _show_made(context: typer.Context, made: JsonObject) -> None:
    name, provider = (show.word(made, "webhook", one) for one in ("name", "provider"))
    path = show.word(made, "webhook", "url_path")
    daemon = (context.find_root().obj or "http://DAEMON:8484").rstrip("/")
    show.facts(
        (
            ("webhook", name),
            ("provider", provider),
            ("images of", show.word(made, "webhook", "registry")),
            ("target URL", show.word(made, "url") or f"{daemon}{path}"),
            _to_be_set(provider, path),
        )
    )
    if secret := show.word(made, "secret"):
        show.note(f"secret of {name}, shown this once:")
        show.say(secret)


def _to_be_set(provider: str, path: str) -> tuple[str, str]:
    """Return what has to be set besides the address, where the other side has a choice."""
    if path.endswith("/KEY"):
        return "KEY", "the secret; whoever sees the address can announce pushes"
    if provider in {"distribution", "harbor"}:
        return "header", "Authorization: Bearer SECRET"
    return "content type", "application/json"


def _last(item: JsonObject) -> str:
    came = show.ago(item, "last_at")
    verdict = show.word(item, "last_verdict")
    return came if verdict in {"", "verified"} else f"{came}, {verdict}"


def _secrets(item: JsonObject) -> str:
    if show.word(item, "previous_fingerprint"):
        return f"two, since {show.ago(item, 'rotated_at')}"
    return ""
