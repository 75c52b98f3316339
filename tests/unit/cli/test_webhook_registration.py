"""Registering a webhook on the terminal: what became of the forge's test is what it ends with."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said

MAKE = "POST /api/v1/projects/shop/webhook"
DELIVERIES = "GET /api/v1/webhooks/shop/deliveries"
TOKEN = "forge-token-canary"
HOOK = {
    "name": "shop",
    "provider": "gitea",
    "url_path": "/webhook/shop",
    "project": "shop",
    "registration": {
        "api": "https://git.example/api/v1",
        "repository": "team/shop",
        "hook": "17",
        "url": "https://deploy.example/webhook/shop",
        "at": "2026-01-01T00:00:00Z",
    },
    "announced": {"of_last": 5, "missed": 3, "remark": "3 of the last 5 pushes came without"},
}
MADE = {
    "webhook": HOOK,
    "declared": True,
    "created": True,
    "tested": "sent",
    "test_problem": None,
    "after": 4,
    "remarks": ["that address is odd"],
    "if_silent": ["a firewall lets nothing through"],
}
OLD = {"number": 4, "verified": True, "verdict": "verified", "remote": "10.0.0.6"}
GOOD = {"number": 6, "verified": True, "verdict": "verified", "remote": "10.0.0.7"}
FORGED = {"number": 5, "verified": False, "verdict": "signature-wrong", "remote": "10.0.0.8"}


def create(run: Run, home: Path, *options: str) -> tuple[int, str, str]:
    (home / "token").write_text(f"{TOKEN}\n")
    ended = run("webhook", "create", "shop", "--token-file", str(home / "token"), *options)
    assert TOKEN not in ended.out + ended.err
    return ended.status, ended.out, ended.err


def test_what_was_asked_for_is_sent_and_what_arrived_is_told(
    daemon: DaemonStub, run: Run, home: Path
) -> None:
    """What came before does not count, and neither does what anybody else sent meanwhile."""
    daemon.says(MAKE, Said(MADE))
    daemon.says(
        DELIVERIES,
        Said({"items": [OLD]}),
        Said({"items": [FORGED, OLD]}),
        Said({"items": [GOOD, FORGED, OLD]}),
    )
    options = ("--provider", "gitea", "--url", "https://deploy.example", "--name", "shop")
    status, out, err = create(run, home, *options)
    assert (status, err) == (0, "")
    assert "webhook 17 of team/shop at https://git.example/api/v1, made" in out
    assert "that address is odd" in out
    assert "its test arrived from 10.0.0.7, and is verified" in out
    assert daemon.asked[0].body == {
        "provider": "gitea",
        "url": "https://deploy.example",
        "name": "shop",
        "token": TOKEN,
        "test": True,
    }


@pytest.mark.parametrize(
    ("made", "deliveries", "status", "words"),
    [
        pytest.param({}, [FORGED, OLD], 1, "was refused: signature-wrong", id="refused"),
        pytest.param({}, [OLD], 69, "perhaps a firewall lets nothing through", id="silent"),
        pytest.param(
            {"tested": "failed", "test_problem": "Hook execution failed"},
            [OLD],
            69,
            "could not send its test: Hook execution failed",
            id="failed",
        ),
        pytest.param(
            {"tested": "not-possible", "test_problem": "gogs has no test"},
            [OLD],
            0,
            "gogs has no test",
            id="not-possible",
        ),
        pytest.param({"tested": "not-asked"}, [OLD], 0, "", id="not-asked"),
    ],
)
def test_how_it_ends(
    daemon: DaemonStub,
    run: Run,
    home: Path,
    made: dict[str, object],
    deliveries: list[object],
    status: int,
    words: str,
) -> None:
    """A script can tell a way that is open from one that is not."""
    daemon.says(MAKE, Said({**MADE, **made}))
    daemon.says(DELIVERIES, Said({"items": deliveries}))
    ended, _, err = create(run, home, "--timeout", "1")
    assert ended == status
    assert words in err


def test_json_has_what_arrived(daemon: DaemonStub, run: Run, home: Path) -> None:
    """Beside what the API said."""
    daemon.says(MAKE, Said(MADE))
    daemon.says(DELIVERIES, Said({"items": [GOOD]}))
    status, out, _ = create(run, home, "--json")
    assert status == 0
    assert '"remote": "10.0.0.7"' in out
    assert '"after": 4' in out


def test_where_it_is_and_what_is_amiss_is_shown(daemon: DaemonStub, run: Run) -> None:
    """By `show` and `list`, and by `remove` where the forge's copy stays."""
    daemon.says("GET /api/v1/webhooks/shop", Said(HOOK))
    daemon.says("GET /api/v1/webhooks", Said({"items": [HOOK]}))
    daemon.says("DELETE /api/v1/webhooks/shop", Said({}, 204))
    for words in (("show", "shop"), ("list",)):
        ended = run("webhook", *words)
        assert "team/shop" in ended.out
        assert "3 of the last 5 pushes came without" in ended.out
    ended = run("webhook", "remove", "shop", "--yes")
    assert ended.status == 0
    assert "the forge still has it, webhook 17 of team/shop" in ended.err


def test_it_is_removed_at_the_forge_first(daemon: DaemonStub, run: Run, home: Path) -> None:
    """Where the forge does not let us, it stays declared here, too."""
    daemon.says("GET /api/v1/webhooks/shop", Said(HOOK))
    (home / "token").write_text(TOKEN)
    words = ("--forge", "--yes", "--token-file", str(home / "token"))
    ended = run("webhook", "remove", "shop", *words)
    assert ended.status != 0
    assert [one.method for one in daemon.asked] == ["GET", "POST"]
    daemon.says("POST /api/v1/webhooks/shop/deregister", Said(HOOK))
    daemon.says("DELETE /api/v1/webhooks/shop", Said({}, 204))
    assert run("webhook", "remove", "shop", *words).status == 0
    assert daemon.asked[-2].body == {"token": TOKEN}
