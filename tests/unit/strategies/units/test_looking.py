"""What systemd says of a unit, and what it means."""

import pytest

from reconciler.domain.references import CommitSha, ServiceName
from reconciler.domain.verification import RunState
from reconciler.strategies.units.looking import Look, parse_look
from reconciler.testing import digest_of

NEW, OLD = digest_of("new"), digest_of("old")
COMMIT = CommitSha("a" * 40)


def look(active: str = "active", sub: str = "running", **more: str) -> Look:
    values = {"LoadState": "loaded", "ActiveState": active, "SubState": sub, **more}
    return parse_look("".join(f"{name}={value}\n" for name, value in values.items()))


def deployed(**more: str) -> Look:
    return look(Release="a-b", Deployment="3", Commit=COMMIT.text, Digest=NEW.text[7:], **more)


@pytest.mark.parametrize(
    ("active", "sub", "state"),
    [
        ("active", "running", RunState.RUNNING),
        ("active", "exited", RunState.EXITED),
        ("reloading", "reload", RunState.RUNNING),
        ("activating", "start", RunState.CREATED),
        ("activating", "auto-restart", RunState.RESTARTING),
        ("activating", "auto-restart-queued", RunState.RESTARTING),
        ("deactivating", "stop-sigterm", RunState.RESTARTING),
        ("failed", "failed", RunState.EXITED),
        ("inactive", "dead", RunState.EXITED),
        ("maintenance", "", RunState.DEAD),
        ("unheard-of", "", RunState.DEAD),
    ],
)
def test_systemds_words_are_taken_to_the_engines(active: str, sub: str, state: RunState) -> None:
    assert look(active, sub).sample(ServiceName("web"), "web.service", None).state is state


@pytest.mark.parametrize(
    ("code", "status", "seen"), [("1", "3", 3), ("2", "9", 137), ("3", "11", 139), ("0", "", 0)]
)
def test_an_exit_status_is_shown_as_a_shell_would(code: str, status: str, seen: int) -> None:
    ended = look("failed", "failed", ExecMainCode=code, ExecMainStatus=status)
    assert ended.sample(ServiceName("web"), "web.service", None).exit_status == seen


def test_a_new_life_of_the_process_shows_and_the_unit_stays_the_same_one() -> None:
    first, second = (
        look(InvocationID=life, NRestarts=restarts).sample(ServiceName("web"), "web.service", NEW)
        for life, restarts in (("aa", "0"), ("bb", "1"))
    )
    assert first.id == second.id
    assert first.started_at != second.started_at
    assert (first.restarts, second.restarts) == (0, 1)


def test_what_nobody_can_tell_has_no_digest() -> None:
    assert look().sample(ServiceName("web"), "web.service", None).digests == frozenset()


def test_a_program_can_not_pass_off_its_own_lines_as_ours() -> None:
    """The first line of a name counts, and systemd's come first."""
    assert parse_look("LoadState=not-found\nLoadState=loaded\n").exists is False
    assert parse_look("").exists is False


def test_a_report_names_commit_and_release_of_what_runs() -> None:
    report = deployed(StateChangeTimestamp="Wed").report(NEW)
    assert (report.state, report.commit, report.release) == ("active (running)", COMMIT, "a-b")
    assert report.since == "Wed"
    assert "differs" not in dict(report.detail)


@pytest.mark.parametrize("running", [OLD, None])
def test_a_report_names_no_commit_of_what_it_does_not_know(running: object) -> None:
    report = deployed(Program="/usr/bin/other").report(OLD if running else None)
    assert (report.commit, report.release) == (None, "")
    what = OLD.short if running else "/usr/bin/other"
    assert dict(report.detail)["differs"] == f"current is a-b, and {what} runs"


def test_a_report_says_what_is_not_confirmed_and_what_went_back() -> None:
    detail = dict(deployed(Pending="4 3", Reverted="2 2030-01-01T00:00:00Z").report(NEW).detail)
    assert detail["unconfirmed"] == "deployment 4"
    assert detail["went back"].startswith("deployment 2 was not confirmed in time")


def test_a_report_of_nothing_says_so() -> None:
    assert parse_look("LoadState=not-found\n").report(None).state == "no such unit"
