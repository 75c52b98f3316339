"""The master key of an installation: where it is, and putting another in its place."""

import logging
import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.master_key import (
    OLD_VARIABLE,
    VARIABLE,
    KeySources,
    drop_old_key,
    replace_key,
    take_environment,
)
from reconciler.adapters.system_clock import SystemClock
from reconciler.config import Config
from reconciler.domain.errors import MasterKeyRefused, PreconditionFailed
from reconciler.store.data_lock import lock_data
from reconciler.store.keys import KeyState, OnProgress
from reconciler.store.opening import check_key, open_store, read_key_state

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What key there is, and which the database wants."""

    source: str  #: empty: there is no key
    key: str  #: id
    old: str  #: id of the one beside it; empty: there is none
    old_source: str
    state: KeyState

    @property
    def rotating(self) -> bool:
        """Whether something has still to be sealed anew, or an old key to be removed."""
        return bool(self.state.rotating_from or self.old)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation came to."""

    key: str  #: id of the key that seals now
    old: str
    finished: bool  #: whether nothing is sealed with the old one any more
    kept: str = ""  #: where the old one is now; empty: it was removed
    went_on: bool = False  #: with one that was begun before


def key_sources(config: Config, environment: MutableMapping[str, str]) -> KeySources:
    """Return where the master key may be. What ``environment`` has of it is taken out there."""
    key, old = take_environment(environment)
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    return KeySources(
        folder=config.data_folder,
        file=config.master_key_file,
        credentials=Path(credentials) if credentials else None,
        environment=key,
        old_environment=old,
    )


def location_of(config: Config) -> str | Path:
    """Return where the database is."""
    return config.database_url.reveal() or config.database_file


def warn_of_keys(keys: KeySources) -> None:
    """Log what is not as it should be with a key that is in use."""
    if keys.environment.reveal():
        _log.warning(
            "the master key comes in %s, which whoever may look at this process can read for as "
            "long as it lives; a credential or a file is safer",
            VARIABLE,
        )
    if (found := keys.find()) and found.old:
        _log.warning(
            "the old master key %s is still there (%s): once nothing is sealed with it, which "
            "`reconciler rotate-key --status` says, remove it",
            found.old_id,
            found.old_source,
        )


def tell_resealed(done: int, number: int) -> None:
    """Log how far sealing anew is."""
    _log.info("sealed with the new master key: %d of %d", done, number)


def find_missing(config: Config, environment: MutableMapping[str, str]) -> str:
    """Return in words what the database lacks of keys here; empty where it lacks nothing."""
    keys = key_sources(config, environment)
    try:
        check_key(location_of(config), lambda _: keys.open(may_create=False), SystemClock())
    except MasterKeyRefused as error:
        return error.message
    return ""


def key_status(config: Config, keys: KeySources) -> KeyStatus:
    """Return it, also while the daemon is at work. Raises ``NotFound`` without a database."""
    found = keys.find()
    state = read_key_state(location_of(config), SystemClock())
    if found is None:
        return KeyStatus("", "", "", "", state)
    return KeyStatus(found.source, found.id, found.old_id, found.old_source, state)


def rotate_key(
    config: Config, keys: KeySources, on_progress: OnProgress, *, keep_old: bool
) -> Rotation:
    """Seal everything with another master key, or finish doing so. The daemon must not be running.

    It may be killed anywhere: doing it again, or starting the daemon, goes on.

    Raises:
        NotFound: there is no database yet.
        PreconditionFailed: the daemon runs, or there is no new key to go to.
        MasterKeyRefused: the key that there is doesn't open the database.
        StoreError: another replica is at work.
    """
    _require_own(config.data_folder)
    with lock_data(config.data_folder):
        before = key_status(config, keys)
        check_key(location_of(config), lambda _: keys.open(may_create=False), SystemClock())
        if not before.rotating:
            if not keys.uses_own_file:
                raise _no_new_key(before)
            replace_key(keys.own_file)
        open_store(
            location_of(config),
            lambda _: keys.open(may_create=False),
            SystemClock(),
            on_resealed=on_progress,
        ).close()
        return _settle(config, keys, before, keep_old=keep_old)


def _require_own(folder: Path) -> None:
    """Refuse root where the daemon is another user, which could not read what root leaves."""
    if folder.exists() and (owner := folder.stat().st_uid) != os.geteuid():
        raise PreconditionFailed(
            f"the data folder {folder} belongs to user {owner}: run this as that user, with "
            f"`sudo --user '#{owner}'`"
        )


def _settle(config: Config, keys: KeySources, before: KeyStatus, *, keep_old: bool) -> Rotation:
    """Let go of the old key, where it is ours and nothing needs it any more."""
    after = key_status(config, keys)
    finished = not after.state.rotating_from
    kept = after.old_source if after.old else ""
    if finished and after.old and keys.uses_own_file:
        name = f"{keys.own_file.name}.{after.old}" if keep_old else ""
        drop_old_key(keys.own_file, keep_as=name)
        kept = str(keys.folder / name) if name else ""
    return Rotation(after.key, after.old, finished, kept, went_on=before.rotating)


def _no_new_key(status: KeyStatus) -> PreconditionFailed:
    return PreconditionFailed(
        f"master key {status.key} is yours ({status.source}), so the new one has to be, too: keep "
        f"the present one there with `.old` at its name ({OLD_VARIABLE} in the environment), put "
        "the new one in its place, and start the daemon again, or this command"
    )
