"""Times within recorded sentences, as a page writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from reconciler.web.pages.moments import times_in
from reconciler.web.pages.reader import Reader
from reconciler.web.pages.rendering import templates

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "opens Thu 2026-11-26 13:44 UTC",
        "opens Thu 2026-11-26 14:44 Europe/Berlin.",
        "began at 2026-11-26 13:44:00 UTC; look",
    ],
)
def test_times_that_a_sentence_names(text: str) -> None:
    (found,) = times_in(text)
    assert found.at == datetime(2026, 11, 26, 13, 44, tzinfo=UTC)
    assert text[found.begin : found.end].startswith(("Thu", "2026"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-26",
        "2026-13-26 13:44 UTC",
        "2026-11-26 13:44 Nowhere/Atall",
        "2026-11-26 13:44",
    ],
)
def test_what_is_no_time_is_left_as_it_is(text: str) -> None:
    assert list(times_in(text)) == []


def test_they_are_written_in_the_readers_zone() -> None:
    template = templates().from_string("{{ text | prose }}")
    reader = Reader(zone="Europe/Berlin")
    text = "<b> `x 2026-11-26 13:44 UTC` opens Thu 2026-11-26 13:44 UTC, no sooner"
    told = template.render(text=text, reader=reader, now=NOW)
    assert told.startswith("&lt;b&gt; <code>x 2026-11-26 13:44 UTC</code> opens <time datetime=")
    assert told.endswith(">14:44</time>, no sooner")
    assert reader.zone_info == ZoneInfo("Europe/Berlin")
