"""``reconciler webhook create``: a project's webhook, made at its forge and tried at once."""

import time
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, PROJECT
from reconciler.cli.secrets import read_secret

TOKEN_FILE = typer.Option(
    None,
    "--token-file",
    metavar="FILE",
    help="The file that has the forge's access token; - is standard input.  [default: asked for]",
)
_NAME = typer.Argument(..., metavar="WEBHOOK", help="Name of the webhook.", show_default=False)
#: What the forge and the daemon may take for one registration and one test.
_REGISTER_SECONDS = 45
_WAIT_SECONDS = 15
#: The same where the forge says that it could not send: what it sent before that is there already.
_WAIT_AFTER_FAILURE_SECONDS = 2.0
#: Anybody may send what is refused: the forge's own comes, too, within this.
_WAIT_FOR_BETTER_SECONDS = 2.0
_BETWEEN_LOOKS_SECONDS = 0.25


def create(
    context: typer.Context,
    project: str = PROJECT,
    name: str | None = typer.Option(
        None, "--name", metavar="WEBHOOK", help="Name of the webhook.  [default: the project's]"
    ),
    provider: str | None = typer.Option(
        None,
        "--provider",
        metavar="PROVIDER",
        help="gitea, forgejo, gogs, github or gitlab.  [default: as github.com, gitlab.com tell]",
    ),
    url: str | None = typer.Option(
        None,
        "--url",
        metavar="URL",
        help="By which the forge reaches the daemon.  [default: public_url]",
    ),
    forge_url: str | None = typer.Option(
        None,
        "--forge-url",
        metavar="URL",
        help="Address of the forge.  [default: that of the project's source, over https]",
    ),
    token_file: Path | None = TOKEN_FILE,
    no_test: bool = typer.Option(False, "--no-test", help="Do not have the forge send a test."),
    timeout: int = typer.Option(
        _WAIT_SECONDS, "--timeout", metavar="SECONDS", min=1, help="How long to wait for the test."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Make a project's webhook, here and at its forge, and try it.

    The forge sends its own test; whether that arrives is how this ends. Asked again, it mends what
    is amiss and makes no second webhook.

    The forge's access token is used for this alone and kept nowhere. It needs, for GitHub,
    admin:repo_hook or, fine-grained, "Webhooks: read and write"; for Gitea and Forgejo
    write:repository; for GitLab api and the role Maintainer.
    """
    client = connect(context)
    given = {"name": name, "provider": provider, "url": url, "forge_url": forge_url}
    body: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    body |= {"token": read_secret("access token", token_file).strip(), "test": not no_test}
    with show.busy("registering at the forge"):
        path = at("projects", project, "webhook")
        made = client.send("POST", path, body, seconds=_REGISTER_SECONDS)
    if not as_json:
        _show_made(made)
    came = _wait_for_delivery(client, made, timeout)
    if as_json:
        show.as_json({**made, "delivery": came})
    _judge(made, came, quiet=as_json)


def show_one(context: typer.Context, name: str = _NAME, as_json: bool = AS_JSON) -> None:
    """Show a webhook, and where it was registered."""
    item = connect(context).get(at("webhooks", name))
    if as_json:
        show.as_json(item)
        return
    show.facts(
        (
            ("webhook", show.word(item, "name")),
            ("provider", show.word(item, "provider")),
            ("path", show.word(item, "url_path")),
            ("images of", show.word(item, "registry")),
            ("wakes", wakes_of(item)),
            ("secret", show.word(item, "fingerprint")),
            ("at the forge", place_of(item)),
            ("sends to", show.word(item, "registration", "url")),
            ("registered", show.ago(item, "registration", "at")),
            ("verified", show.word(item, "verified")),
            ("refused", show.word(item, "refused")),
            ("last", f"{show.ago(item, 'last_at')}  {show.word(item, 'last_verdict')}".strip()),
            ("remark", show.styled(show.word(item, "announced", "remark"), "yellow")),
        )
    )


def deregister(client: Client, name: str, token_file: Path | None) -> None:
    """Remove a webhook at its forge."""
    token = read_secret("access token", token_file).strip()
    with show.busy("removing it at the forge"):
        client.send("POST", at("webhooks", name, "deregister"), {"token": token})
    show.say(f"removed {name} at its forge")


def wakes_of(webhook: JsonObject) -> str:
    """Return whom a webhook wakes, in a word or two."""
    apps = show.word(webhook, "matching") == "apps"
    return show.word(webhook, "project") or ("followers, by app" if apps else "followers")


def place_of(webhook: JsonObject) -> str:
    """Return at which forge a webhook was registered from here, in words; empty for none."""
    hook = show.word(webhook, "registration", "hook")
    repository = show.word(webhook, "registration", "repository")
    api = show.word(webhook, "registration", "api")
    return f"webhook {hook} of {repository} at {api}" if hook else ""


def _show_made(made: JsonObject) -> None:
    webhook = show.pick(made, "webhook")
    assert isinstance(webhook, dict)  # noqa: S101  the API's own form
    done = "made" if show.pick(made, "created") else "brought up to date"
    show.facts(
        (
            ("webhook", show.word(webhook, "name")),
            ("at the forge", f"{place_of(webhook)}, {done}"),
            ("sends to", show.word(webhook, "registration", "url")),
        )
    )
    for remark in show.listed(made, "remarks"):
        show.say(remark, "yellow")


def _wait_for_delivery(client: Client, made: JsonObject, timeout: float) -> JsonObject | None:
    """Return what the forge's test brought; None where nothing came, or none was sent."""
    tested = show.word(made, "tested")
    if tested not in {"sent", "failed"}:
        return None
    patience = timeout if tested == "sent" else min(timeout, _WAIT_AFTER_FAILURE_SECONDS)
    ends, refused = time.monotonic() + patience, None
    with show.busy(f"waiting up to {patience:.0f} s for the forge's test"):
        while time.monotonic() < ends:
            came = _newest_after(client, made)
            if came is not None and came.get("verified"):
                return came
            if came is not None and refused is None:
                ends = min(ends, time.monotonic() + _WAIT_FOR_BETTER_SECONDS)
            refused = came or refused
            time.sleep(_BETWEEN_LOOKS_SECONDS)
    return refused


def _newest_after(client: Client, made: JsonObject) -> JsonObject | None:
    """Return the newest delivery since the registration, one that was verified before others."""
    path = at("webhooks", show.word(made, "webhook", "name"), "deliveries")
    after = _number(made, "after")
    items = items_of(client.get(path, limit=50))
    fresh = [one for one in items if _number(one, "number") > after]
    return next((one for one in fresh if one.get("verified")), fresh[0] if fresh else None)


def _judge(made: JsonObject, came: JsonObject | None, *, quiet: bool) -> None:
    """Say whether the way from the forge to the daemon is open.

    Raises:
        CommandFailed: it is not.
    """
    tested = show.word(made, "tested")
    if came is not None and came.get("verified"):
        if not quiet:
            show.say(f"its test arrived from {show.word(came, 'remote')}, and is verified", "green")
        return
    if came is not None:
        verdict = show.word(came, "verdict")
        remedy = "run this again, which gives the forge the secret; then look at the provider"
        raise CommandFailed(f"its test arrived, and was refused: {verdict}", remedy)
    if tested in {"sent", "failed"}:
        raise _silence(made)
    if not quiet and (problem := show.word(made, "test_problem")):
        show.note(problem)


def _silence(made: JsonObject) -> CommandFailed:
    problem = show.word(made, "test_problem")
    failure = CommandFailed(
        f"the webhook is registered, and the forge could not send its test: {problem}"
        if problem
        else "the webhook is registered, and the forge's test did not arrive in time",
        "the forge's own list of deliveries says more",
        ExitStatus.UNREACHABLE,
    )
    for reason in show.listed(made, "if_silent"):
        show.note(f"perhaps {reason}")
    return failure


def _number(value: JsonObject, name: str) -> int:
    found = value.get(name)
    return found if isinstance(found, int) else 0
