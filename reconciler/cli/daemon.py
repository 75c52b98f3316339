"""``reconciler serve``, ``check-config``, ``backup`` and ``restore``: the daemon itself.

Only this file and `keys` of the command line know the daemon, and import it only to be it.
"""

import gc
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, at
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import YES, confirm
from reconciler.domain.errors import (
    ConfigError,
    MasterKeyRefused,
    NotFound,
    ReconcilerError,
    StoreError,
)

if TYPE_CHECKING:
    from reconciler.config import Config
    from reconciler.web.server import Addresses

log = logging.getLogger(__name__)

CONFIG = typer.Option(
    None,
    "--config",
    metavar="FILE",
    help="Configuration.  [default: ~/.config/reconciler/config.toml, /etc/reconciler/config.toml]",
)
_FILE = typer.Argument(..., metavar="FILE", help="The copy.", show_default=False)


def serve(file: Path | None = CONFIG) -> None:
    """Run the daemon until it is told to stop (SIGTERM or Ctrl-C).

    It needs no configuration: then it listens on 127.0.0.1:8484 and keeps its data below the home
    folder. Exit status: 78 if a setting or the master key is wrong, 75 if the database can't be
    opened.
    """
    # What is imported stays for good: looking through it for garbage is a sixth of the start.
    gc.disable()
    from reconciler.adapters.core_dumps import forbid_core_dumps

    forbid_core_dumps()
    config = load(file)
    _look_over_tls(config)
    log_to_stderr(config)
    from reconciler.app import build
    from reconciler.log import set_up_logs
    from reconciler.web.server import serve as serve_application

    with ReadableFailures():
        application = build(config)
        gc.freeze()
        gc.enable()
        set_up_logs(application.redactor, level=config.log_level, style=config.log_format)
        try:
            ended = serve_application(application, on_listening=_greet)
        finally:
            application.close()
    raise typer.Exit(ended)


def check_config(file: Path | None = CONFIG) -> None:
    """Look the configuration over, without starting anything."""
    config = load(file)
    _look_over_tls(config)
    show.say(f"{config.file or 'no file, all defaults'}: fine")
    show.facts(
        (
            ("data folder", str(config.data_folder)),
            ("listen", str(config.listen) if config.listen else "the unix socket only"),
            ("TLS", str(config.tls_certificate or "")),
            ("proxies", ", ".join(str(one) for one in config.trusted_proxies)),
            ("socket", str(config.socket)),
            ("database", "PostgreSQL" if config.database_url.reveal() else "SQLite, embedded"),
            ("emergency file", str(config.emergency_file)),
        )
    )


def backup(target: Path = _FILE, file: Path | None = CONFIG) -> None:
    """Write a copy of the database, also while the daemon runs.

    Its secrets stay encrypted, and the key that opens them is not in it: keep a copy of the data
    folder's key file as well, in another place.
    """
    from reconciler.store.backup import note_backup, write_backup

    config = load(file)
    with ReadableFailures():
        write_backup(_database_of(config), target.absolute())
    note_backup(_database_of(config), target.absolute())
    show.say(f"wrote {target}")
    show.note("its secrets are sealed; keep a copy of the data folder's key file too, elsewhere")


def restore(source: Path = _FILE, file: Path | None = CONFIG, yes: bool = YES) -> None:
    """Put a copy in the place of the database. The daemon must not be running.

    The database that it replaces is kept beside it.
    """
    from reconciler.store.backup import restore_backup

    config = load(file)
    database = _database_of(config)
    confirm(f"Replace {database} with {source}?", yes)
    with ReadableFailures():
        kept = restore_backup(source.absolute(), database, datetime.now(UTC))
    show.say(f"restored {source}; start the daemon with `reconciler serve`")
    if kept:
        show.note(f"what was there is now {kept}")
    with ReadableFailures():
        from reconciler.app.keys import find_missing

        if missing := find_missing(config, os.environ):
            show.note(f"warning: {missing}")


def load(file: Path | None) -> "Config":
    """Return the daemon's configuration, its warnings said. Raises ``ConfigError``."""
    from reconciler.config import load_config

    config = load_config(file)
    for warning in config.warnings:
        show.note(f"warning: {warning}")
    return config


def _look_over_tls(config: "Config") -> None:
    """Warn of a certificate that expires soon. Raises ``ConfigError`` for one that is no use."""
    if config.tls_certificate and config.tls_key_file:
        from reconciler.adapters.tls import TlsFiles

        files = TlsFiles(config.tls_certificate, config.tls_key_file)
        if warning := files.look_over(datetime.now(UTC)):
            show.note(f"warning: {warning}")


