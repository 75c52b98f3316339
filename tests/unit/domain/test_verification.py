"""No false success: what runs, over time, and what it amounts to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.deployment import Built, Pin, PlannedService, PreparedTarget, Release
from reconciler.domain.references import CommitSha, Digest, ImageReference, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.verification import (
    Health,
    Judgement,
    Observation,
    RunState,
    Sample,
    Verdict,
    Window,
    judge,
    lives_untroubled,
)

PINNED = Digest("sha256:" + "a" * 64)
OLD = Digest("sha256:" + "b" * 64)
COMMIT, OTHER = CommitSha("c" * 40), CommitSha("d" * 40)
BUILT = Built(ImageReference.parse("acme/web:cccccccc"), PINNED)
PIN = Pin(ImageReference.parse("acme/web:1"), PINNED)
WINDOW = Window()
RUNNING = Sample("c1", "web", RunState.RUNNING, frozenset({PINNED}), started_at="0")

#: What the engine says of the project's containers at a second.
Timeline = Callable[[int], list[Sample]]


def planned(name: str = "web", **fields: object) -> PlannedService:
    return PlannedService(ServiceName(name), PIN, **fields)  # type: ignore[arg-type]


def prepared(*services: PlannedService) -> PreparedTarget:
    return PreparedTarget(Revision(COMMIT), services, "compose.yaml", ".deploy/o.yaml", "0" * 64)


def run(timeline: Timeline, *services: PlannedService) -> tuple[Judgement, int]:
    """Look once a second until there is a verdict; return it, and at which second it came."""
    seen: list[Observation] = []
    for second in range(1000):
        seen.append(Observation(timedelta(seconds=second), tuple(timeline(second))))
        judgement = judge(prepared(*(services or (planned(),))), seen, WINDOW)
        if judgement.verdict is not Verdict.UNDECIDED:
            return judgement, second
    raise AssertionError("there was never a verdict")


def exits(at: int, status: int) -> Timeline:
    """Run until ``at``, then end, and stay so."""
    ended = replace(RUNNING, state=RunState.EXITED, exit_status=status)
    return lambda second: [RUNNING if second < at else ended]


def crashes(every: int, times: int = 1000) -> Timeline:
    """Restart every so many seconds; a life's last second is 'restarting'."""

    def look(second: int) -> list[Sample]:
        life = min(second // every, times)
        between = life < times and second % every == every - 1
        state = RunState.RESTARTING if between else RunState.RUNNING
        status = 1 if between else None
        return [
            replace(RUNNING, state=state, restarts=life, started_at=str(life), exit_status=status)
        ]

    return look


def health(*phases: tuple[int, Health]) -> Timeline:
    """Run on, with the health check saying what the last phase that began says."""
    return lambda second: [
        replace(RUNNING, health=[says for since, says in phases if since <= second][-1])
    ]


def always(**fields: object) -> Timeline:
    return lambda second: [replace(RUNNING, **fields)]  # type: ignore[arg-type]


GOOD = [
    pytest.param(always(), planned(), 25, id="no-health-check-runs-on"),
    pytest.param(health((0, Health.HEALTHY)), planned(), 5, id="healthy-from-the-first-look"),
    pytest.param(
        health((0, Health.STARTING), (8, Health.HEALTHY)), planned(), 13, id="healthy-after-a-while"
    ),
    pytest.param(exits(0, 0), planned(may_finish=True), 0, id="one-shot-ended-well"),
    pytest.param(exits(7, 0), planned(may_finish=True), 7, id="one-shot-takes-its-time"),
    pytest.param(crashes(3, times=2), planned(), 31, id="slow-database-two-restarts-then-stable"),
    pytest.param(crashes(3, times=3), planned(), 34, id="as-many-restarts-as-allowed"),
    pytest.param(always(restarts=99), planned(), 25, id="restarts-before-the-first-look"),
    pytest.param(lambda second: [], planned(replicas=0), 0, id="scaled-to-nothing"),
    pytest.param(
        always(digests=frozenset({OLD, PINNED})), planned(), 25, id="known-by-two-digests"
    ),
    pytest.param(
        always(digests=frozenset({OLD})), replace(planned(), pin=None), 25, id="stateful-any-image"
    ),
    pytest.param(
        always(revision=str(COMMIT)), replace(planned(), pin=BUILT), 25, id="built-of-this-commit"
    ),
    pytest.param(always(revision=str(OTHER)), planned(), 25, id="pulled-of-another-repository"),
    pytest.param(
        always(revision=str(OTHER)),
        replace(planned(stateful=True), pin=BUILT),
        25,
        id="stateful-built-once",
    ),
    pytest.param(
        lambda second: [
            replace(RUNNING, version_doubt="" if second in {2, *range(5, 99)} else "?")
        ],
        planned(),
        30,
        id="tells-its-version-after-a-while",
    ),
    pytest.param(
        lambda second: [
            RUNNING,
            *(
                [replace(RUNNING, id="old", state=RunState.REMOVING, digests=frozenset())]
                if second < 2
                else []
            ),
        ],
        planned(),
        25,
        id="the-old-one-is-being-removed",
    ),
]


@pytest.mark.parametrize(("timeline", "service", "second"), GOOD)
def test_what_stays_well_for_its_window_is_good(
    timeline: Timeline, service: PlannedService, second: int
) -> None:
    """Neither sooner than its window, nor later."""
    judgement, at = run(timeline, service)
    assert judgement == Judgement(Verdict.GOOD)
    assert at == second


def test_a_unit_is_called_by_its_whole_name() -> None:
    """It is no container: neither is its name cut like an id, nor is it called one."""
    unit = PlannedService(ServiceName("web"), Release("one", PINNED))
    ended = replace(RUNNING, id="storefront.service", state=RunState.EXITED, exit_status=1)
    judgement, _ = run(lambda _: [ended], unit)
    assert judgement.problems == ("web: process storefront.service ended (exit status 1)",)
    restarting = replace(RUNNING, id="storefront.service", state=RunState.RESTARTING)
    judgement, _ = run(lambda _: [restarting], unit)
    assert judgement.problems == ("web: a process is restarting or not started yet",)
    judgement, _ = run(lambda _: [], unit)
    assert judgement.problems == ("web: its unit is not there",)


BAD = [
    pytest.param(exits(0, 1), planned(), "exit status 1", 0, id="exits-at-once"),
    pytest.param(exits(3, 1), planned(), "exit status 1", 3, id="exits-after-3-s"),
    pytest.param(exits(20, 137), planned(), "exit status 137", 20, id="exits-after-20-s"),
    pytest.param(exits(3, 0), planned(), "should keep running", 3, id="long-running-one-finishes"),
    pytest.param(exits(3, 1), planned(may_finish=True), "status 1", 3, id="one-shot-fails"),
    pytest.param(crashes(3), planned(), "keeps restarting", 12, id="crash-loop"),
    pytest.param(crashes(20), planned(), "keeps restarting", 80, id="slow-crash-loop"),
    pytest.param(
        lambda second: crashes(3)(second) if second else [],
        planned(),
        "keeps restarting",
        12,
        id="crash-loop-of-a-container-that-came-late",
    ),
    pytest.param(
        always(state=RunState.RESTARTING), planned(), "restarting", 300, id="restarting-on"
    ),
    pytest.param(health((0, Health.UNHEALTHY)), planned(), "is unhealthy", 0, id="unhealthy"),
    pytest.param(
        health((0, Health.HEALTHY), (3, Health.UNHEALTHY)),
        planned(),
        "is unhealthy",
        3,
        id="healthy-once-then-not",
    ),
    pytest.param(
        health((0, Health.STARTING)), planned(), "has not passed", 300, id="never-becomes-healthy"
    ),
    pytest.param(
        lambda second: health((0, Health.HEALTHY if second % 4 else Health.STARTING))(second),
        planned(),
        "has not passed",
        300,
        id="health-comes-and-goes",
    ),
    pytest.param(
        always(digests=frozenset({OLD})), planned(), "pinned is aaaaaaaaaaaa", 0, id="wrong-digest"
    ),
    pytest.param(always(digests=frozenset()), planned(), "unknown image", 0, id="no-digest"),
    pytest.param(
        lambda second: [RUNNING, replace(RUNNING, id="old", digests=frozenset({OLD}))],
        planned(),
        "container old runs bbbbbbbbbbbb",
        0,
        id="old-container-still-there",
    ),
    pytest.param(lambda second: [], planned(), "0 of 1 containers", 300, id="no-container"),
    pytest.param(
        always(revision=str(OTHER)),
        replace(planned(), pin=BUILT),
        f"labelled with '{OTHER}', deployed is {COMMIT}",
        0,
        id="built-of-another-commit",
    ),
    pytest.param(
        always(), replace(planned(), pin=BUILT), "labelled with 'no commit'", 0, id="built-by-whom"
    ),
    pytest.param(
        always(version_doubt="tells 1234567"),
        planned(),
        "container c1 is not proven to be this version: tells 1234567",
        300,
        id="tells-another-version",
    ),
    pytest.param(
        always(version=Health.UNHEALTHY, version_doubt="tells 1234567"),
        planned(),
        "container c1 is not this version (version: tells 1234567)",
        0,
        id="keeps-telling-another-version",
    ),
    pytest.param(always(), planned(replicas=2), "1 of 2 containers", 300, id="a-replica-missing"),
    pytest.param(
        lambda second: [RUNNING] if second < 4 else [], planned(), "vanished", 4, id="vanishes"
    ),
    pytest.param(
        always(state=RunState.CREATED), planned(), "not started yet", 300, id="never-started"
    ),
    pytest.param(always(state=RunState.PAUSED), planned(), "is paused", 0, id="paused"),
    pytest.param(always(state=RunState.DEAD), planned(), "is dead", 0, id="dead"),
    pytest.param(
        always(service="other"), planned(), "0 of 1 containers", 300, id="another-service-runs"
    ),
    pytest.param(
        lambda second: [replace(RUNNING, id=f"c{second}")],
        planned(),
        "well for 0 of 25 s",
        300,
        id="replaced-all-the-time",
    ),
    pytest.param(
        lambda second: [replace(RUNNING, started_at=str(second // 20))],
        planned(),
        "well for",
        300,
        id="started-anew-by-hand",
    ),
]


@pytest.mark.parametrize(("timeline", "service", "problem", "second"), BAD)
def test_what_is_not_well_is_bad(
    timeline: Timeline, service: PlannedService, problem: str, second: int
) -> None:
    """At once where it can't get better, at the timeout where it might have; and says what."""
    judgement, at = run(timeline, service)
    assert judgement.verdict is Verdict.BAD
    assert problem in "; ".join(judgement.problems)
    assert at == second


def test_every_service_has_to_be_well() -> None:
    """The slowest decides, and one that is bad is enough."""
    database = replace(RUNNING, id="d1", service="db", health=Health.HEALTHY)
    both, at = run(lambda second: [RUNNING, database], planned(), planned("db"))
    assert (both.verdict, at) == (Verdict.GOOD, 25)
    sick = replace(database, health=Health.UNHEALTHY)
    one, at = run(lambda second: [RUNNING, sick], planned(), planned("db"))
    assert (one.verdict, at) == (Verdict.BAD, 0)
    assert one.problems == ("db: container d1 is unhealthy",)


def test_one_of_two_containers_that_tells_another_version_is_enough() -> None:
    """Every container has to be the version that was deployed."""
    both = [RUNNING, replace(RUNNING, id="c2", version_doubt="tells 1234567")]
    judgement, at = run(lambda _: both, planned(replicas=2))
    assert (judgement.verdict, at) == (Verdict.BAD, 300)
    assert "container c2" in judgement.problems[0]


def test_what_was_verified_before_is_looked_at_briefly() -> None:
    """A few looks; never more than the usual window, and with all else as ever."""
    assert WINDOW.brief == replace(
        WINDOW, healthy=timedelta(seconds=0.4), unchecked=timedelta(seconds=0.4)
    )
    short = replace(WINDOW, healthy=timedelta(seconds=0.1))
    assert short.brief.healthy == short.healthy
    first = observed([[RUNNING]])
    assert judge(prepared(planned()), first, WINDOW.brief).problems == ("web: well for 0 of 0.4 s",)


@pytest.mark.parametrize(
    "change",
    [
        {"state": RunState.RESTARTING},
        {"health": Health.STARTING},
        {"health": Health.UNHEALTHY},
        {"restarts": 1},
    ],
    ids=str,
)
def test_what_is_not_well_was_not_left_well(change: dict[str, object]) -> None:
    """Not even in part: one in trouble is enough to watch all of it."""
    database = replace(RUNNING, id="d1", service="db", health=Health.HEALTHY)
    assert lives_untroubled([RUNNING, database]) == {RUNNING.life, database.life}
    changed = replace(database, **change)  # type: ignore[arg-type]
    assert lives_untroubled([RUNNING, changed]) == frozenset()


def test_no_service_is_no_success() -> None:
    """Nothing to verify verifies nothing."""
    seen = [Observation(timedelta(0), (RUNNING,))]
    assert judge(prepared(), seen, WINDOW).verdict is Verdict.BAD


def test_one_look_is_never_enough_for_what_should_keep_running() -> None:
    """Whatever it shows."""
    for says in (Health.NONE, Health.HEALTHY):
        seen = [Observation(timedelta(0), (replace(RUNNING, health=says),))]
        assert judge(prepared(planned()), seen, WINDOW).verdict is Verdict.UNDECIDED


samples = st.builds(
    Sample,
    id=st.sampled_from(["c1", "c2"]),
    service=st.sampled_from(["web", "db"]),
    state=st.sampled_from(RunState),
    digests=st.sampled_from([frozenset({PINNED}), frozenset({OLD}), frozenset({OLD, PINNED})]),
    health=st.sampled_from(Health),
    restarts=st.integers(0, 6),
    exit_status=st.sampled_from([None, 0, 1]),
    started_at=st.sampled_from(["0", "1"]),
)
histories = st.lists(
    st.lists(samples, max_size=3, unique_by=lambda s: s.id), min_size=1, max_size=8
)


def observed(history: list[list[Sample]], step: int = 10) -> list[Observation]:
    return [
        Observation(timedelta(seconds=step * at), tuple(containers))
        for at, containers in enumerate(history)
    ]


@given(histories, st.booleans())
def test_good_always_means_the_pinned_image_and_no_trouble(
    history: list[list[Sample]], may_finish: bool
) -> None:
    """Whatever came before, a success is never one in spite of the last look."""
    judgement = judge(prepared(planned(may_finish=may_finish)), observed(history), WINDOW)
    if judgement.verdict is not Verdict.GOOD:
        assert judgement.problems
        return
    mine = [s for s in history[-1] if s.service == "web" and s.state != RunState.REMOVING]
    assert mine
    for sample in mine:
        assert PINNED in sample.digests
        assert sample.health is not Health.UNHEALTHY
        finished = sample.state is RunState.EXITED and sample.exit_status == 0
        assert sample.state is RunState.RUNNING or (finished and may_finish)


@given(histories)
def test_a_verdict_comes_with_the_timeout(history: list[list[Sample]]) -> None:
    """There is no history that stays undecided for ever."""
    late = [replace(one, at=one.at + WINDOW.timeout) for one in observed(history)]
    assert judge(prepared(planned()), late, WINDOW).verdict is not Verdict.UNDECIDED


@given(histories)
def test_other_projects_services_play_no_part(history: list[list[Sample]]) -> None:
    """A verdict about one service looks at its containers only."""
    only_own = [[s for s in containers if s.service == "web"] for containers in history]
    whole = judge(prepared(planned()), observed(history), WINDOW)
    assert whole == judge(prepared(planned()), observed(only_own), WINDOW)


def test_of_more_than_there_have_to_be_some_may_go() -> None:
    """An autoscaler takes one away while it is watched: the others are well all the same."""
    two = [RUNNING, replace(RUNNING, id="c2")]
    judgement, second = run(lambda second: two if second < 4 else two[:1])
    assert (judgement.verdict, second) == (Verdict.GOOD, 29)


def test_a_pod_is_called_by_its_whole_name() -> None:
    """A container's id is cut as everybody cuts it; a name would be another one then."""
    pod = replace(RUNNING, id="web-5d4f7b9c6d-x7k2p/app", digests=frozenset({OLD}))
    judgement, _ = run(lambda _: [pod])
    assert "container web-5d4f7b9c6d-x7k2p/app runs" in judgement.problems[0]
