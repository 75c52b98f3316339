"""Promotions and environments on the terminal."""

import json
from typing import Any

import pytest

from reconciler.cli.chain_picture import picture
from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, events, problem
from tests.unit.cli.test_watching import deployment

V1 = "/api/v1"
LIVE = f"{V1}/projects/shop-production"
DIGEST, OTHER = "sha256:" + "4f" * 32, "sha256:" + "8a" * 32
IMAGE = "registry.example/team/shop:1"
COMMIT, OLDER = "9a8b7c6d" * 5, "1f2e3d4c" * 5
AT = "2026-01-01T00:00:00Z"
REASON = {"code": "approval-missing", "text": "1 of 2 people approved it"}
VOTE = {"person": "ann", "approves": True, "at": AT, "reason": "looked at it"}
#: Ends the line, colours it, rings.
HOSTILE = "x\r\n\x1b[31mred\x07\u202e\x9b"


def promotion(status: str = "waiting", **more: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": 5, "project": "shop-production", "origin": "shop", "deployment": 42,
        "revision": {"commit": COMMIT, "images": {IMAGE: DIGEST}, "generation": 1},
        "status": status, "asked_by": "ann", "reason": "", "override": None, "proposed_at": AT,
        "expires_at": AT, "decided_at": None, "became": None, "votes": [],
    }  # fmt: skip
    return {**found, **more}


def part(name: str, before: str | None = None, **more: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "project": f"shop-{name}", "environment": name, "state": "in-sync",
        "promoted_from": f"shop-{before}" if before else None, "under_way": None, "next": None,
        "live": {"deployment": 42, "commit": COMMIT, "images": {}, "since": AT}, "reasons": [],
    }  # fmt: skip
    return {**found, **more}


NEXT = {
    "deployment": 42, "commit": COMMIT, "images": {}, "promotion": 5, "approvals_needed": 2,
    "soak": {"stood_seconds": 2400, "needed_seconds": 3600}, "votes": [VOTE],
}  # fmt: skip
CHAIN: dict[str, Any] = {
    "items": [
        part("test"),
        part("staging", "test"),
        part(
            "production",
            "staging",
            state="held",
            live={"deployment": 3, "commit": OLDER, "images": {}, "since": AT},
            next=NEXT,
            reasons=[REASON],
        ),
    ],
    "hidden": 0,
}


def drawn(chain: dict[str, Any], width: int) -> list[str]:
    return [line.plain.rstrip() for line in picture(chain, width)]


def test_side_by_side() -> None:
    """What is of one environment stands in one column, each fact in one row."""
    lines = drawn(CHAIN, 80)
    assert max(map(len, lines)) <= 80
    heading = lines[0]
    assert heading.split() == ["test", "→", "staging", "→", "production"]
    columns = [heading.index(name) for name in ("test", "staging", "production")]
    facts = {line.split()[0]: line for line in lines[2:]}
    assert [*facts] == ["runs", "since", "state", "next", "soak", "votes"]
    for at, runs in zip(
        columns, ("9a8b7c6d (#42)", "9a8b7c6d (#42)", "1f2e3d4c (#3)"), strict=True
    ):
        assert facts["runs"][at:].startswith(runs)
    assert facts["next"][columns[2] :] == "9a8b7c6d (promotion 5)"
    assert facts["soak"][columns[2] :] == "█████░░░ 40 min of 60 min"
    assert facts["votes"][columns[2] :] == "1 of 2"


@pytest.mark.parametrize("width", [20, 40, 60])
def test_one_below_another(width: int) -> None:
    """Where they don't fit, in the same order and with the same facts."""
    lines = drawn(CHAIN, width)
    assert [line for line in lines if not line.startswith(" ")] == [
        *("test", "↓", "staging", "↓", "production"),
    ]
    assert "  next   9a8b7c6d (promotion 5)" in lines
    assert sum(1 for line in lines if line.startswith("  runs ")) == 3


