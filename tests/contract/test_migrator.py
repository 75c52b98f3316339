"""``Migrator``: the one that runs containers, and the double that stands for it, do the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.domain.errors import ClaimLost, MigrationUnfinished
from reconciler.domain.migration import Migration
from reconciler.ports import MigrationRun, Migrator
from reconciler.strategies.compose import ComposeMigrator
from reconciler.testing import RehearsedMigrator
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def rig(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[ComposeRig]:
    with open_rig(engine, registry, tmp_path) as made:
        made.commit(compose_file(engine, web=made.image()))
        yield made


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda rig: ComposeMigrator(rig.strategy), id="containers"),
        pytest.param(lambda _: RehearsedMigrator(statuses=[5]), id="double"),
    ],
)
def test_it_begins_once_and_ends_the_same_for_whoever_looks(
    rig: ComposeRig, make: Callable[[ComposeRig], Migrator]
) -> None:
    """Who may not begin it leaves nothing; once it is forgotten nobody can tell how it ended."""
    migrator, work = make(rig), rig.work()
    prepared = rig.strategy.prepare(work)
    began: list[str] = []

    def refused() -> None:
        raise ClaimLost("another worker has it")

    migration = Migration(("sh", "-c", "echo 'its last line'; exit 5"))
    run = MigrationRun(migration, begun=False, on_begin=lambda: began.append("it"))
    again = replace(run, begun=True)

    with pytest.raises(ClaimLost):
        migrator.migrate(work, prepared, replace(run, on_begin=refused))
    with pytest.raises(MigrationUnfinished):
        migrator.migrate(work, prepared, again)

    for one in (run, again, again):
        end = migrator.migrate(work, prepared, one)
        assert (end.exit_status, end.last_lines) == (5, ("its last line",))
    assert began == ["it"]

    for _ in range(2):
        migrator.forget(work)
    with pytest.raises(MigrationUnfinished):
        migrator.migrate(work, prepared, again)
    assert began == ["it"]
