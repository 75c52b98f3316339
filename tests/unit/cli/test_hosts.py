"""Confirming hosts and setting them up: what is asked, what is said, and how each thing ends."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

FINGERPRINT = "SHA256:" + "a" * 43
OFFERED = {"items": [{"fingerprint": FINGERPRINT, "key": "ssh-ed25519 AAAA", "trusted": False}]}
ANSWERS = {
    "health": {"reachable": True, "error": None},
    "facts": {"user": "deploy", "has_systemd": True, "tools": ["git", "rsync"]},
}
REFUSES = {
    "health": {
        "reachable": False,
        "error": {"message": "host web1 does not let us in", "remedy": "give it another key"},
    }
}
SETUP = "POST /api/v1/projects/api/targets/web1/setup"


def stream(*lines: str, problem: str = "null") -> Said:
    """Return what setting a target up says."""
    text = ": still here\n\n" + "".join(
        f'event: line\ndata: {{"text": "{line}"}}\n\n' for line in lines
    )
    return Said(f'{text}event: end\ndata: {{"problem": {problem}}}\n\n', 200, "text/event-stream")


@pytest.fixture
def offering(daemon: DaemonStub) -> DaemonStub:
    """A daemon that knows a host without a confirmed key."""
    daemon.says("POST /api/v1/hosts", Said({"name": "web1"}, 201))
    daemon.says("DELETE /api/v1/hosts/web1", Said(None, 204))
    daemon.says("PUT /api/v1/hosts/web1/key", Said({"key": {"fingerprint": "0a1b2c3d"}}))
    daemon.says("GET /api/v1/hosts/web1", Said({"name": "web1", "host_keys": []}))
    daemon.says("GET /api/v1/hosts/web1/offered-keys", Said(OFFERED))
    daemon.says("POST /api/v1/hosts/web1/trust", Said({"fingerprint": FINGERPRINT, "before": []}))
    daemon.says("POST /api/v1/hosts/web1/check", Said(ANSWERS))
    return daemon


def asked(daemon: DaemonStub, method: str) -> dict[str, object]:
    return {
        one.path.removeprefix("/api/v1"): one.body for one in daemon.asked if one.method == method
    }


def test_a_key_is_read_from_a_file_and_sent_apart(
    offering: DaemonStub, run: Run, home: Path
) -> None:
    """The declaration has no key in it, and the terminal shows no more than a fingerprint."""
    (home / "key").write_text("-----BEGIN\nhunter2\n-----END\n")
    words = ("--address", "10.0.0.5", "--user", "me", "--key-file", str(home / "key"), "--yes")
    ended = run("host", "add", "web1", *words)
    assert ended.status == 0, ended.err
    assert asked(offering, "POST") == {
        "/hosts": {"name": "web1", "address": "10.0.0.5", "user": "me"},
        "/hosts/web1/trust": {"fingerprint": FINGERPRINT},
        "/hosts/web1/check": None,
    }
    assert "web1 lets us in as deploy, and has systemd, git, rsync\n" in ended.err
    assert asked(offering, "PUT")["/hosts/web1/key"] == {"value": "-----BEGIN\nhunter2\n-----END\n"}
    assert "hunter2" not in ended.out + ended.err


def test_a_file_that_is_not_there_declares_nothing(offering: DaemonStub, run: Run) -> None:
    """A mistake is found before anything is sent."""
    ended = run("host", "add", "web1", "--address", "a", "--user", "b", "--key-file", "/nowhere")
    assert (ended.status, offering.asked) == (65, [])


def test_a_key_that_is_none_adds_nothing(offering: DaemonStub, run: Run, home: Path) -> None:
    """What is half declared could not be added again under that name."""
    (home / "key").write_text("ssh-ed25519 AAAA me\n")
    told = problem(422, "invalid-input", "value: is a public key; take the private one")
    offering.says("PUT /api/v1/hosts/web1/key", told)
    words = ("--address", "10.0.0.5", "--user", "me", "--key-file", str(home / "key"), "--yes")
    ended = run("host", "add", "web1", *words)
    assert (ended.status, ended.out) == (65, "")
    assert ended.err == (
        "error: what was given as private key is a public key; take the private one; "
        "web1 was not added\n"
    )
    assert "/hosts/web1" in asked(offering, "DELETE")
    assert "/hosts/web1/trust" not in asked(offering, "POST")


def test_a_host_that_does_not_let_us_in_is_told_at_once(offering: DaemonStub, run: Run) -> None:
    """Its key is confirmed by then; the exit status says that it can't be used."""
    offering.says("POST /api/v1/hosts/web1/check", Said(REFUSES))
    for words in (("add", "web1", "--alias", "w", "--yes"), ("trust", "web1", "--yes")):
        ended = run("host", *words)
        assert ended.status == 69
        assert f"web1 is known by {FINGERPRINT}\n" in ended.out
        assert "error: host web1 does not let us in; give it another key\n" in ended.err