def test_two_that_get_the_same() -> None:
    """No arrow leads from one to the other."""
    chain = {"items": [part("test"), part("east", "test"), part("west", "test")]}
    assert drawn(chain, 100)[0].split() == ["test", "→", "east", "west"]


def test_the_whole_picture(daemon: DaemonStub, run: Run) -> None:
    """Below it what is waited for, who said what, and how many may not be seen."""
    failed = part("test", state="failed", state_text="deployment 43 failed: no such image")
    items = [failed, *CHAIN["items"][1:]]
    daemon.says(f"GET {LIVE}/environments", Said({"items": items, "hidden": 2}))
    ended = run("environments", "shop-production")
    assert ended.status == 0, ended.err
    assert "test: deployment 43 failed: no such image" in ended.out
    assert "production: 1 of 2 people approved it" in ended.out
    assert "production: ann approved it" in ended.out
    assert "2 more environments are not yours to see" in ended.err
    assert json.loads(run("environments", "shop-production", "--json").out)["hidden"] == 2


def test_every_app_with_several(daemon: DaemonStub, run: Run) -> None:
    """One picture each, from the first environment that is to be seen."""
    projects = [
        {"name": "a-live", "environment": {"promoted_from": "a-test"}},
        {"name": "a-test", "environment": {"promoted_from": "a"}},
        {"name": "b", "environment": None},
    ]
    daemon.says(f"GET {V1}/projects", Said({"items": projects, "next": None}))
    daemon.says(f"GET {V1}/projects/a-test/environments", Said(CHAIN))
    assert run("environments").out.count("→") == 2
    daemon.says(f"GET {V1}/projects", Said({"items": projects[2:], "next": None}))
    assert "reconciler environment add" in run("environments").err


def test_promoted_at_once(daemon: DaemonStub, run: Run) -> None:
    """What goes where, old beside new; then the deployment to its end, as of a release."""
    daemon.says(f"GET {V1}/projects/shop/environments", Said(shop_chain()))
    daemon.says(f"GET {LIVE}", Said({"live": {"commit": OLDER, "images": {IMAGE: OTHER}}}))
    daemon.says(f"POST {LIVE}/promotions", Said(promotion("promoted", became=12), 202))
    told = {"revision": {"commit": COMMIT}, "targets": [{"host": "p", "status": "verified"}]}
    daemon.says(f"GET {V1}/deployments/12", deployment("deployed", **told))
    daemon.says(f"GET {V1}/deployments/12/log", events((1, "apply", "up")))
    ended = run("promote", "shop", "--to", "production", "--deployment", "42", "--reason", "r")
    assert ended.status == 0, ended.err
    first, _, commit, image, *rest = ended.out.splitlines()
    assert first == "shop-production gets what shop verified as deployment 42"
    assert commit.split() == ["commit", "1f2e3d4c", "9a8b7c6d"]
    assert image.split() == [IMAGE, "8a8a8a8a", "4f4f4f4f"]
    assert rest[-1].startswith("deployed: ")
    asked = next(one for one in daemon.asked if one.method == "POST")
    assert asked.body == {"deployment": 42, "reason": "r"}
    detached = run("promote", "shop-production", "--no-follow")
    assert (detached.status, "reconciler logs 12 -f" in detached.err) == (0, True)


def test_a_promotion_that_waits_has_its_own_status(daemon: DaemonStub, run: Run) -> None:
    """17, and what it waits for."""
    daemon.says(f"GET {LIVE}", Said({"live": None}))
    daemon.says(f"GET {LIVE}/environments", Said(shop_chain(reasons=[REASON])))
    daemon.says(f"POST {LIVE}/promotions", Said(promotion(), 202))
    ended = run("promote", "shop-production")
    assert (ended.status, "1 of 2 people approved it" in ended.err) == (17, True)
    ended = run("promote", "shop-production", "--json")
    assert (ended.status, json.loads(ended.out)["id"]) == (17, 5)


