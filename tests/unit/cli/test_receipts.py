"""Receipts on the terminal: shown, checked without trust in the daemon, compared with what runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.signing import SigningKey
from reconciler.domain.receipt import canonical, hash_of
from reconciler.domain.secret import Secret
from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said

KEY, OTHER = (SigningKey(Secret.of(one * 32)) for one in ("01", "02"))
NOW = "2026-01-01T00:00:00+00:00"
SHA = "1f2e3d4c5b6a798081920a1b2c3d4e5f60718293"
DIGEST, ANOTHER = "sha256:" + "4f" * 32, "sha256:" + "aa" * 32
EVIDENCE = {
    "verify": {
        "running": [{"service": "web", "state": "running", "digests": [DIGEST]}],
        "probes": [
            {
                "check": "health",
                "asked": "http://127.0.0.1:8080/healthz",
                "status": 200,
                "problem": "",
            }
        ],
        "versions": [],
    }
}
WEB = {"name": "web", "digest": DIGEST, "release": None, "replicas": 1, "may_finish": False}
JOB = {"name": "job", "digest": None, "release": None, "replicas": 1, "may_finish": True}


def content(number: int = 1, previous: str = "", **more: object) -> dict[str, Any]:
    return {
        "format": "reconciler-receipt/1",
        "number": number,
        "previous": previous,
        "daemon": {"version": "1.0", "key": KEY.id},
        "deployment": 11 + number,
        "project": "shop",
        "status": "deployed",
        "triggers": [{"trigger": "push", "actor": "ada", "detail": "main moved"}],
        "before": {"commit": None, "images": {}},
        "after": {"commit": SHA, "images": {}},
        "stages": [{"stage": "apply", "outcome": "ok", "seconds": 2.74}],
        "targets": [
            {"host": "web1", "status": "verified", "services": [WEB, JOB], "evidence": EVIDENCE}
        ],
        "rolled_back_to": None,
        "ended_at": NOW,
        **more,
    }


def signed(said: dict[str, Any], key: SigningKey = KEY, **more: object) -> dict[str, Any]:
    text = canonical(said)
    named = {name: said[name] for name in ("number", "deployment", "project", "status")}
    whole = {"at": NOW, "receipt": said, "text": text, "signature": key.sign(text)}
    return {**named, **whole, "hash": hash_of(text), **more}


FIRST = signed(content())
SECOND = signed(content(2, FIRST["hash"]))
UNIT = {"name": "api", "digest": DIGEST, "release": "42-1f2e", "replicas": 1, "may_finish": False}


@pytest.fixture(autouse=True)
def answers(daemon: DaemonStub) -> None:
    """The daemon has one receipt and its key."""
    daemon.says("GET /api/v1/receipts", Said({"items": [FIRST], "next": None}))
    daemon.says("GET /api/v1/deployments/12/receipt", Said(FIRST))
    daemon.says("GET /api/v1/receipts/key", Said({"id": KEY.id, "pem": KEY.pem}))


def test_a_receipt_is_listed_and_shown(run: Run) -> None:
    """By its deployment, or as a project's newest; with --json as it is signed."""
    assert "deployed" in run("receipt", "list", "shop").out
    for subject in ("12", "shop"):
        shown = run("receipt", "show", subject).out
        for part in (
            *("12 of shop", "push", "main moved", SHA[:8], KEY.id, "apply", "2.7 s"),
            *("running 4f4f4f4f", "http://127.0.0.1:8080/healthz", "200"),
        ):
            assert part in shown, part
    assert json.loads(run("receipt", "show", "12", "--json").out) == FIRST
    assert run("receipt", "key").out == KEY.pem


def test_one_is_checked_here(daemon: DaemonStub, run: Run, home: Path) -> None:
    """Whatever the daemon says of it: with its key, or with one that was kept elsewhere."""
    assert f"receipt 1: as signed with key {KEY.id}" in run("receipt", "verify", "shop").out
    (home / "key.pem").write_text(OTHER.pem)
    told = run("receipt", "verify", "12", "--key", str(home / "key.pem"))
    assert (told.status, "is of another key" in told.err) == (1, True)
    forged = {**FIRST, "receipt": {**content(), "triggers": []}}
    daemon.says("GET /api/v1/deployments/12/receipt", Said(forged))
    told = run("receipt", "verify", "12")
    assert (told.status, "is shown as another one" in told.err) == (1, True)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        pytest.param([FIRST], "", id="one"),
        pytest.param([FIRST, SECOND], "", id="a chain"),
        pytest.param([SECOND], "", id="one of many"),
        pytest.param([SECOND, FIRST], "receipt 3 is missing", id="reordered"),
        pytest.param([FIRST, FIRST], "receipt 2 is missing", id="repeated"),
        pytest.param(
            [{**FIRST, "text": FIRST["text"].replace("ada", "eve")}],
            "receipt 1 is not as it was signed",
            id="changed",
        ),
        pytest.param([{**FIRST, "project": "web"}], "as that of project shop", id="renamed"),
        pytest.param([{**FIRST, "hash": "0" * 64}], "as another one than its text", id="hash"),
        pytest.param([signed(content(), OTHER)], "is not as it was signed", id="another key"),
    ],
)
def test_files_are_checked_without_a_daemon(
    run: Run, home: Path, documents: list[dict[str, Any]], problem: str
) -> None:
    """One document, or an export; nobody is asked."""
    (home / "key.pem").write_text(KEY.pem)
    file = home / "receipts.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in documents))
    (home / "key.pem").write_text(KEY.pem)
    ended = run("--url", "http://127.0.0.1:9", "receipt", "verify", "--file", str(file),
                "--key", str(home / "key.pem"))  # fmt: skip
    assert (ended.status, problem in ended.err) == (1 if problem else 0, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it holds no JSON object"),
        ("[]", "it holds no JSON object"),
        ("{}", "'number' is missing"),
        (json.dumps({**FIRST, "number": "x"}), "'x' is no whole number"),
        (json.dumps({**FIRST, "text": 4}), "4 is no text"),
        (json.dumps({**FIRST, "status": "gone"}), "'gone' is not a valid Status"),
        ("[" * 200_000, "it holds no JSON object"),
    ],
)
def test_what_is_no_receipt(run: Run, home: Path, text: str, problem: str) -> None:
    """Is said as such, in one line."""
    (home / "key.pem").write_text(KEY.pem)
    file = home / "receipt.json"
    file.write_text(text)
    ended = run("receipt", "verify", "--file", str(file), "--key", str(home / "key.pem"))
    assert (ended.status, problem in ended.err, ended.err.count("\n")) == (65, True, 1)
    ended = run("receipt", "verify", "--file", str(file), "--key", str(file))
    assert (ended.status, "is not a public key in PEM" in ended.err) == (65, True)


