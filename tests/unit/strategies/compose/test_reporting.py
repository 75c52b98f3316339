"""What a person is told of a compose project that runs."""

from dataclasses import replace

from reconciler.domain.references import CommitSha, Digest, ServiceName
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.strategies.compose.reporting import report_of

DIGEST = Digest("sha256:" + "a" * 64)
OTHER = Digest("sha256:" + "b" * 64)
COMMIT = "c" * 40
WEB = Sample(
    id="1" * 64,
    service=ServiceName("web"),
    state=RunState.RUNNING,
    digests=frozenset({DIGEST}),
    health=Health.HEALTHY,
    restarts=0,
    exit_status=None,
    started_at="2030-01-02T00:00:00Z",
)
FACTS = {"commit": COMMIT, "web.sha": str(DIGEST)}


def test_the_commit_is_told_where_what_runs_is_what_was_recorded_with_it() -> None:
    """A service without a recorded digest is none of ours to compare."""
    database = replace(WEB, service=ServiceName("db"), digests=frozenset({OTHER}))
    assert report_of([WEB, database], FACTS).commit == CommitSha(COMMIT)


def test_no_commit_is_told_where_nobody_knows_it() -> None:
    """Another digest runs, or nothing does, or nothing was recorded."""
    assert report_of([replace(WEB, digests=frozenset({OTHER}))], FACTS).commit is None
    assert report_of([replace(WEB, state=RunState.EXITED)], FACTS).commit is None
    assert report_of([], FACTS).commit is None
    assert report_of([WEB], {"web.sha": str(DIGEST)}).commit is None


def test_a_service_named_as_our_own_file_is_not_taken_for_it() -> None:
    """Its digest is in ``commit.sha``, and the commit is in ``commit``."""
    service = replace(WEB, service=ServiceName("commit"))
    facts = {"commit": COMMIT, "commit.sha": str(OTHER)}
    assert report_of([service], facts).commit is None
    assert report_of([service], {**facts, "commit.sha": str(DIGEST)}).commit == CommitSha(COMMIT)


def test_states_digests_and_the_oldest_start_are_told() -> None:
    """In the engine's own words."""
    later = replace(WEB, id="2" * 64, started_at="2030-01-03T00:00:00Z")
    ended = replace(WEB, id="3" * 64, state=RunState.EXITED, health=Health.NONE)
    report = report_of([later, WEB, ended], FACTS)
    assert report.state == "1 exited, 2 running"
    assert report.release == DIGEST.short
    assert report.since == WEB.started_at
    assert ("web", f"running (healthy), {DIGEST.short}") in report.detail
    assert report_of([], {}).state == "no containers"


def test_of_all_names_of_an_image_the_one_it_was_pinned_by_is_told() -> None:
    """An engine knows an image by its own id as well."""
    web = replace(WEB, digests=frozenset({DIGEST, OTHER}))
    assert report_of([web], FACTS).release == DIGEST.short
    assert report_of([web], {}).release == f"{DIGEST.short} {OTHER.short}"