def test_what_is_refused(daemon: DaemonStub, run: Run) -> None:
    """One line with what helps here, and the status of a refusal."""
    daemon.says(f"GET {LIVE}", Said({"live": None}))
    daemon.says(f"POST {LIVE}/promotions", problem(409, "soaking", "not long enough"))
    ended = run("promote", "shop-production")
    assert ended.status == 10
    (line,) = ended.err.splitlines()
    assert line.startswith("error: not long enough; promote it then, or now with `--override")
    daemon.says(f"GET {V1}/projects/shop/environments", Said(shop_chain()))
    for to in ("moon", "test", "shop"):
        ended = run("promote", "shop", "--to", to)
        assert (ended.status, "there are production" in ended.err) == (66, True)


def test_one_command_approves_whatever_waits(daemon: DaemonStub, run: Run) -> None:
    """It names what it approves, and does not guess where more than one thing waits."""
    list_, newest = f"GET {LIVE}/promotions", f"GET {LIVE}/deployments"
    approve = f"POST {LIVE}/promotions/5/approve"
    daemon.says(approve, Said(promotion(votes=[VOTE])))
    daemon.says(f"GET {LIVE}/environments", Said(shop_chain(reasons=[REASON])))
    daemon.says(f"POST {LIVE}/approve", deployment("queued"))
    daemon.says(list_, Said({"items": [promotion(), promotion("promoted", id=4)]}))
    daemon.says(newest, Said({"items": [{"id": 9, "error": None}]}))
    ended = run("approve", "shop-production", "--reason", "looked at it")
    assert (
        ended.out == "approved promotion 5: 9a8b7c6d of deployment 42 of shop, to shop-production\n"
    )
    assert "1 of 2 people approved it" in ended.err
    assert daemon.asked[2].body == {"reason": "looked at it"}

    stopped = {"id": 9, "error": {"code": "migration-needs-approval"}}
    daemon.says(newest, Said({"items": [stopped]}))
    ended = run("approve", "shop-production")
    assert (ended.status, "--promotion 5 or --deployment 9" in ended.err) == (2, True)
    assert "deployment 12" in run("approve", "shop-production", "--deployment", "9").out
    assert run("approve", "shop-production", "--promotion", "5").status == 0

    daemon.says(list_, Said({"items": [promotion(), promotion(id=6)]}))
    daemon.says(newest, Said({"items": []}))
    for command in ("approve", "reject"):
        ended = run(command, "shop-production")
        assert (ended.status, "5 of 9a8b7c6d, 6 of 9a8b7c6d" in ended.err) == (2, True)
    daemon.says(list_, Said({"items": []}))
    assert "deployment 12" in run("approve", "shop-production").out
    assert run("reject", "shop-production").status == 66
    daemon.says(f"POST {LIVE}/approve", problem(409, "nothing-to-approve", "no migration waits"))
    ended = run("approve", "shop-production")
    assert (ended.status, "no promotion to it, and no migration" in ended.err) == (1, True)


def test_rejected(daemon: DaemonStub, run: Run) -> None:
    """The one that waits, with why."""
    daemon.says(f"GET {LIVE}/promotions", Said({"items": [promotion()]}))
    daemon.says(f"POST {LIVE}/promotions/5/reject", Said(promotion("rejected")))
    ended = run("reject", "shop-production", "--reason", "broken")
    assert (ended.status, ended.out.startswith("rejected promotion 5: ")) == (0, True)
    assert daemon.asked[-1].body == {"reason": "broken"}


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (promotion("rejected", votes=[{**VOTE, "approves": False}]), 10),
        (promotion("expired"), 10),
        (promotion("superseded"), 14),
    ],
)
def test_approved_and_waited_for(
    daemon: DaemonStub, run: Run, last: dict[str, Any], status: int
) -> None:
    """What ends without a deployment is no success."""
    daemon.says(f"POST {LIVE}/promotions/5/approve", Said(promotion()))
    daemon.says(f"GET {LIVE}/environments", Said(shop_chain(reasons=[REASON])))
    daemon.says(f"GET {LIVE}/promotions/5", Said(last))
    ended = run("approve", "shop-production", "--promotion", "5", "--wait")
    assert ended.status == status
    assert f"promotion 5 is {last['status']}" in ended.err
    ended = run("approve", "shop-production", "--promotion", "5", "--wait", "--json")
    assert ended.status == status