def test_one_thing_is_checked_at_a_time(run: Run) -> None:
    """Else nobody knows what was."""
    assert run("receipt", "verify").status == 2
    assert run("receipt", "verify", "12", "--all").status == 2


@pytest.mark.parametrize(("problem", "status"), [(None, 0), ("receipt 3 is missing", 1)])
def test_all_are_checked_there(
    daemon: DaemonStub, run: Run, problem: str | None, status: int
) -> None:
    """And how they follow one another."""
    answer = {"intact": not problem, "receipts": 2, "problem": problem}
    daemon.says("GET /api/v1/receipts/check", Said(answer))
    ended = run("receipt", "verify", "--all")
    assert (ended.status, (problem or "receipts: 2") in ended.out + ended.err) == (status, True)


# ── What runs now ─────────────────────────────────────────────────────────────────────────────


def runs(service: str, state: str = "running", *digests: str, **more: object) -> dict[str, Any]:
    return {"service": service, "state": state, "digests": list(digests), **more}


def target(*running: dict[str, Any], release: str = "", **more: object) -> dict[str, Any]:
    now = {"state": "running", "commit": None, "release": release or None}
    return {"host": "web1", "now": now, "running": list(running), **more}


AS_SIGNED = (runs("web", "running", DIGEST, ANOTHER), runs("job", "exited"))
AWAY = target(now=None, error={"message": "web1 hangs"})


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        pytest.param([target(*AS_SIGNED)], "", id="the same"),
        pytest.param(
            [target(runs("web", "running", ANOTHER), AS_SIGNED[1])],
            "another image or program runs",
            id="another image",
        ),
        pytest.param([target(AS_SIGNED[1])], "0 of 1 are there", id="gone"),
        pytest.param(
            [target(runs("web", "exited", DIGEST), AS_SIGNED[1])], "is exited", id="ended"
        ),
        pytest.param(
            [target(runs("web", "running", DIGEST, health="unhealthy"), AS_SIGNED[1])],
            "is unhealthy",
            id="unhealthy",
        ),
        pytest.param([target(*AS_SIGNED, runs("x"))], "is not in the receipt", id="one more"),
        pytest.param([AWAY], "nobody could look: web1 hangs", id="away"),
        pytest.param([], "no such target any more", id="moved"),
        pytest.param(
            [target(*AS_SIGNED, now={"commit": "2" * 40})], "another commit runs", id="commit"
        ),
    ],
)
def test_what_runs_is_compared(
    daemon: DaemonStub, run: Run, targets: list[dict[str, Any]], problem: str
) -> None:
    """Service by service; exit status 1 where something else runs, or nobody can tell."""
    daemon.says("GET /api/v1/targets/status", Said({"items": targets}))
    ended = run("receipt", "verify", "--live", "shop")
    assert (ended.status, problem in ended.out) == (1 if problem else 0, True)
    told = json.loads(run("receipt", "verify", "--live", "shop", "--json").out)
    assert told["same"] == (not problem)
    assert any(problem in one["problem"] for one in told["items"])


@pytest.mark.parametrize(("release", "status"), [("42-1f2e", 0), ("41-0000", 1)])
def test_a_release_is_compared_by_its_name(
    daemon: DaemonStub, run: Run, release: str, status: int
) -> None:
    """And by what its program is."""
    where = [{"host": "web1", "status": "verified", "services": [UNIT]}]
    daemon.says("GET /api/v1/deployments/12/receipt", Said(signed(content(targets=where))))
    running = runs("api", "running", DIGEST)
    daemon.says("GET /api/v1/targets/status", Said({"items": [target(running, release=release)]}))
    assert run("receipt", "verify", "--live", "shop").status == status


def test_after_a_rollback_the_one_before_should_run(daemon: DaemonStub, run: Run) -> None:
    """Its receipt is what is compared."""
    back = signed(content(2, FIRST["hash"], status="rolled-back", rolled_back_to=12, targets=[]))
    daemon.says("GET /api/v1/receipts", Said({"items": [back], "next": None}))
    daemon.says("GET /api/v1/deployments/13/receipt", Said(back))
    daemon.says("GET /api/v1/targets/status", Said({"items": [target(*AS_SIGNED)]}))
    ended = run("receipt", "verify", "--live", "shop")
    assert (ended.status, "what runs is what receipt 1 says" in ended.out) == (0, True)


def test_nothing_was_ever_deployed(daemon: DaemonStub, run: Run) -> None:
    """Then there is nothing to compare."""
    daemon.says("GET /api/v1/receipts", Said({"items": [], "next": None}))
    assert run("receipt", "verify", "--live", "shop").status == 66
    assert run("receipt", "show", "shop").status == 66
