"""What a project's page tells of its deployments, its images, its source and its environments."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Status,
    TargetRecord,
    TargetStatus,
    Trigger,
)
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.health_check import parse_health_check
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.promoting import Soak
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState, RegistryTrouble, SourceHealth, WatchedImage
from reconciler.web.pages.deployment.timeline import asked_by, by_day, entry_of
from reconciler.web.pages.project.chain import meter_of, passed_checks
from reconciler.web.pages.project.image_facts import ImageFacts, count_images, image_facts
from reconciler.web.pages.project.origins import badge_of_source, check_in_words
from tests.parts.stores import NOW, WEB, commit, digest

IMAGE = "registry.example/web:1"
FAILED = Failure("not-healthy", "health answered 502", Recovery.STALL)


def deployment(number: int, letter: str = "1", **fields: object) -> Deployment:
    made = Deployment(
        DeploymentId(number),
        WEB,
        Revision(commit("a"), {IMAGE: digest(letter)}),
        (Cause(Trigger.GIT_POLL, "git-poll", "a → b"),),
        Status.DEPLOYED,
        NOW,
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # of a deployment


# ── What became of deployments ────────────────────────────────────────────────────────────────


def test_a_deployment_that_went_back_is_told_as_failed_and_as_back() -> None:
    back = entry_of(
        deployment(2, status=Status.ROLLED_BACK, error=FAILED, rolled_back_to=DeploymentId(1))
    )
    assert (back.outcome, back.icon) == ("Failed, rolled back", "back")
    assert back.wrong == "Health answered 502. Back on #1, verified."


@pytest.mark.parametrize("status", Status)
def test_every_outcome_has_a_word_and_a_shape(status: Status) -> None:
    entry = entry_of(deployment(1, status=status))
    assert entry.outcome
    assert entry.icon


def test_who_asked_first_is_named_and_the_others_are_counted() -> None:
    by_hand = Cause(Trigger.PERSON, "ann", "hotfix for the login page")
    assert asked_by([by_hand]) == "asked for by ann: hotfix for the login page"
    again = Cause(Trigger.WEBHOOK, "forgejo{0}", "a → b")
    assert asked_by([again, by_hand]) == (
        "noticed by the webhook forgejo{0}: a → b, and 1 more request"
    )
    assert all(asked_by([Cause(one, "ann")]) for one in Trigger)


def test_the_daemons_own_machine_is_not_named_where_it_is_the_only_one() -> None:
    def went_to(*hosts: str) -> str:
        records = tuple(
            TargetRecord(HostName(one), TargetStatus.VERIFIED, NOW, NOW) for one in hosts
        )
        return entry_of(deployment(1, targets=records)).target

    assert (went_to(LOCAL), went_to("vega", "atlas")) == ("", "vega, atlas")


def test_days_are_the_readers() -> None:
    late = NOW.replace(hour=23, minute=30)
    entries = [entry_of(deployment(2, created_at=late)), entry_of(deployment(1, created_at=NOW))]
    assert len(list(by_day(entries, ZoneInfo("UTC")))) == 1
    assert len(list(by_day(entries, ZoneInfo("Europe/Berlin")))) == 2


# ── Images ────────────────────────────────────────────────────────────────────────────────────


def facts(
    *images: WatchedImage, troubles: Sequence[RegistryTrouble] = (), promoted: bool = False
) -> list[ImageFacts]:
    verified = [deployment(4, "2"), deployment(3, "2"), deployment(2, "1"), deployment(1, "3")]
    state = ProjectState(WEB, live=verified[0])
    return list(image_facts(images, state, verified, troubles, promoted=promoted))


def test_each_digest_is_told_once_with_what_brought_it() -> None:
    (one,) = facts(WatchedImage(IMAGE, ("web",), digest=digest("4")))
    brought = [(it.digest, it.deployment) for it in one.history]
    assert brought == [(digest("2"), 3), (digest("1"), 2), (digest("3"), 1)]
    assert (one.badge.word, one.runs, one.moved) == ("Watched", digest("2"), True)


def test_what_keeps_an_image_from_being_watched() -> None:
    trouble = RegistryTrouble("registry.example", ReasonCode.REGISTRY_COOLED, "429", NOW)
    unset = WatchedImage("web:${TAG}", ("web",), "variable TAG is not set")
    stateful = WatchedImage("docker.io/library/postgres:16", ("db",), "its service is stateful")
    failed = WatchedImage("docker.io/library/redis:7", ("cache",), error=FAILED)
    cooled = WatchedImage(IMAGE, ("web",), error=FAILED)
    labelled = WatchedImage("docker.io/library/nginx:1", ("in",), "its label wud.watch is false")
    found = facts(unset, stateful, failed, cooled, labelled, troubles=[trouble])
    words = [one.badge.word for one in found]
    assert words == ["Not watched", "Left alone", "Unknown", "Cooling", "Left alone"]
    assert [one.variable for one in found] == ["TAG", "", "", "", ""]


def test_what_only_runs_is_told_too() -> None:
    (left,), (handed_on,) = facts(), facts(promoted=True)
    assert left.image.unwatched_because != handed_on.image.unwatched_because
    assert count_images((), deployment(1)) == 1


# ── Where it comes from, and how it goes on ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("health", "word"),
    [
        (SourceHealth(), "Not looked at yet"),
        (SourceHealth(looked_at=NOW), "Answers"),
        (SourceHealth(looked_at=NOW, branch_gone=True), "Branch is gone"),
        (SourceHealth(looked_at=NOW, error=FAILED), "No answer"),
        (SourceHealth(looked_at=NOW, error=replace(FAILED, code="source-denied")), "Refused"),
        (SourceHealth(looked_at=NOW, error=replace(FAILED, code="source-throttled")), "Throttled"),
        (
            SourceHealth(looked_at=NOW, error=replace(FAILED, code="invalid-compose-file")),
            "Unreadable",
        ),
    ],
)
def test_how_looking_at_a_source_goes(health: SourceHealth, word: str) -> None:
    assert badge_of_source(health).word == word


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (
            {"kind": "http", "port": 8080, "path": "/healthz", "status": "200"},
            "GET :8080/healthz is 200, 3 in a row",
        ),
        ({"kind": "tcp", "port": 5432, "successes": 1}, "port 5432 takes connections, once"),
        ({"kind": "command", "command": ["true"]}, "`true` ends with 0, 3 in a row"),
    ],
)
def test_a_health_check_in_words(declared: dict[str, object], words: str) -> None:
    assert check_in_words(parse_health_check(declared)) == words


def test_checks_are_told_as_they_were_read_back() -> None:
    evidence = {
        "probes": [
            {"check": "health", "problem": "503"},
            {"check": "health", "problem": ""},
            {"check": "ready", "problem": "refused"},
        ],
        "versions": [{"check": "version", "problem": "", "told": commit("a").text}],
    }
    record = TargetRecord(LOCAL, TargetStatus.VERIFIED, NOW, NOW, evidence=evidence)
    assert list(passed_checks(deployment(1, targets=(record,)))) == ["health", "version aaaaaaaa"]


def test_a_soak_is_told_in_a_unit_that_people_read() -> None:
    half = meter_of(Soak(timedelta(minutes=26), timedelta(minutes=30)))
    assert (half.stood, half.needed, half.unit) == (26, 30, "min")
    over = meter_of(Soak(timedelta(seconds=99), timedelta(seconds=60)))
    assert (over.stood, over.needed, over.unit) == (60, 60, "s")
