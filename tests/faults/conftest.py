"""Fixtures of the tests that break things."""

from collections.abc import Iterator

import pytest

from tests.parts.stores import postgres_template, site, sqlite_template, store
from tests.parts.web_client import WebDaemon

__all__ = ["daemon", "postgres_template", "site", "sqlite_template", "store"]


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    """A web that hostile requests are sent to: one for all of them, kept to one worker."""
    with WebDaemon(tmp_path_factory.mktemp("hostile")) as running:
        yield running
