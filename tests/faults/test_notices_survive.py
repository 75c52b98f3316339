"""A failing deployment is told once, and its recovery once, whoever is killed in between."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from reconciler.adapters.notify.notifier import ServiceNotifier
from reconciler.adapters.notify.templates import JinjaLetters
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.deployment import Status
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.pipeline.notices import NoticeParts, Notices
from reconciler.scheduling import Sending
from reconciler.store.sql_store import SqlStore
from tests.parts.http_server import Answer, HttpServer
from tests.parts.stores import NOW, Site, claim, project, queue
from tests.parts.waiting import eventually

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.fault


@contextmanager
def next_life(store: SqlStore) -> Iterator[Sending]:
    """Give what a daemon that was started anew sends with."""
    clock, redactor = SystemClock(), Redactor()
    notifier = ServiceNotifier(LocalRunner("tests"), clock, redactor)
    parts = NoticeParts(
        store, clock, notifier, JinjaLetters(), redactor, lambda *_: "a commit", dict
    )
    sending = Sending(store, Notices(parts), "next-life")
    try:
        yield sending
    finally:
        assert sending.drain(timedelta(seconds=5))


def _sent(sending: Sending, receiver: HttpServer, count: int) -> bool:
    """Tell whether so many arrived; look again what there is to send."""
    sending.tick()
    return len(receiver.requests) >= count


@pytest.mark.parametrize("point", ["ended", "claimed"])
def test_a_kill_neither_loses_nor_doubles_what_is_told(
    sqlite_template: Path, tmp_path: Path, point: str
) -> None:
    """Figures: 1 failure and 1 recovery, received by a real server."""
    site = Site(str(shutil.copytree(sqlite_template, tmp_path / "data") / "reconciler.db"))
    store = site.open()
    store.create_project(project())
    with HttpServer(lambda _: Answer(204)) as receiver:
        address = Address(Secret.of(f"{receiver.url}/hook"), Secret.of("key"))
        store.create_channel(Channel(ChannelName("ops"), NOW), address)
        queue(store, "a")
        argv = (sys.executable, "-m", "tests.parts.store_worker", "end", site.location, point)
        killed = subprocess.run(argv, cwd=_ROOT, capture_output=True, timeout=30, check=False)
        assert killed.returncode == -9, killed.stderr.decode()
        with next_life(store) as sending:
            eventually(partial(_sent, sending, receiver, 1))
            for letter, status in (("b", Status.DEPLOYED), ("c", Status.DEPLOYED)):
                queue(store, letter)
                store.finish(claim(store), status, datetime.now(UTC))
            eventually(partial(_sent, sending, receiver, 2))
            sending.tick()
        told = [json.loads(request.body)["event"] for request in receiver.requests]
    assert told == ["failure", "recovery"]
    site.close()
