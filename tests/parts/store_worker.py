"""Another daemon on the same database, as a program: `python -m tests.parts.store_worker …`.

``claim LOCATION OWNER`` claims and finishes until nothing is left, a line per deployment.
``hold LOCATION OWNER`` claims one, says so, and waits to be killed.
``end LOCATION POINT`` ends one as failed, and is killed after that, or once it has ``claimed`` what
is told of it.
``write LOCATION`` records a setting per line, for ever, after each one is acknowledged.
"""

import signal
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NoReturn

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.deployment import Status
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.ports import OutboxKind, SettingRecord
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import KEY, LEASE


def main() -> None:
    """Do what the arguments say."""
    what, location, *rest = sys.argv[1:]
    store = open_store(location, lambda _: Vault(KEY), SystemClock())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if what == "write":
        _write(store)
    work = {"claim": _claim_all, "hold": _hold, "end": _end}[what]
    work(store, rest[0])


def _claim_all(store: SqlStore, owner: str) -> None:
    sys.stdin.readline()  # all begin at once
    while held := store.claim_next(owner, datetime.now(UTC), lease=LEASE):
        sys.stdout.write(f"{held.deployment.id}\n")
        store.finish(held, Status.FAILED, datetime.now(UTC))


def _hold(store: SqlStore, owner: str) -> None:
    held = store.claim_next(owner, datetime.now(UTC), lease=timedelta(seconds=1))
    sys.stdout.write(f"{held.deployment.id if held else 'nothing'}\n")
    sys.stdout.flush()
    signal.pause()


def _end(store: SqlStore, point: str) -> NoReturn:
    held = store.claim_next("worker", datetime.now(UTC), lease=LEASE)
    assert held is not None
    broken = Failure("verification-failed", "web exited with status 1", Recovery.STALL)
    store.finish(held, Status.FAILED, datetime.now(UTC), error=broken)
    if point == "claimed":
        lease = timedelta(seconds=1)
        assert store.claim_messages(OutboxKind.NOTICE, "dead", limit=9, lease=lease)
    signal.raise_signal(signal.SIGKILL)
    raise AssertionError("it is dead")


def _write(store: SqlStore) -> NoReturn:
    for number in count():
        record = SettingRecord("auto_deploy_poll_interval_seconds", number, "x" * 2000)
        store.put_settings([record])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    raise AssertionError("numbers never end")


if __name__ == "__main__":
    main()
