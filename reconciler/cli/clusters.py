"""``reconciler cluster …``: Kubernetes clusters to deploy to."""

import sys
from pathlib import Path

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family
from reconciler.cli.secrets import read_secret

cluster = new_family("Kubernetes clusters to deploy to. Targets name them as they name hosts.")

CLUSTER = typer.Argument(..., metavar="CLUSTER", help="Name of the cluster.", show_default=False)
_CONTEXT = typer.Option(
    None,
    "--context",
    metavar="CONTEXT",
    help="Of its kubeconfig.  [default: the current one]",
)
_FILE = typer.Option(
    None, "--file", metavar="FILE", help="Read the kubeconfig from a file; - is standard input."
)


@cluster.command(
    "add",
    epilog=examples(
        "reconciler cluster add prod --file prod.kubeconfig",
        "reconciler cluster add here --in-cluster",
    ),
)
def add(
    context: typer.Context,
    name: str = CLUSTER,
    of_kubeconfig: str | None = _CONTEXT,
    in_cluster: bool = typer.Option(
        False, "--in-cluster", help="The daemon runs in it, and enters by its service account."
    ),
    file: Path | None = _FILE,
) -> None:
    """Declare a cluster, and store its kubeconfig.

    The kubeconfig has all that it needs in it: it may name no files and no programs.
    """
    kubeconfig = read_secret("kubeconfig", file) if file else None
    client = connect(context)
    body = {"name": name, "context": of_kubeconfig, "in_cluster": in_cluster}
    client.send("POST", at("clusters"), body)
    if kubeconfig is not None:
        _put_first_kubeconfig(client, name, kubeconfig)
    show.say(f"added {name}")
    if kubeconfig is None and not in_cluster:
        show.note(f"`reconciler cluster kubeconfig {name}` stores what it is entered with")


def _put_first_kubeconfig(client: Client, name: str, kubeconfig: str) -> None:
    """Store that of a cluster that was added just now; without it, it is not added at all."""
    try:
        _put_kubeconfig(client, name, kubeconfig)
    except CommandFailed as failure:
        client.send("DELETE", at("clusters", name))
        failure.remedy = "; ".join(
            part for part in (failure.remedy, f"{name} was not added") if part
        )
        raise


@cluster.command(
    "list", epilog=examples("reconciler cluster list", "reconciler cluster list --json")
)
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the clusters, and how each answered last."""
    answer = connect(context).get_all(at("clusters"))
    if as_json:
        show.as_json(answer)
    else:
        show_clusters(items_of(answer))


def show_clusters(clusters: list[JsonObject]) -> None:
    """Print a table of clusters."""
    show.table(
        ("CLUSTER", "STATE", "SINCE", "VERSION", "TROUBLE"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                state_of(item),
                show.ago(item, "health", "since"),
                show.word(item, "version"),
                _trouble(item),
            )
            for item in clusters
        ),
        empty="no clusters; `reconciler cluster add --help` shows how",
    )


@cluster.command("show", epilog=examples("reconciler cluster show prod"))
def show_(context: typer.Context, name: str = CLUSTER, as_json: bool = AS_JSON) -> None:
    """Show all that is declared and known of a cluster."""
    _show(connect(context).get(at("clusters", name)), as_json=as_json)


@cluster.command("set", epilog=examples("reconciler cluster set prod --context prod-deploy"))
def set_(context: typer.Context, name: str = CLUSTER, of_kubeconfig: str = _CONTEXT) -> None:
    """Change which context is used.

    An empty one is the current one of its kubeconfig.
    """
    if of_kubeconfig is None:
        raise typer.BadParameter("nothing to change: name an option, e.g. --context prod-deploy")
    connect(context).send("PATCH", at("clusters", name), {"context": of_kubeconfig or None})
    show.say(f"changed {name}")


@cluster.command("remove", epilog=examples("reconciler cluster remove prod"))
def remove(context: typer.Context, name: str = CLUSTER, yes: bool = YES) -> None:
    """Forget a cluster and its kubeconfig. What runs there goes on."""
    confirm(f"Remove {name} with its kubeconfig? What runs there goes on.", yes)
    connect(context).send("DELETE", at("clusters", name))
    show.say(f"removed {name}")


@cluster.command(
    "kubeconfig",
    epilog=examples(
        "reconciler cluster kubeconfig prod --file prod.kubeconfig",
        "pass show prod/kubeconfig | reconciler cluster kubeconfig prod",
    ),
)
def kubeconfig(context: typer.Context, name: str = CLUSTER, file: Path | None = _FILE) -> None:
    """Store or replace a cluster's kubeconfig.

    It is never shown again. `kubectl config view --minify --flatten --raw` prints one that has all
    that it needs in it.
    """
    if file is None and sys.stdin.isatty():
        raise typer.BadParameter("name its file: --file prod.kubeconfig")
    _put_kubeconfig(connect(context), name, read_secret("kubeconfig", file))


@cluster.command(
    "check",
    epilog=examples("reconciler cluster check prod", "reconciler cluster check prod -n shop"),
)
def check(
    context: typer.Context,
    name: str = CLUSTER,
    namespace: str | None = typer.Option(
        None,
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="What we may do there.  [default: where projects are deployed to]",
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Ask a cluster now what we may do, and say how that went.

    Exit status 69 if it can't be used.
    """
    client = connect(context)
    with show.busy(f"asking {name}"):
        item = client.send("POST", at("clusters", name, "check"), {"namespace": namespace})
    _show(item, as_json=as_json)
    if not show.pick(item, "health", "reachable"):
        raise typer.Exit(ExitStatus.UNREACHABLE)


def state_of(item: JsonObject) -> str:
    """Return how a cluster stands, in one word."""
    match show.pick(item, "health", "reachable"):
        case True:
            return "ok"
        case False:
            return show.word(item, "health", "error", "code") or "unreachable"
    return "not checked yet" if _has_entrance(item) else "no kubeconfig"


def _trouble(item: JsonObject) -> str:
    if not _has_entrance(item):
        return f"`reconciler cluster kubeconfig {show.word(item, 'name')}` stores one"
    return show.word(item, "health", "error", "message")


def _has_entrance(item: JsonObject) -> bool:
    return bool(item.get("in_cluster") or item.get("kubeconfig"))


def _put_kubeconfig(client: Client, name: str, kubeconfig: str) -> None:
    stored = client.send("PUT", at("clusters", name, "kubeconfig"), {"value": kubeconfig})
    show.say(f"stored the kubeconfig of {name} ({show.word(stored, 'kubeconfig', 'fingerprint')})")


def _show(item: JsonObject, *, as_json: bool) -> None:
    if as_json:
        show.as_json(item)
        return
    show.facts(
        (
            ("cluster", show.styled(show.word(item, "name"), "bold")),
            ("entered by", _entrance(item)),
            ("state", state_of(item)),
            ("", show.styled(show.word(item, "health", "error", "message"), "red")),
            ("", show.word(item, "health", "error", "remedy")),
            ("since", show.ago(item, "health", "since")),
            ("checked", show.ago(item, "health", "checked_at")),
            ("version", show.word(item, "version")),
        )
    )


def _entrance(item: JsonObject) -> str:
    if item.get("in_cluster"):
        return "the daemon's own service account"
    if not item.get("kubeconfig"):
        return "nothing yet"
    context = show.word(item, "context")
    fingerprint = show.word(item, "kubeconfig", "fingerprint")
    which = f"context {context} of " if context else ""
    return f"{which}kubeconfig {fingerprint}, stored {show.ago(item, 'kubeconfig', 'stored_at')}"
