"""``reconciler repo …``: repositories that the daemon hosts."""

import typer

from reconciler.cli import show
from reconciler.cli.client import at, connect, items_of
from reconciler.cli.family import AS_JSON, YES, confirm, examples, new_family

repo = new_family("Host git repositories to push to.")

_NAME = typer.Argument(
    ..., metavar="REPOSITORY", help="Name of the repository.", show_default=False
)


@repo.command("create", epilog=examples("reconciler repo create shop"))
def create(context: typer.Context, name: str = _NAME) -> None:
    """Make an empty repository."""
    client = connect(context)
    client.send("POST", at("repositories"), {"name": name})
    show.say(f"created {name}")
    show.note(f"`reconciler repo token {name}` makes a token to push with")


@repo.command("list", epilog=examples("reconciler repo list"))
def list_(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the repositories with their branches."""
    answer = connect(context).get_all(at("repositories"))
    if as_json:
        show.as_json(answer)
        return
    show.table(
        ("REPOSITORY", "PATH", "BRANCHES"),
        (
            (show.word(item, "name"), show.word(item, "url_path"), _branches(item.get("branches")))
            for item in items_of(answer)
        ),
        empty="no repositories; `reconciler repo create NAME` makes one",
    )


@repo.command("remove", epilog=examples("reconciler repo remove shop"))
def remove(context: typer.Context, name: str = _NAME, yes: bool = YES) -> None:
    """Delete a repository with all its commits. One that a project follows is kept."""
    confirm(f"Delete the repository {name} with all its commits?", yes)
    connect(context).send("DELETE", at("repositories", name))
    show.say(f"removed {name}")


@repo.command(
    "token",
    epilog=examples(
        "reconciler repo token shop --name laptop",
        "git push http://git@127.0.0.1:8484/git/shop.git main  # password: the token",
    ),
)
def token(
    context: typer.Context,
    name: str = _NAME,
    token_name: str | None = typer.Option(
        None, "--name", metavar="TOKEN", help="What to call the token.  [default: push-REPOSITORY]"
    ),
) -> None:
    """Make a token that may push to this repository, and nothing else. It is shown once.

    Git takes it as the password; the user name may be any.
    """
    body = {"name": token_name or f"push-{name}"}
    made = connect(context).send("POST", at("repositories", name, "tokens"), body)
    show.note(f"token {body['name']}, shown this once:")
    show.say(show.word(made, "token"))


def _branches(branches: object) -> str:
    if not isinstance(branches, dict):
        return ""
    return ", ".join(f"{show.word(name)} {show.short(tip)}" for name, tip in branches.items())