def _database_of(config: "Config") -> Path:
    if config.database_url.reveal():
        from reconciler.store.backup import refuse_for_postgres

        with ReadableFailures():
            raise refuse_for_postgres()
    return config.database_file


def log_to_stderr(config: "Config") -> None:
    """Have a log before there is an application, which knows more secrets."""
    from reconciler.log import Redactor, set_up_logs

    redactor = Redactor()
    redactor.register(*config.secrets)
    set_up_logs(redactor, level=config.log_level, style=config.log_format)


class ReadableFailures:
    """Turns the daemon's expected errors into the command line's."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, CommandFailed | ConfigError | typer.Exit):
            return
        if not isinstance(error, Exception):
            return  # Ctrl-C
        if isinstance(error, OSError) and error.strerror:
            place = f"{error.filename}: " if error.filename else ""
            raise CommandFailed(f"{place}{error.strerror}") from error
        if not isinstance(error, ReconcilerError):
            # Into the log, which takes secrets out of it; a bare traceback would show them.
            log.critical("the daemon ended by a mistake of its own", exc_info=error)
            raise CommandFailed(
                "this is a bug in reconciler", "the log above says where"
            ) from error
        raise CommandFailed(error.message, error.remedy, _status_of(error)) from error


def _status_of(error: ReconcilerError) -> ExitStatus:
    match error:
        case MasterKeyRefused():
            return ExitStatus.CONFIG  # a service manager tries in vain
        case StoreError():
            return ExitStatus.TRY_AGAIN
        case NotFound():
            return ExitStatus.NOT_FOUND
    return ExitStatus.ERROR


def _greet(addresses: "Addresses") -> None:
    """Tell a person at a terminal where it listens and what to do next; a log, where it listens."""
    if not sys.stdout.isatty():
        log.info("listening on %s and %s", addresses.url or "no TCP port", addresses.socket)
        if addresses.set_up_token:
            # Never the token: a log has other readers than the file.
            log.info(
                "nobody is an admin: %s/set-up makes the first one with the token in %s, "
                "for 30 minutes; or `reconciler person add NAME --role admin`",
                addresses.url,
                addresses.set_up_file,
            )
        return
    import threading

    # Asking the daemon takes its event loop, which is what calls us.
    threading.Thread(target=_say_hello, args=(addresses,), daemon=True).start()


def _say_hello(addresses: "Addresses") -> None:
    show.say("reconciler is ready", "bold green")
    show.facts(
        (
            ("page and API", addresses.url),
            ("socket", str(addresses.socket)),
            ("can't deploy", show.styled(_what_is_missing(addresses.socket), "yellow")),
        )
    )
    _show_set_up(addresses)
    show.say("")
    show.say("In another terminal:")
    if folder := _folder_that_is_not_searched():
        show.say(f'  export PATH="{folder}:$PATH"')
    for command, meaning in _NEXT:
        show.say(f"  {command:<44} {meaning}".rstrip())
    show.say("Ctrl-C ends it.")


def _show_set_up(addresses: "Addresses") -> None:
    """Show how to become the first admin. What stands behind `#` is never sent by a browser."""
    if addresses.set_up_token and addresses.url:
        show.say("")
        show.say("Nobody is an admin. This link works once, for 30 minutes:", "bold")
        show.say(f"  {addresses.url}/set-up#{addresses.set_up_token.reveal()}", "bold")
        show.say(f"What follows the # is the token; it is in {addresses.set_up_file}, too.")


_NEXT = (
    ("reconciler status", "what it sees and does"),
    ("reconciler project add shop --repo shop \\", ""),
    ("    --expose-service web --expose-port 8080", "declare a project with a repository here"),
    ("reconciler project enable shop", "deploy what is pushed, from now on"),
    ("reconciler why shop", "why it does what it does"),
)


def _folder_that_is_not_searched() -> str:
    """Return where this command is, if a shell would not find it by its name."""
    import shutil

    here = Path(sys.argv[0]).absolute()
    return "" if here.name != "reconciler" or shutil.which(here.name) else str(here.parent)


def _what_is_missing(socket: Path) -> str:
    from reconciler.config import Api

    try:
        status = Client(Api(socket=socket)).get(at("status"))
    except CommandFailed:
        return ""
    if show.pick(status, "engine", "ok") is False:
        return f"containers: {show.word(status, 'engine', 'error')}"
    return ""
