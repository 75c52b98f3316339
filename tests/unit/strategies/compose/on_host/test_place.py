"""Compose projects on a host that doesn't answer as ours do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.strategies.compose import ComposeOptions
from reconciler.strategies.compose.on_host.place import PlaceOnHost
from reconciler.testing import RecordingRunner

NONSENSE = "answers in a way that we don't know"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PlaceOnHost]:
    """A place that says the same to everything."""
    engine = DockerEngine()
    runner = RecordingRunner({("sh",): (0, "+abcde\n", ""), ("realpath",): (0, "/x\0/y\0", "")})
    machine = LocalMachine(runner, engine, SystemClock())
    target = Target(ProjectName("shop"), strategy=TargetStrategy.COMPOSE)
    yield PlaceOnHost(target, machine, ComposeOptions(tmp_path), None)  # type: ignore[arg-type]
    engine.close()


def test_files_that_are_none_are_an_error_of_that_host(place: PlaceOnHost) -> None:
    """Not one of the daemon, which would try it again and again."""
    with pytest.raises(PreconditionFailed, match=NONSENSE):
        place.read([".env"])


def test_more_paths_than_were_asked_for_are_an_error_of_that_host(place: PlaceOnHost) -> None:
    """None of them is taken for the answer to another one."""
    with pytest.raises(PreconditionFailed, match=NONSENSE):
        place.real_paths(["/x"])
