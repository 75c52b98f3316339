"""``reconciler rotate-key``: another master key in the place of the one that seals secrets.

It works on the data folder, not through the daemon, which must not be running meanwhile.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.daemon import CONFIG, ReadableFailures, load, log_to_stderr

if TYPE_CHECKING:
    from reconciler.app.keys import KeyStatus, Rotation
    from reconciler.store.keys import OnProgress


def rotate_key(
    file: Path | None = CONFIG,
    keep_old: bool = typer.Option(
        False, "--keep-old", help="Keep the old key beside the new one, under a name with its id."
    ),
    status: bool = typer.Option(False, "--status", help="Only show which key seals what."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Seal all stored secrets with a new master key. The daemon must not be running.

    Backups that were made before need the old key. Killed in the middle, it goes on when it is run
    again or the daemon starts. A key that you bring yourself you change yourself, and start the
    daemon with both.
    """
    from reconciler.adapters.core_dumps import forbid_core_dumps
    from reconciler.app.keys import key_sources, key_status, rotate_key

    forbid_core_dumps()
    config = load(file)
    log_to_stderr(config)
    with ReadableFailures():
        keys = key_sources(config, os.environ)
        if status:
            _show_status(key_status(config, keys), as_json)
            return
        with _progress() as on_progress:
            rotation = rotate_key(config, keys, on_progress, keep_old=keep_old)
    if as_json:
        show.as_json(_shown(rotation))
        return
    _show_rotation(rotation)


def _show_status(status: "KeyStatus", as_json: bool) -> None:
    state = status.state
    if as_json:
        show.as_json(
            {
                "source": status.source,
                "key": status.key,
                "old_key": status.old or None,
                "wanted": state.wanted,
                "rotating_from": state.rotating_from or None,
                "sealed": dict(state.counts),
            }
        )
        return
    show.facts(
        (
            ("key", f"{status.key} ({status.source})" if status.key else "there is none"),
            ("old key beside it", status.old),
            ("database wants", state.wanted),
            ("being changed from", state.rotating_from),
        )
    )
    rows = ((key, str(number)) for key, number in sorted(state.counts.items()))
    show.table(("KEY", "SEALED"), rows)


def _show_rotation(rotation: "Rotation") -> None:
    if not rotation.finished:
        show.note(
            f"some of what key {rotation.old} sealed could not be opened, and is named above: put "
            "it in again or remove it, then run this again"
        )
        return
    what = "finished what was begun before" if rotation.went_on else "done"
    show.say(f"{what}: everything is sealed with master key {rotation.key}")
    if rotation.kept:
        show.note(f"the old key, for backups made before, is {rotation.kept}")
    elif rotation.old:
        show.note(f"the old key {rotation.old} is gone; backups made before can't be opened")


def _shown(rotation: "Rotation") -> dict[str, object]:
    return {
        "key": rotation.key,
        "old_key": rotation.old or None,
        "finished": rotation.finished,
        "kept": rotation.kept or None,
    }


@contextmanager
def _progress() -> Iterator["OnProgress"]:
    """Show on a terminal how far it is; elsewhere nothing, for it is a matter of seconds."""
    from rich.progress import Progress

    out = show.console(error=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("sealing anew", total=None)

        def on_progress(done: int, number: int) -> None:
            bar.update(task, completed=done, total=number)

        yield on_progress