def test_all_the_way(daemon: DaemonStub, run: Run) -> None:
    """0 only once production has verified what test did; it waits for soak and people."""
    told = {"revision": {"commit": COMMIT}, "targets": [{"host": "p", "status": "verified"}]}
    daemon.says(f"GET {V1}/projects/shop/environments", Said(shop_chain()))
    daemon.says(f"POST {V1}/projects/shop/deployments", deployment("queued", **told))
    daemon.says(f"GET {V1}/deployments/12", deployment("deployed", **told))
    daemon.says(f"GET {V1}/deployments/12/log", events())
    daemon.says(
        f"POST {LIVE}/promotions",
        problem(409, "soaking", "it has stood for 1 of 2 s"),
        Said(promotion(), 202),
    )
    daemon.says(f"GET {LIVE}/environments", Said(shop_chain(reasons=[REASON])))
    daemon.says(f"GET {LIVE}/promotions/5", Said(promotion("promoted", became=13)))
    daemon.says(f"GET {V1}/deployments/13", deployment("deployed", id=13, **told))
    daemon.says(f"GET {V1}/deployments/13/log", events())
    ended = run("release", "shop", "--release", "7", "--promote-to", "production")
    assert ended.status == 0, ended.err
    assert ended.out.count("deployed: deployment") == 2
    for text in ("it has stood for 1 of 2 s", "1 of 2 people approved it"):
        assert f"shop-production waits: {text}" in ended.err
    bodies = [one.body for one in daemon.asked if one.method == "POST"]
    assert bodies == [{"release": 7}, {"deployment": 12}, {"deployment": 12}]

    daemon.says(f"GET {V1}/deployments/13", deployment("rolled-back", id=13, **told))
    daemon.says(f"POST {LIVE}/promotions", Said(promotion("promoted", became=13), 202))
    assert run("release", "shop", "--promote-to", "production").status == 12
    daemon.says(f"POST {LIVE}/promotions", problem(409, "soaking", "not yet"))
    late = run("release", "shop", "--promote-to", "production", "--timeout", "1")
    assert (late.status, "shop-production had not got it after 1 s" in late.err) == (15, True)


