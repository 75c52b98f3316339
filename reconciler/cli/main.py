"""The command line: which commands there are, and how each way of failing looks."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache

import typer
from typer.main import get_command

from reconciler import __version__
from reconciler.cli import (
    adopt,
    daemon,
    deployments,
    environments,
    findings,
    keys,
    promotions,
    set_up,
    show,
    switches,
)
from reconciler.cli.audit import audit
from reconciler.cli.channels import channel
from reconciler.cli.client import connect
from reconciler.cli.clusters import cluster
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import AS_JSON, examples, new_family
from reconciler.cli.fleet import fleet
from reconciler.cli.freezes import project
from reconciler.cli.hosts import host
from reconciler.cli.people import person, set_up_token
from reconciler.cli.plan import plan
from reconciler.cli.receipts import receipt
from reconciler.cli.release import release
from reconciler.cli.releases import releases
from reconciler.cli.repositories import repo
from reconciler.cli.secrets import secret
from reconciler.cli.status import status, version_of
from reconciler.cli.switches import switch
from reconciler.cli.targets import target
from reconciler.cli.tokens import token
from reconciler.cli.webhooks import webhook
from reconciler.domain.errors import ConfigError

_HELP = """Deploy what a git branch and its image tags say: verified, or rolled back.

It talks to the daemon on this machine through its unix socket, or to another one at --url (or
RECONCILER_URL) with the token in RECONCILER_TOKEN.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status. Whatever goes wrong is one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        ended = command_line()(given, prog_name="reconciler", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # `… | head` has what it wanted. What is left in the buffer has nowhere to go.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the process ends
        return ExitStatus.OK
    except (typer.Abort, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: a terminal gets no traceback
        return _say_failure(error)
    return ended if isinstance(ended, int) else ExitStatus.OK


def _say_failure(error: Exception) -> int:
    match error:
        case CommandFailed():
            for line in error.lines or (error.message,):
                show.fail("; ".join(part for part in (line, error.remedy) if part))
            return error.status
        case ConfigError():
            for problem in error.problems:
                show.fail(problem)
            return ExitStatus.CONFIG
        case typer.TyperException():
            path = getattr(getattr(error, "ctx", None), "command_path", "reconciler")
            show.fail(f"{_usage_mistake(error)}; `{path} --help` shows how")
            return error.exit_code
    show.fail(f"this is a bug in reconciler: {type(error).__name__}: {error}")
    return ExitStatus.ERROR


def _usage_mistake(error: typer.TyperException) -> str:
    """Return what is wrong with the words given, with the value where it is known."""
    text = error.format_message().rstrip(".?").replace(". Did you mean", "; did you mean")
    text = text[:1].lower() + text[1:]
    found = getattr(error.__cause__, "errors", None)  # of pydantic, which does not show the value
    if not callable(found):
        return text
    said = text.partition(", unable")[0].replace("Input", "it")
    return f"{said}, and is {found()[0]['input']!r}"


@cache
def command_line() -> Callable[..., object]:
    """Return what runs a line of words; made once, which takes longer than most commands do."""
    return get_command(build())


def build() -> typer.Typer:
    """Return the whole command line."""
    app = new_family(
        _HELP,
        examples(
            "reconciler serve",
            "reconciler project add shop --repo shop \\",
            "    --expose-service web --expose-port 8080",
            "reconciler project enable shop",
            "reconciler status",
            "reconciler why shop",
        ),
    )
    app.callback(invoke_without_command=True)(_root)
    for command, name, lines in _COMMANDS:
        app.command(name, epilog=examples(*lines))(command)
    for name, family in _FAMILIES:
        app.add_typer(family, name=name)
    return app


def _root(
    context: typer.Context,
    url: str = typer.Option(
        "", "--url", envvar="RECONCILER_URL", help="Daemon to talk to; its token: RECONCILER_TOKEN."
    ),
) -> None:
    context.obj = url
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitStatus.USAGE)


def version(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """Show the versions of this command and of the daemon."""
    try:
        answer = connect(context).get("/api/version")
    except (CommandFailed, ConfigError) as failure:
        answer, note = {}, str(failure)
    else:
        note = ""
    if as_json:
        show.as_json({"client": __version__, "daemon": answer or None})
        return
    show.say(f"reconciler {__version__}")
    if answer:
        since = show.ago(answer, "started_at")
        show.say(f"daemon: {version_of(answer)}, started {since}")
    else:
        show.note(note)


_FAMILIES = (
    ("project", project),
    ("fleet", fleet),
    ("host", host),
    ("cluster", cluster),
    ("target", target),
    ("secret", secret),
    ("repo", repo),
    ("person", person),
    ("token", token),
    ("audit", audit),
    ("receipt", receipt),
    ("webhook", webhook),
    ("channel", channel),
    ("releases", releases),
    ("switch", switch),
    ("quarantine", deployments.quarantine),
    ("environment", environments.environment),
)

_COMMANDS: tuple[tuple[Callable[..., None], str, tuple[str, ...]], ...] = (
    (
        daemon.serve,
        "serve",
        ("reconciler serve", "reconciler serve --config /etc/reconciler/config.toml"),
    ),
    (set_up_token, "set-up-token", ("reconciler set-up-token",)),
    (daemon.check_config, "check-config", ("reconciler check-config --config config.toml",)),
    (daemon.backup, "backup", ("reconciler backup /var/backups/reconciler.db",)),
    (daemon.restore, "restore", ("reconciler restore /var/backups/reconciler.db",)),
    (
        keys.rotate_key,
        "rotate-key",
        (
            "reconciler rotate-key --status",
            "reconciler rotate-key",
            "reconciler rotate-key --keep-old",
        ),
    ),
    (status, "status", ("reconciler status", "reconciler status --json")),
    (findings.why, "why", ("reconciler why shop",)),
    (
        plan,
        "plan",
        (
            "reconciler plan shop",
            "reconciler plan shop --commit 1f2e3d4c5b6a798081920a1b2c3d4e5f60718293",
            "reconciler plan shop --json",
        ),
    ),
    (
        deployments.deploy,
        "deploy",
        (
            "reconciler deploy shop --wait",
            "reconciler deploy shop --host web1 --wait",
            "reconciler deploy shop --commit 1f2e3d4c5b6a798081920a1b2c3d4e5f60718293",
            "reconciler deploy shop --plan 5f0c2a9be1d47380 --wait",
            "reconciler deploy shop --force --reason 'the disk was full' --wait",
        ),
    ),
    (
        promotions.promote,
        "promote",
        (
            "reconciler promote shop-production",
            "reconciler promote shop --to production --deployment 42",
            "reconciler promote shop-production --override 'hotfix of incident 7'",
        ),
    ),
    (
        promotions.approve,
        "approve",
        (
            "reconciler approve shop-production --reason 'looked at it on test'",
            "reconciler approve shop-production --promotion 5 --wait",
            "reconciler approve shop --deployment 42 --reason 'read the plan'",
        ),
    ),
    (
        promotions.reject,
        "reject",
        ("reconciler reject shop-production --reason 'the login is broken'",),
    ),
    (
        promotions.promotions,
        "promotions",
        ("reconciler promotions", "reconciler promotions shop-production --json"),
    ),
    (
        environments.environments,
        "environments",
        ("reconciler environments", "reconciler environments shop"),
    ),
    (
        release,
        "release",
        (
            "reconciler release shop",
            "reconciler release shop --commit 1f2e3d4c5b6a798081920a1b2c3d4e5f60718293 \\",
            "    --timeout 900 --cancel-on-interrupt",
            "reconciler release shop --host web1 --json",
        ),
    ),
    (
        set_up.setup,
        "setup",
        ("reconciler setup api", "reconciler setup api --host web1 --host web2"),
    ),
    (
        adopt.adopt,
        "adopt",
        (
            "reconciler adopt local",
            "reconciler adopt web1 shop",
            "reconciler adopt web1 blog --expose web:8080",
            "reconciler adopt web1 --all",
        ),
    ),
    (
        deployments.deployments,
        "deployments",
        ("reconciler deployments", "reconciler deployments shop --status failed --json"),
    ),
    (
        deployments.deployment,
        "deployment",
        ("reconciler deployment shop", "reconciler deployment 12"),
    ),
    (deployments.withdraw, "withdraw", ("reconciler withdraw 12", "reconciler withdraw shop")),
    (deployments.logs, "logs", ("reconciler logs shop -f", "reconciler logs 12")),
    (
        deployments.rollback,
        "rollback",
        ("reconciler rollback shop --wait", "reconciler rollback shop --to 11"),
    ),
    (
        switches.settings,
        "settings",
        (
            "reconciler settings",
            "reconciler settings auto_deploy_poll_interval_seconds 30 --reason release",
        ),
    ),
    (version, "version", ("reconciler version",)),
)
