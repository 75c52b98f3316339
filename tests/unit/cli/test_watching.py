"""Waiting for a deployment: its lines, its end, and the exit status of each."""

import signal
import subprocess
import sys
import time

import pytest

from tests.parts.waiting import eventually
from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, events, problem

DEPLOY = "POST /api/v1/projects/shop/deployments"
ONE = "GET /api/v1/deployments/12"
LOG = "GET /api/v1/deployments/12/log"


def deployment(status: str, **more: object) -> Said:
    final = status not in {"queued", "running"}
    at = "2026-01-01T00:00:00Z"
    return Said(
        {
            "id": 12,
            "project": "shop",
            "status": status,
            "finished_at": at if final else None,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [
        ("deployed", 0),
        ("failed", 11),
        ("rolled-back", 12),
        ("needs-operator", 13),
        ("superseded", 14),
        ("withdrawn", 14),
    ],
)
def test_end_of_a_deployment(daemon: DaemonStub, run: Run, status: str, exit_status: int) -> None:
    """The exit status says how it ended; the lines come as they are, then the verdict."""
    error = {"message": "web was not healthy", "remedy": "look at its log"} if exit_status else None
    daemon.says(DEPLOY, deployment("queued"))
    daemon.says(LOG, events((1, "prepare", "fetched"), (2, "apply", "web started"), end=status))
    daemon.says(
        ONE, deployment(status, error=error, superseded_by=13 if exit_status == 14 else None)
    )
    ended = run("deploy", "shop", "--wait")
    assert ended.status == exit_status
    assert ended.out.splitlines()[:2] == ["prepare   fetched", "apply     web started"]
    verdict = (ended.out + ended.err).splitlines()[-1]
    assert f"{status}: deployment 12 of shop" in verdict
    assert ("look at its log" in verdict) is bool(exit_status)


@pytest.mark.parametrize("command", ["deploy shop --wait", "deploy shop", "rollback shop --wait"])
def test_refusal(daemon: DaemonStub, run: Run, command: str) -> None:
    """What the gate refuses ends with 10 and its reason; other conflicts do not."""
    refused = problem(409, "quarantined", "it was rolled back", reasons=[{"code": "quarantined"}])
    for request in (DEPLOY, "POST /api/v1/projects/shop/rollback"):
        daemon.says(request, refused, problem(409, "conflict", "in between"))
    first, second = run(*command.split()), run(*command.split())
    assert (first.status, second.status) == (10, 1)
    assert "it was rolled back; `--force`" in first.err


def test_broken_stream_goes_on_where_it_stopped(daemon: DaemonStub, run: Run) -> None:
    """No line is lost and none is shown twice when the connection or the daemon goes away."""
    daemon.says(DEPLOY, deployment("queued"))
    daemon.says(
        LOG,
        events((1, "apply", "one"), (2, "apply", "two"), end=None),
        problem(503, "draining", "it stops"),
        events((3, "verify", "three")),
    )
    daemon.says(
        ONE, deployment("running"), problem(503, "draining", "it stops"), deployment("deployed")
    )
    ended = run("deploy", "shop", "--wait")
    assert ended.status == 0, ended.err
    assert [line.split()[-1] for line in ended.out.splitlines()[:3]] == ["one", "two", "three"]
    afters = [asked.query["after"] for asked in daemon.asked if asked.path.endswith("/log")]
    assert afters == ["0", "2", "2", "3"]


def test_waiting_has_an_end(daemon: DaemonStub, run: Run) -> None:
    """``--timeout`` ends the waiting, not the deployment."""
    daemon.says(DEPLOY, deployment("queued"))
    daemon.says(ONE, deployment("running"))

    def quiet() -> Said:
        time.sleep(1.2)  # the server's silence is what is under test
        return events(end=None)

    daemon.says(LOG, quiet)
    ended = run("deploy", "shop", "--wait", "--timeout", "1")
    assert ended.status == 15
    assert "it goes on: `reconciler logs 12 -f`" in ended.err


#: A test run in the background passes on that SIGINT is ignored; a terminal never does.
_HEARS_CTRL_C = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("reconciler", run_name="__main__", alter_sys=True)
"""


def test_interrupt_detaches(daemon: DaemonStub) -> None:
    """Ctrl-C leaves the deployment alone, and says how to look again."""
    daemon.says(DEPLOY, deployment("queued"))
    daemon.says(ONE, deployment("running"))
    daemon.says(LOG, events((1, "apply", "one"), end=None))
    child = subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C, "deploy", "shop", "--wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: any(asked.path.endswith("/log") for asked in daemon.asked))
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 130
    assert said.splitlines()[-1] == (
        "detached; deployment 12 goes on. Look again: reconciler logs 12 -f"
    )
    assert {asked.method for asked in daemon.asked} == {"POST", "GET"}


def test_log_that_is_no_stream(daemon: DaemonStub, run: Run) -> None:
    """A page in place of the stream is an error, not an endless wait."""
    daemon.says(LOG, Said("<html>", content_type="text/html"))
    daemon.says(ONE, deployment("running"))
    ended = run("logs", "12", "-f")
    assert ended.status == 1
    assert "can't be understood" in ended.err


@pytest.mark.parametrize("subject", ["12", "shop"])
def test_log_of_a_deployment_or_a_project(daemon: DaemonStub, run: Run, subject: str) -> None:
    """A number is a deployment; a name is a project, and means its newest. All pages are read."""
    daemon.says(ONE, deployment("deployed"))
    newest = deployment("deployed").body
    daemon.says("GET /api/v1/projects/shop/deployments", Said({"items": [newest], "next": None}))
    pages = [
        Said({"items": [{"number": n, "stage": "apply", "text": f"line {n}"}], "finished": True})
        for n in (1, 2)
    ]
    daemon.says(LOG, *pages, Said({"items": [], "finished": True}))
    ended = run("logs", subject)
    assert ended.status == 0
    assert ended.out.splitlines()[:2] == ["apply     line 1", "apply     line 2"]


def test_project_that_was_never_deployed(daemon: DaemonStub, run: Run) -> None:
    """It has no log, and ``why`` knows more."""
    daemon.says("GET /api/v1/projects/shop/deployments", Said({"items": [], "next": None}))
    ended = run("logs", "shop")
    assert ended.status == 66
    assert "`reconciler why shop`" in ended.err
