"""What all commands share: how they are declared, and the options that mean the same everywhere."""

import typer

from reconciler.cli.failure import CommandFailed, ExitStatus


def new_family(help_text: str, epilog: str = "") -> typer.Typer:
    """Return an empty group of commands; called alone, it shows its help."""
    made = typer.Typer(
        help=help_text,
        epilog=epilog,
        rich_markup_mode=None,  # plain help is ready in half the time, and lines up in a pipe
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"max_content_width": 100},
    )
    made.callback(invoke_without_command=True)(_show_help_when_alone)
    return made


def _show_help_when_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def examples(*lines: str) -> str:
    """Return the end of a help text: examples, one a line."""
    # The mark keeps the lines as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


PROJECT = typer.Argument(..., metavar="PROJECT", help="Name of the project.", show_default=False)
WEBHOOK = typer.Argument(..., metavar="WEBHOOK", help="Name of the webhook.", show_default=False)
AS_JSON = typer.Option(False, "--json", help="Print the API's JSON as it stands.")
LIMIT = typer.Option(20, "--limit", metavar="N", min=1, max=500, help="How many at most.")
WAIT = typer.Option(
    False, "--wait", help="Follow it to its end; the exit status says how it ended."
)
TIMEOUT = typer.Option(
    None,
    "--timeout",
    metavar="SECONDS",
    min=1,
    help="With --wait: stop waiting after this long (exit 15). The deployment goes on.",
)
OVERRIDE = typer.Option(
    "", "--override", metavar="REASON", help="Go past closed deploy windows and a freeze."
)
YES = typer.Option(False, "--yes", "-y", help="Do not ask.")


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal before something is lost; elsewhere ``--yes`` has to be given.

    Raises:
        CommandFailed: nobody to ask.
        typer.Exit: the answer was no.
    """
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        text = f"nobody is there to answer: {question} `--yes` says so"
        raise CommandFailed(text, status=ExitStatus.USAGE)
    if not typer.confirm(question):
        raise typer.Exit(1)
