"""``reconciler release``: 0 only for what was verified, and an exit status for every other end."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from reconciler.cli import show
from reconciler.cli.client import Client
from reconciler.cli.failure import CommandFailed
from reconciler.cli.watching import follow
from reconciler.config import find_api
from tests.parts.waiting import eventually
from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, events, problem
from tests.unit.cli.test_watching import _HEARS_CTRL_C, DEPLOY, LOG, ONE, deployment

COMMIT, OTHER = "a" * 40, "b" * 40
TARGET = "GET /api/v1/projects/shop/targets/local/status"
WITHDRAW = "POST /api/v1/deployments/12/withdraw"
STAGES = {
    "revision": {"commit": COMMIT, "images": {}},
    "targets": [{"host": "local", "status": "verified"}],
    "stages": [
        {"stage": "prepare", "started_at": "2026-01-01T00:00:00Z", "seconds": 1.24,
         "usual_seconds": 2.5, "outcome": "ok"},
        {"stage": "verify", "started_at": "2026-01-01T00:00:02Z", "seconds": 5,
         "usual_seconds": None, "outcome": "ok"},
    ],
    "ahead": [],
}  # fmt: skip


def queued() -> Said:
    return deployment("queued", revision={"commit": COMMIT, "images": {}}, stages=[])


def ended(status: str = "deployed", **more: object) -> Said:
    return deployment(status, **{**STAGES, **more})


def already_live() -> Said:
    reasons = [{"code": "already-live", "text": "it is live", "deployment": 12}]
    return problem(409, "already-live", "deployment 12 of this revision is live", reasons=reasons)


def test_verified(daemon: DaemonStub, run: Run) -> None:
    """0, with the lines, what each stage took and usually takes, and the verdict last."""
    daemon.says(DEPLOY, queued())
    daemon.says(LOG, events((1, "prepare", "fetched")))
    daemon.says(ONE, ended())
    done = run("release", "shop", "--commit", COMMIT, "--host", "local", "--reason", "1.4")
    assert done.status == 0, done.err
    asked, first, begun, second, *rest = done.out.splitlines()
    assert asked == "deployment 12 of shop, commit aaaaaaaa"
    assert first == "prepare   fetched"
    assert begun == "prepare   begins (usually 2.5 s)"
    assert second == "verify    begins"
    assert [line.split() for line in rest[:3]] == [
        ["STAGE", "TOOK", "USUALLY", "OUTCOME"],
        ["prepare", "1.2", "s", "2.5", "s", "ok"],
        ["verify", "5.0", "s", "ok"],
    ]
    assert rest[-1] == "deployed: deployment 12 of shop; commit aaaaaaaa"
    assert daemon.asked[0].body == {"commit": COMMIT, "hosts": ["local"], "reason": "1.4"}


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [("failed", 11), ("rolled-back", 12), ("needs-operator", 13), ("superseded", 14),
     ("withdrawn", 14), ("of-a-newer-daemon", 11)],
)  # fmt: skip
def test_any_other_end(daemon: DaemonStub, run: Run, status: str, exit_status: int) -> None:
    """An end that nobody knows is no success either."""
    daemon.says(DEPLOY, queued())
    daemon.says(LOG, events())
    daemon.says(ONE, ended(status, finished_at="2026-01-01T00:00:00Z"))
    done = run("release", "shop")
    assert (done.status, done.err.count("\n")) == (exit_status, 1)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"revision": {"commit": OTHER}}, "commit aaaaaaaa was asked for"),
        ({"targets": [{"host": "web2", "status": "applied"}]}, "not verified on web2"),
        ({"targets": []}, "not verified on any host"),
    ],
)
def test_deployed_is_not_believed(
    daemon: DaemonStub, run: Run, found: dict[str, Any], said: str
) -> None:
    """Another revision, or one that was not verified everywhere, ends with 11."""
    daemon.says(DEPLOY, queued())
    daemon.says(LOG, events())
    daemon.says(ONE, ended(**found))
    done = run("release", "shop")
    assert done.status == 11
    assert said in done.err


def test_refused(daemon: DaemonStub, run: Run) -> None:
    daemon.says(DEPLOY, problem(409, "quarantined", "it was rolled back"))
    done = run("release", "shop", "--json")
    assert (done.status, done.out) == (10, "")


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ({"deployment": 12, "differs": False}, 0),
        ({"deployment": 12, "differs": True, "differences": ["web runs something else"]}, 10),
        ({"deployment": 12, "differs": None, "error": {"message": "it hangs"}}, 10),
        ({"deployment": 13, "differs": False}, 10),
    ],
)
def test_already_live(daemon: DaemonStub, run: Run, now: dict[str, Any], status: int) -> None:
    """0 only if what runs at this moment is what was verified."""
    daemon.says(DEPLOY, already_live())
    daemon.says(ONE, ended())
    daemon.says(TARGET, Said(now))
    done = run("release", "shop")
    assert done.status == status, done.err
    assert ("live already" in done.out) is (status == 0)


def test_json(daemon: DaemonStub, run: Run) -> None:
    """One object on stdout; everything that is for people on stderr."""
    daemon.says(DEPLOY, queued())
    daemon.says(LOG, events((1, "prepare", "fetched")))
    daemon.says(ONE, ended())
    done = run("release", "shop", "--json")
    assert json.loads(done.out)["status"] == "deployed"
    assert done.err.splitlines()[1] == "prepare   fetched"
    assert "deployed: deployment 12" in done.err


def test_the_record_says_how_it_ended_never_the_connection(daemon: DaemonStub, run: Run) -> None:
    """Full of followers, gone, or broken: it asks again, and the end of a stream proves nothing."""
    daemon.says(DEPLOY, queued())
    daemon.says(LOG, problem(503, "unavailable", "64 are followed"), events(end="deployed"))
    daemon.says(ONE, ended("running"), problem(502, "x", "a proxy"), ended("rolled-back"))
    assert run("release", "shop").status == 12


@pytest.mark.parametrize(
    ("number", "taken_back", "said"),
    [
        (signal.SIGTERM, None, "detached; deployment 12 goes on"),
        (signal.SIGINT, ended("withdrawn"), "was taken back"),
        (signal.SIGINT, problem(409, "conflict", "it has begun"), "detached; deployment 12 goes"),
    ],
)
def test_interrupted(
    daemon: DaemonStub, number: signal.Signals, taken_back: Said | None, said: str
) -> None:
    """130; it is taken back only where that was wished for and nothing was changed yet."""
    daemon.says(DEPLOY, queued())
    daemon.says(ONE, ended("running"))
    daemon.says(LOG, events((1, "prepare", "one"), end=None))
    options = ["--cancel-on-interrupt"] if taken_back else []
    daemon.says(WITHDRAW, taken_back or ended())
    child = subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C, "release", "shop", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: any(one.path.endswith("/log") for one in daemon.asked))
    child.send_signal(number)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert said in err.splitlines()[-1]
    assert any(one.path.endswith("/withdraw") for one in daemon.asked) is bool(taken_back)


def test_interrupted_after_its_end(daemon: DaemonStub) -> None:
    """What ended meanwhile does not go on: how it ended is said."""
    daemon.says(DEPLOY, queued())
    daemon.says(ONE, lambda: ended() if _withdrawn(daemon) else ended("running"))
    daemon.says(LOG, events((1, "prepare", "one"), end=None))
    daemon.says(WITHDRAW, problem(409, "conflict", "deployment 12 has ended already: deployed"))
    child = subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C, "release", "shop", "--cancel-on-interrupt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: any(one.path.endswith("/log") for one in daemon.asked))
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err == "it had ended already: deployed: deployment 12 of shop; commit aaaaaaaa\n"


def _withdrawn(daemon: DaemonStub) -> bool:
    return any(one.path.endswith("/withdraw") for one in daemon.asked)


def test_stages_begin_before_their_lines(daemon: DaemonStub, run: Run) -> None:
    """Also those that were over before anybody was told of them; each begins once."""
    ahead = [{"stage": name, "usual_seconds": None} for name in ("prepare", "gate", "verify")]
    daemon.says(DEPLOY, deployment("queued", **{**STAGES, "stages": [], "ahead": ahead}))
    daemon.says(LOG, events((1, "prepare", "fetched"), (2, "verify", "well")))
    daemon.says(ONE, ended())
    shown = run("release", "shop").out.splitlines()[1:5]
    assert [line.split()[:2] for line in shown] == [
        ["prepare", "begins"],
        ["prepare", "fetched"],
        ["verify", "begins"],
        ["verify", "well"],
    ]


def test_late(daemon: DaemonStub, run: Run) -> None:
    """15, and it goes on; what is known by then is the JSON."""
    daemon.says(DEPLOY, queued())
    daemon.says(ONE, ended("running"))
    daemon.says(LOG, events(end=None))
    done = run("release", "shop", "--timeout", "1", "--json")
    assert done.status == 15
    assert json.loads(done.out)["status"] == "running"


def test_a_daemon_that_stays_away(daemon: DaemonStub) -> None:
    """Nobody knows how it goes on, and nobody says that it went well."""
    daemon.says(LOG, events(end=None))
    daemon.says(ONE, problem(503, "draining", "it stops"))
    client, out = Client(find_api("")), show.console(error=True)
    with pytest.raises(CommandFailed, match="nobody knows how deployment 12 goes on") as failed:
        follow(client, dict(queued().body), out, None, patience_seconds=0.1)  # type: ignore[call-overload]
    assert failed.value.status == 75
