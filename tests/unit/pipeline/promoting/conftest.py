"""The way from test to production."""

from collections.abc import Iterator

import pytest

from tests.unit.pipeline.conftest import World
from tests.unit.pipeline.promoting.way import Way, open_way


@pytest.fixture
def way(world: World) -> Iterator[Way]:
    with open_way(world) as opened:
        yield opened
