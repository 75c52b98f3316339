"""``reconciler host …``: machines to deploy to, and the keys that they are known by."""

from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family
from reconciler.cli.host_keys import FINGERPRINT, HOST, confirm_now, key, put_key, trust
from reconciler.cli.secrets import read_secret

host = new_family("Machines to deploy to over SSH. This one is `local`, and always there.")

_ALIAS = typer.Option(
    None,
    "--alias",
    metavar="ALIAS",
    help="Its name in the SSH configuration of the daemon's user.",
)
_ADDRESS = typer.Option(
    None, "--address", metavar="ADDRESS", help="Instead of an alias: its name or IP address."
)
_USER = typer.Option(None, "--user", metavar="USER", help="With --address: the login there.")
_PORT = typer.Option(
    None, "--port", metavar="PORT", help="With --address: its SSH port.  [default: 22]"
)
_KEY_FILE = typer.Option(
    None,
    "--key-file",
    metavar="FILE",
    help="With --address: OpenSSH private key without a passphrase; - is standard input.",
)


@host.command(
    "add",
    epilog=examples(
        "reconciler host add web1 --alias web1",
        "reconciler host add web2 --address 10.0.0.5 --user deploy \\",
        "    --key-file ~/.ssh/deploy",
        "reconciler host add web3 --alias web3 \\",
        "    --fingerprint SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDuWzcbC1YGm2uMXc4",
    ),
)
def add(
    context: typer.Context,
    name: str = HOST,
    alias: str | None = _ALIAS,
    address: str | None = _ADDRESS,
    user: str | None = _USER,
    port: int | None = _PORT,
    key_file: Path | None = _KEY_FILE,
    fingerprint: str | None = FINGERPRINT,
    yes: bool = YES,
) -> None:
    """Declare a host, and confirm that it is the right machine.

    It shows the fingerprint of the key that the host offers, and asks whether it is the host's
    own. Nothing is sent to a host before that.
    """
    private_key = read_secret("private key", key_file) if key_file else None
    client = connect(context)
    client.send("POST", at("hosts"), {"name": name, **_given(alias, address, user, port)})
    if private_key is not None:
        _put_first_key(client, name, private_key)
    show.say(f"added {name}")
    confirm_now(client, name, fingerprint, yes=yes)


def _put_first_key(client: Client, name: str, key: str) -> None:
    """Store the key of a host that was added just now; without it, it is not added at all."""
    try:
        put_key(client, name, key)
    except CommandFailed as failure:
        client.send("DELETE", at("hosts", name))
        failure.remedy = "; ".join(
            part for part in (failure.remedy, f"{name} was not added") if part
        )
        raise


