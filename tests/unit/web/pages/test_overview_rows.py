"""Rows are made once, and anew when something is new."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Stage
from reconciler.domain.state import SourceHealth
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages.overview.rows import Row
from tests.unit.web.pages.test_overview_listing import NOW, summary


@pytest.fixture
def calm() -> ProjectSummary:
    return summary("blog")


def test_another_look_that_found_the_same_is_no_news(calm: ProjectSummary) -> None:
    looked = replace(calm, health=SourceHealth(looked_at=NOW, next_look_at=NOW))
    assert looked.news == calm.news
    failed = replace(calm, health=SourceHealth(branch_gone=True))
    assert failed.news != calm.news


def test_a_row_is_of_what_its_reader_may_do(calm: ProjectSummary) -> None:
    assert Row.of(calm, frozenset()) == Row.of(calm, frozenset({"trigger"}))
    row = Row.of(calm, frozenset(), {Stage.APPLY: timedelta(seconds=1)})
    assert (row.name, row.hosts, row.how, row.auto) == ("blog", "local", "compose", True)
    assert row.meter is None
