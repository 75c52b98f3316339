"""Fixtures of the contract suites."""

import pytest

from tests.parts.stores import postgres_template, site, sqlite_template, store

__all__ = ["postgres_template", "site", "sqlite_template", "store"]

#: Families whose statements are plain: on PostgreSQL only what several do at once is tried by
#: default, and all of it where the slow tests are asked for.
_PLAIN = tuple(
    f"tests/contract/test_store_{family}.py"
    for family in (
        *("access", "clusters", "environments", "figures", "notices", "people", "promotions"),
        *("queue", "receipts", "sealed", "second_looks", "standings", "statuses"),
    )
)
_TOGETHER = ("once", "replica", "together", "two", "others", "bug")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the PostgreSQL twin of such a test to the slow ones."""
    for item in items:
        alone = item.nodeid.startswith(_PLAIN) and "[postgres" in item.nodeid
        if alone and not any(word in item.name for word in _TOGETHER):
            item.add_marker(pytest.mark.slow)