@host.command("list", epilog=examples("reconciler host list", "reconciler host list --json"))
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the hosts, and how each answered last."""
    answer = connect(context).get_all(at("hosts"))
    if as_json:
        show.as_json(answer)
    else:
        show_hosts(items_of(answer))


def show_hosts(hosts: list[JsonObject]) -> None:
    """Print a table of hosts."""
    show.table(
        ("HOST", "STATE", "SINCE", "ADDRESS", "TROUBLE"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                state_of(item),
                show.ago(item, "health", "since"),
                _address(item),
                _trouble(item),
            )
            for item in hosts
        ),
        empty="no hosts but this one; `reconciler host add --help` shows how",
    )


@host.command("show", epilog=examples("reconciler host show web1"))
def show_(context: typer.Context, name: str = HOST, as_json: bool = AS_JSON) -> None:
    """Show all that is declared and known of a host."""
    _show(connect(context).get(at("hosts", name)), as_json=as_json)


@host.command(
    "set",
    epilog=examples(
        "reconciler host set web2 --address 10.0.0.6", "reconciler host set web2 --user deploy"
    ),
)
def set_(
    context: typer.Context,
    name: str = HOST,
    alias: str | None = _ALIAS,
    address: str | None = _ADDRESS,
    user: str | None = _USER,
    port: int | None = _PORT,
    fingerprint: str | None = FINGERPRINT,
    yes: bool = YES,
) -> None:
    """Change how a host is reached; what is not named stays.

    At another address or port another machine may answer: its key is confirmed anew.
    """
    changed = _given(alias, address, user, port)
    if not changed:
        raise typer.BadParameter("nothing to change: name an option, e.g. --address 10.0.0.6")
    client = connect(context)
    item = client.send("PATCH", at("hosts", name), changed)
    show.say(f"changed {name}")
    if not item.get("confirmed"):
        confirm_now(client, name, fingerprint, yes=yes)


@host.command("remove", epilog=examples("reconciler host remove web1"))
def remove(context: typer.Context, name: str = HOST, yes: bool = YES) -> None:
    """Forget a host and our key for it. What runs there goes on."""
    confirm(f"Remove {name} with our key for it? What runs there goes on.", yes)
    connect(context).send("DELETE", at("hosts", name))
    show.say(f"removed {name}")


@host.command("check", epilog=examples("reconciler host check web1"))
def check(context: typer.Context, name: str = HOST, as_json: bool = AS_JSON) -> None:
    """Connect to a host now, and say how that went. Exit status 69 if it can't be used."""
    client = connect(context)
    with show.busy(f"connecting to {name}"):
        item = client.send("POST", at("hosts", name, "check"))
    _show(item, as_json=as_json)
    if not show.pick(item, "health", "reachable"):
        raise typer.Exit(ExitStatus.UNREACHABLE)


host.command(
    "key",
    epilog=examples(
        "reconciler host key web2 --file ~/.ssh/deploy",
        "pass show web2/key | reconciler host key web2",
    ),
)(key)
host.command(
    "trust",
    epilog=examples(
        "reconciler host trust web1",
        "reconciler host trust web1 \\",
        "    --fingerprint SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDuWzcbC1YGm2uMXc4",
    ),
)(trust)


def state_of(item: JsonObject) -> str:
    """Return how a host stands, in one word."""
    if not item.get("confirmed"):
        return "unconfirmed"
    match show.pick(item, "health", "reachable"):
        case True:
            return "ok"
        case False:
            return show.word(item, "health", "error", "code") or "unreachable"
    return "not checked yet"


def _trouble(item: JsonObject) -> str:
    if not item.get("confirmed"):
        return f"`reconciler host trust {show.word(item, 'name')}` confirms its key"
    return show.word(item, "health", "error", "message")


def _given(
    alias: str | None, address: str | None, user: str | None, port: int | None
) -> dict[str, object]:
    every = {"alias": alias, "address": address, "user": user, "port": port}
    return {name: value for name, value in every.items() if value}


def _address(item: JsonObject) -> str:
    if alias := show.word(item, "alias"):
        return f"alias {alias}"
    user, address, port = (show.word(item, part) for part in ("user", "address", "port"))
    return f"{user}@{address}" if port == "22" else f"{user}@{address} port {port}"


def _show(item: JsonObject, *, as_json: bool) -> None:
    if as_json:
        show.as_json(item)
        return
    show.facts(
        (
            ("host", show.styled(show.word(item, "name"), "bold")),
            ("reached as", _address(item)),
            ("state", state_of(item)),
            ("", show.styled(show.word(item, "health", "error", "message"), "red")),
            ("", show.word(item, "health", "error", "remedy")),
            ("since", show.ago(item, "health", "since")),
            ("checked", show.ago(item, "health", "checked_at")),
            ("known by", show.words(item, "host_keys")),
            ("our key", _our_key(item)),
            ("user there", show.word(item, "facts", "user")),
            ("systemd", show.word(item, "facts", "has_systemd")),
            ("has", show.words(item, "facts", "tools")),
        )
    )


def _our_key(item: JsonObject) -> str:
    fingerprint = show.word(item, "key", "fingerprint")
    return f"{fingerprint}, stored {show.ago(item, 'key', 'stored_at')}" if fingerprint else ""