def test_an_environment_is_added_in_one_go(daemon: DaemonStub, run: Run) -> None:
    """Project and target; asked again, only what is missing is made."""
    command = ("environment", "add", "shop", "production", "--host", "prod1", "--soak", "1h")
    made = {"name": "shop-production", "environment": {"name": "production", "promoted_from": "shop", "soak_seconds": 3600}}  # noqa: E501  # fmt: skip
    daemon.says(f"POST {V1}/projects", Said({"notes": ["as shop has it: kind"]}, 201))
    daemon.says(f"POST {LIVE}/targets", Said({"notes": []}, 201))
    daemon.says(f"PATCH {LIVE}", Said(made))
    where = ("--compose-file", "live.yaml", "--base", "/srv/shop")
    ended = run(*command, "--approvals", "2", "--auto-deploy", *where)
    assert (ended.status, "as shop has it: kind" in ended.err) == (0, True)
    project, target, enabled = (one.body for one in daemon.asked)
    assert isinstance(project, dict)
    assert {name: value for name, value in project.items() if value is not None} == {
        **made, "rules": {"approvals": 2},
    }  # fmt: skip
    assert target == {"host": "prod1", "compose_files": ["live.yaml"], "base": "/srv/shop"}
    assert enabled == {"auto_deploy": True}  # once it has its host, and not before

    taken = problem(409, "already-exists", "there is a project shop-production already")
    daemon.says(f"POST {V1}/projects", taken)
    daemon.says(f"GET {LIVE}", Said(made))
    daemon.says(f"POST {LIVE}/targets", problem(409, "already-exists", "it is there already"))
    there = {"host": "prod1", "port": None, "compose_files": ["live.yaml"], "user": None}
    daemon.says(f"GET {LIVE}/targets/prod1", Said(there))
    well = ("--port", "80", "--health-path", "/", "--compose-file", "live.yaml")
    assert run(*command, *well).status == 0
    assert run(*command, "--compose-file", "other.yaml").status == 1
    daemon.says(f"GET {LIVE}", Said({**made, "environment": {"name": "production"}}))
    assert (ended := run(*command)).status == 1
    assert "it is declared otherwise" in ended.err
    assert run(*command[:-1], "soon").status == 2
    daemon.says(f"POST {V1}/projects", Said({"notes": []}, 201))
    daemon.says(f"POST {LIVE}/targets", problem(422, "invalid-input", "no host was declared"))
    daemon.says(f"DELETE {LIVE}", Said({}, 204))
    ended = run(*command[:-1], "0")
    assert (ended.status, daemon.asked[-1].method) == (65, "DELETE")


@pytest.mark.parametrize("command", ["promotions", "promotions shop-production"])
def test_listed(daemon: DaemonStub, run: Run, command: str) -> None:
    """What goes where, who wants it, and what was said."""
    daemon.says(f"GET {V1}/promotions", Said({"items": [promotion(votes=[VOTE])]}))
    daemon.says(f"GET {LIVE}/promotions", Said({"items": [promotion(asked_by=None)]}))
    ended = run(*command.split())
    assert ended.status == 0, ended.err
    for text in ("shop #42", "shop-production", "9a8b7c6d", "waiting"):
        assert text in ended.out
    daemon.says(f"GET {V1}/promotions", Said({"items": []}))
    daemon.says(f"GET {LIVE}/promotions", Said({"items": []}))
    assert run(*command.split()).err.strip()


def test_hostile_text_is_shown_safely(daemon: DaemonStub, run: Run) -> None:
    """Whatever field it is in: no line ends early, no colour, nothing rings."""

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoilt(one) for name, one in value.items()}
        if isinstance(value, list):
            return [spoilt(one) for one in value]
        return HOSTILE if isinstance(value, str) else value

    whole = {**CHAIN, "hidden": HOSTILE}
    daemon.says(f"GET {LIVE}/environments", Said(spoilt(whole)))
    daemon.says(f"GET {LIVE}", Said(spoilt({"live": {"commit": OLDER, "images": {"i": OTHER}}})))
    daemon.says(f"GET {V1}/promotions", Said({"items": [spoilt(promotion(votes=[VOTE]))]}))
    daemon.says(f"POST {LIVE}/promotions", Said({**spoilt(promotion()), "status": "waiting"}))
    daemon.says(f"POST {LIVE}/promotions/5/approve", Said(spoilt(promotion(votes=[VOTE]))))
    for words in (
        ("environments", "shop-production"),
        ("promotions",),
        ("promote", "shop-production"),
        ("approve", "shop-production", "--promotion", "5"),
    ):
        ended = run(*words)
        shown = ended.out + ended.err
        assert not set("\r\x1b\x07\u202e\x9b") & set(shown), words
        assert "Traceback" not in shown


def shop_chain(**more: object) -> dict[str, Any]:
    """Return the chain of an app whose first project is called as the app is."""
    first = {**part("test"), "project": "shop"}
    last = {**part("production"), "promoted_from": "shop", **more}
    return {"items": [first, last], "hidden": 0}
