"""Webhooks on the terminal: a secret is shown once and read from files, never an argument."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

NOW = "2026-01-01T00:00:00Z"
SECRET = "qM8Yk0W5cXo3bR7tZ1nV4uE6aL9sD2fG0hJ5kP8wQxI"
HOOK = {
    "name": "forgejo",
    "provider": "forgejo",
    "project": None,
    "url_path": "/webhook/forgejo",
    "fingerprint": "5f0c2b1a",
    "previous_fingerprint": None,
    "rotated_at": None,
    "verified": 128,
    "refused": 2,
    "last_at": NOW,
    "last_verdict": "signature-wrong",
}
ROTATED = {**HOOK, "name": "push", "project": "shop", "previous_fingerprint": "7d10e44c"}
HOOKS = "/api/v1/webhooks"


def test_the_secret_alone_is_on_stdout_at_the_end(daemon: DaemonStub, run: Run) -> None:
    """A script takes the last line; a person reads where the forge has to send to."""
    daemon.says(f"POST {HOOKS}", Said({"webhook": HOOK, "secret": SECRET}, 201))
    ended = run("webhook", "add", "forgejo", "--provider", "forgejo", "--project", "shop")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == SECRET
    assert "http://DAEMON:8484/webhook/forgejo" in ended.out
    assert "shown this once" in ended.err
    (asked,) = daemon.asked
    assert asked.body == {"name": "forgejo", "provider": "forgejo", "project": "shop"}
    url = "https://deploy.example/webhook/forgejo"
    daemon.says(f"POST {HOOKS}", Said({"webhook": HOOK, "secret": SECRET, "url": url}, 201))
    assert url in run("webhook", "add", "forgejo", "--provider", "forgejo").out


def test_a_secret_of_the_forge_s_is_read_from_a_file(
    daemon: DaemonStub, run: Run, home: Path
) -> None:
    """And is not shown."""
    (home / "secret").write_text(f"{SECRET}\n")
    daemon.says(f"POST {HOOKS}", Said({"webhook": HOOK, "secret": None}, 201))
    words = ("--provider", "gitlab", "--secret-file", str(home / "secret"))
    ended = run("webhook", "add", "gl", *words)
    assert ended.status == 0, ended.err
    assert SECRET not in ended.out + ended.err
    assert daemon.asked[0].body == {"name": "gl", "provider": "gitlab", "secret": SECRET}


def test_a_webhook_may_wake_the_apps_that_it_names(daemon: DaemonStub, run: Run) -> None:
    """And the list says so."""
    daemon.says(f"POST {HOOKS}", Said({"webhook": HOOK, "secret": SECRET}, 201))
    assert run("webhook", "add", "mono", "--provider", "gitea", "--apps").status == 0
    assert daemon.asked[0].body == {"name": "mono", "provider": "gitea", "matching": "apps"}
    daemon.says(f"GET {HOOKS}", Said({"items": [{**HOOK, "matching": "apps"}]}))
    assert "followers, by app" in run("webhook", "list").out
    daemon.says(
        f"GET {HOOKS}/forgejo", Said({**HOOK, "matching": "apps", "registry": "hub.example"})
    )
    shown = run("webhook", "show", "forgejo").out
    assert "followers, by app" in shown
    assert "hub.example" in shown


def test_what_the_daemon_refuses_is_one_line(daemon: DaemonStub, run: Run) -> None:
    """With what helps."""
    told = problem(422, "invalid-input", "provider: 'svn' is not one of gitea, forgejo")
    daemon.says(f"POST {HOOKS}", told)
    ended = run("webhook", "add", "x", "--provider", "svn")
    assert (ended.status, ended.out) == (65, "")
    assert ended.err == "error: provider: 'svn' is not one of gitea, forgejo\n"


def test_the_list_says_what_came_and_how_many_secrets_there_are(
    daemon: DaemonStub, run: Run
) -> None:
    """A rotation that nobody finished is seen, and so is a forge with a wrong secret."""
    daemon.says(f"GET {HOOKS}", Said({"items": [HOOK, {**ROTATED, "rotated_at": NOW}]}))
    heading, first, second = run("webhook", "list").out.splitlines()
    assert heading.split() == [
        *("WEBHOOK", "PROVIDER", "PATH", "WAKES", "VERIFIED", "REFUSED", "LAST", "SECRETS"),
    ]
    assert "followers" in first
    assert first.endswith("ago, signature-wrong")
    assert "shop" in second
    assert "two, since" in second
    daemon.says(f"GET {HOOKS}", Said({"items": []}))
    assert "webhook add --help" in run("webhook", "list").err


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        pytest.param((), ("POST", "rotate", {"keep_previous": True}), id="both"),
        pytest.param(("--at-once",), ("POST", "rotate", {"keep_previous": False}), id="at-once"),
        pytest.param(("--finish",), ("DELETE", "previous-secret", None), id="finish"),
    ],
)
def test_a_rotation(
    daemon: DaemonStub, run: Run, words: tuple[str, ...], asked: tuple[str, str, object]
) -> None:
    """The previous secret is taken until the operator says that the forge has the new one."""
    method, what, body = asked
    daemon.says(f"{method} {HOOKS}/forgejo/{what}", Said({"webhook": HOOK, "secret": SECRET}))
    ended = run("webhook", "rotate", "forgejo", *words)
    assert ended.status == 0, ended.err
    assert daemon.asked[0].body == body
    assert (SECRET in ended.out) is (method == "POST")
    assert ("--finish" in ended.err) is (words == ())


def test_finishing_makes_no_new_secret(daemon: DaemonStub, run: Run) -> None:
    """Both at once is a mistake, and nothing is sent."""
    ended = run("webhook", "rotate", "forgejo", "--finish", "--at-once")
    assert (ended.status, daemon.asked) == (2, [])


def test_deliveries_say_what_they_led_to(daemon: DaemonStub, run: Run) -> None:
    """Or why they were refused, or why nothing came of them."""
    good = {
        "number": 3,
        "webhook": "forgejo",
        "at": NOW,
        "remote": "10.0.0.7",
        "event": "push",
        "verdict": "verified",
    }
    items = [
        {**good, "duplicate": True, "led_to": {"shop": "nothing moved"}},
        {**good, "number": 2, "led_to": {}, "note": "no project follows main of team/app"},
        {**good, "number": 1, "event": None, "verdict": "signature-missing", "led_to": {}},
    ]
    daemon.says(f"GET {HOOKS}/forgejo/deliveries", Said({"items": items}))
    _, again, nobody, refused = run("webhook", "deliveries", "forgejo").out.splitlines()
    assert again.endswith("sent again: shop: nothing moved")
    assert nobody.endswith("no project follows main of team/app")
    assert refused.endswith("signature-missing")


def test_a_trial_says_whom_it_wakes(daemon: DaemonStub, run: Run) -> None:
    """Or that nobody follows."""
    tried = {"delivery": "test-1", "repository": "team/app", "branch": "main", "wakes": ["shop"]}
    daemon.says(f"POST {HOOKS}/forgejo/test", Said(tried))
    ended = run("webhook", "test", "forgejo", "--project", "shop")
    assert "a push of main to team/app was verified" in ended.out
    assert "it has these looked at: shop" in ended.out
    daemon.says(f"POST {HOOKS}/forgejo/test", Said({**tried, "wakes": []}))
    assert "no project follows that" in run("webhook", "test", "forgejo").out


def test_removing_asks_first(daemon: DaemonStub, run: Run) -> None:
    """Nobody is there to answer, so that `--yes` has to be given."""
    daemon.says(f"DELETE {HOOKS}/forgejo", Said(None, 204))
    daemon.says(f"GET {HOOKS}/forgejo", Said(HOOK))
    assert run("webhook", "remove", "forgejo").status == 2
    assert daemon.asked == []
    assert run("webhook", "remove", "forgejo", "--yes").out == "removed forgejo\n"


def test_a_registry_is_declared_with_its_host(daemon: DaemonStub, run: Run) -> None:
    """And what has to be set at the registry is said."""
    images = {**HOOK, "name": "images", "provider": "harbor", "registry": "hub.example"}
    daemon.says(f"POST {HOOKS}", Said({"webhook": images, "secret": SECRET}, 201))
    words = ("--provider", "harbor", "--registry", "hub.example")
    assert "Authorization: Bearer SECRET" in run("webhook", "add", "images", *words).out
    assert daemon.asked[0].body == {
        "name": "images", "provider": "harbor", "registry": "hub.example"
    }  # fmt: skip
    hub = {**HOOK, "name": "hub", "provider": "docker-hub", "url_path": "/webhook/hub/KEY"}
    daemon.says(f"POST {HOOKS}", Said({"webhook": hub, "secret": SECRET}, 201))
    ended = run("webhook", "add", "hub", "--provider", "docker-hub")
    assert "http://DAEMON:8484/webhook/hub/KEY" in ended.out
    assert ended.out.splitlines()[-1] == SECRET


def test_deliveries_of_all_webhooks_or_of_one_project(daemon: DaemonStub, run: Run) -> None:
    """One that a person had looked into again says which."""
    again = {
        "number": 9,
        "webhook": "images",
        "at": NOW,
        "remote": "looked into again",
        "event": "push",
        "verdict": "verified",
        "repeats": 7,
        "led_to": {"shop": "in sync"},
    }
    daemon.says("GET /api/v1/deliveries", Said({"items": [again], "next": None}))
    _, line = run("webhook", "deliveries", "--project", "shop").out.splitlines()
    assert "images" in line
    assert line.endswith("7 again: shop: in sync")
    run("webhook", "deliveries", "images", "--project", "shop")
    assert [one.query for one in daemon.asked] == [
        {"project": "shop", "limit": "20"},
        {"webhook": "images", "project": "shop", "limit": "20"},
    ]


def test_looking_again_waits_for_what_comes_of_it(daemon: DaemonStub, run: Run) -> None:
    """Or says at once that nobody follows; a refusal is one line."""
    path = f"{HOOKS}/images/deliveries"
    made = {
        "number": 9,
        "announces": "hub.example/team/app:1",
        "note": "asked for by root",
        "led_to": {"shop": "is looked at now"},
    }
    daemon.says(f"POST {path}/7/redeliver", Said(made, 202))
    daemon.says(f"GET {path}/9", Said({**made, "led_to": {"shop": "admitted: deployment 4"}}))
    ended = run("webhook", "redeliver", "images", "7")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines() == [
        "delivery 9 looked again at hub.example/team/app:1",
        "shop: admitted: deployment 4",
    ]
    nobody = {**made, "led_to": {}, "note": "asked for by root; no project follows it"}
    daemon.says(f"POST {path}/7/redeliver", Said(nobody, 202))
    assert "no project follows it" in run("webhook", "redeliver", "images", "7").out
    told = problem(409, "conflict", "delivery 7 was refused: signature-wrong")
    daemon.says(f"POST {path}/7/redeliver", told)
    ended = run("webhook", "redeliver", "images", "7")
    assert (ended.status != 0, ended.out) == (True, "")
    assert ended.err == "error: delivery 7 was refused: signature-wrong\n"