def test_a_named_fingerprint_is_sent_without_asking(offering: DaemonStub, run: Run) -> None:
    """The daemon compares it with what the host shows."""
    ended = run("host", "add", "web1", "--alias", "w", "--fingerprint", FINGERPRINT)
    assert ended.status == 0, ended.err
    assert "/hosts/web1/offered-keys" not in asked(offering, "GET")
    assert asked(offering, "POST")["/hosts/web1/trust"] == {"fingerprint": FINGERPRINT}


def test_a_host_that_shows_another_key_stays_declared(offering: DaemonStub, run: Run) -> None:
    """What helps is to confirm it later."""
    told = problem(409, "host-key-not-offered", "web1 shows another one")
    offering.says("POST /api/v1/hosts/web1/trust", told)
    ended = run("host", "add", "web1", "--alias", "w", "--fingerprint", FINGERPRINT)
    assert ended.status == 1
    assert "web1 shows another one; web1 is declared" in ended.err


def test_nobody_there_and_nothing_said_leaves_it_unconfirmed(
    offering: DaemonStub, run: Run
) -> None:
    """A script that says nothing of the key has not confirmed it."""
    ended = run("host", "add", "web1", "--alias", "w")
    assert (ended.status, ended.out) == (0, "added web1\n")
    assert "reconciler host trust web1" in ended.err
    assert run("host", "trust", "web1").status == 2
    assert "/hosts/web1/trust" not in asked(offering, "POST")


def test_setting_up_shows_each_line_and_the_end(daemon: DaemonStub, run: Run) -> None:
    """All hosts of the project, one after another; one that fails is told at the end, too."""
    hosts = {"items": [{"host": "web1"}, {"host": "web2"}]}
    daemon.says("GET /api/v1/projects/api/targets", Said(hosts))
    daemon.says(SETUP, stream("made /opt/apps/api", "enabled api.service"))
    refused = '{"detail": "host web2 has no rsync", "remedy": "install it"}'
    daemon.says("POST /api/v1/projects/api/targets/web2/setup", stream(problem=refused))
    ended = run("setup", "api")
    assert ended.status == 11
    assert ended.out.splitlines() == [
        "web1: made /opt/apps/api", "web1: enabled api.service", "web1 is ready",
    ]  # fmt: skip
    assert ended.err == "error: host web2 has no rsync; install it\n"


def test_setting_up_that_breaks_off_is_no_success(daemon: DaemonStub, run: Run) -> None:
    """Without an end nobody knows; it is safe to repeat."""
    daemon.says(SETUP, Said('event: line\ndata: {"text": "x"}\n\n', 200, "text/event-stream"))
    ended = run("setup", "api", "--host", "web1")
    assert ended.status == 11
    assert "set it up again" in ended.err


def test_setting_up_what_has_no_target(daemon: DaemonStub, run: Run) -> None:
    """There is something to do first."""
    daemon.says("GET /api/v1/projects/api/targets", Said({"items": []}))
    ended = run("setup", "api")
    assert ended.status == 66
    assert "reconciler target add api HOST" in ended.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param("target add api web1 --health {", 65, "--health is no JSON", id="json"),
        pytest.param("target add api web1 --health []", 65, "no JSON object", id="object"),
        pytest.param("target add api web1 --env A", 2, "NAME=VALUE", id="env"),
        pytest.param("target set api web1", 2, "nothing to change", id="nothing"),
        pytest.param("target set api web1 --clear branch", 2, "can't be cleared", id="clear"),
        pytest.param("host set web1", 2, "nothing to change", id="host"),
        pytest.param("project move api --to web1", 2, "--yes", id="move"),
        pytest.param("host remove web1", 2, "--yes", id="remove"),
    ],
)
def test_what_makes_no_sense_is_not_sent(
    daemon: DaemonStub, run: Run, words: str, status: int, said: str
) -> None:
    """One line says why, and nothing was asked for."""
    ended = run(*words.split())
    assert (ended.status, daemon.asked) == (status, [])
    assert said in ended.err


def test_env_changes_the_variables_that_it_names(daemon: DaemonStub, run: Run) -> None:
    """The others stay as they are."""
    path = "/api/v1/projects/api/targets/web1"
    daemon.says(f"GET {path}", Said({"environment": {"A": "1", "B": "2"}}))
    daemon.says(f"PATCH {path}", Said({"target": {}, "notes": ["read this"]}))
    ended = run("target", "set", "api", "web1", "--env", "B=3", "--env", "C=4")
    assert asked(daemon, "PATCH")["/projects/api/targets/web1"] == {
        "environment": {"A": "1", "B": "3", "C": "4"}
    }
    assert ended.err == "read this\n"
