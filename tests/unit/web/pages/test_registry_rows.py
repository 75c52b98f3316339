"""Registries in a list: whether each answers, and how often it is asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from reconciler.domain.errors import Recovery, SourceDenied
from reconciler.domain.failure import Failure
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.state import RegistryTrouble, WatchedImage
from reconciler.ports import ImageRegistry, RegistryStatus
from reconciler.triggers.registry_probe import RegistryProbe
from reconciler.web.pages.registries.rows import RegistryRow, WatchedHere

HOST, NOW = "registry.example", datetime.now(UTC)
SHOP, BLOG = ProjectName("shop"), ProjectName("blog")
DENIED = Failure(SourceDenied.code, "refused", Recovery.OPERATOR)
SILENT = Failure("source-unreachable", "no answer", Recovery.RETRY)


def watched(
    project: ProjectName, name: str, *, auto: bool = True, error: Failure | None = None
) -> WatchedHere:
    image = WatchedImage(f"{HOST}/{name}", ("web",), looked_at=NOW, error=error)
    return WatchedHere(project, image, auto)


def status(
    reachable: bool | None, error: str = "", cooling: datetime | None = None
) -> RegistryStatus:
    return RegistryStatus(HOST, reachable, error, cooling, None, None, 0)


def probed(*answers: Failure | None) -> RegistryProbe:
    """Return a probe that gave these, one after another."""

    class Registry:
        def __init__(self) -> None:
            self.left = list(answers)

        def probe(self, _: str) -> Failure | None:
            return self.left.pop(0)

    probe = RegistryProbe(cast("ImageRegistry", Registry()), HOST)
    for _ in answers:
        probe.look()
    return probe


TROUBLE = RegistryTrouble(HOST, ReasonCode.REGISTRY_COOLED, "429", NOW, NOW + timedelta(minutes=9))


@pytest.mark.parametrize(
    ("row", "word", "why"),
    [
        pytest.param(RegistryRow(HOST), "Not asked yet", "", id="unknown"),
        pytest.param(RegistryRow(HOST, status=status(True)), "Yes", "", id="answers"),
        pytest.param(RegistryRow(HOST, status=status(False, "gone")), "No", "gone", id="does-not"),
        pytest.param(
            RegistryRow(HOST, status=status(True, "429", NOW)), "Cooling", "429", id="cooling"
        ),
        # It was told before the daemon started anew, and nobody asked since.
        pytest.param(RegistryRow(HOST, trouble=TROUBLE), "Cooling", "429", id="recalled"),
        pytest.param(
            RegistryRow(HOST, [watched(SHOP, "web:1", error=DENIED)], status=status(True)),
            "Refused",
            "it does not take what shop shows it",
            id="refused",
        ),
        pytest.param(RegistryRow(HOST, probe=probed()), "Not asked yet", "", id="not-probed"),
        pytest.param(RegistryRow(HOST, probe=probed(SILENT)), "No", "no answer", id="silent"),
        pytest.param(RegistryRow(HOST, probe=probed(SILENT, None)), "Yes", "", id="back"),
    ],
)
def test_whether_it_answers_is_a_word(row: RegistryRow, word: str, why: str) -> None:
    assert (row.badge.word, row.why) == (word, why)


def test_how_it_was_at_the_start_is_remembered() -> None:
    """Whatever came later."""
    assert probed(SILENT, None).failure_at_start == SILENT
    assert probed(None, SILENT).failure_at_start is None


@pytest.mark.parametrize(
    ("users", "requests"),
    [pytest.param({}, 12, id="shared"), pytest.param({SHOP: "bot"}, 18, id="own-credentials")],
)
def test_how_often_it_is_asked(users: Mapping[ProjectName, str], requests: int) -> None:
    """An image that two follow is asked for once, unless they show different credentials."""
    images = [
        watched(SHOP, "web:1"),
        watched(BLOG, "web:1"),
        watched(SHOP, "cache:7"),
        watched(BLOG, "by-hand:1", auto=False),
    ]
    row = RegistryRow(HOST, images, users, interval=600)
    assert (row.names, row.requests_an_hour) == (3, requests)
