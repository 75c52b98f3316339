"""Adopting what runs under compose: what is listed, what is sent, and what is said of each."""

import json

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

STACKS = "GET /api/v1/hosts/web1/stacks"
SHOP = {
    "name": "shop",
    "folder": "/srv/shop",
    "files": ["/srv/shop/compose.yaml"],
    "services": [
        {"name": "db", "image": "postgres:17", "running": False, "published": []},
        {"name": "web", "image": "shop:1", "running": True, "published": [8080]},
    ],
    "exposed": {"service": "web", "port": 8080},
    "adoptable": True,
    "obstacle": None,
    "project": None,
}
BLOG = {**SHOP, "name": "blog", "folder": "/srv/blog", "services": [], "exposed": None}
OLD = {**SHOP, "name": "old_one", "adoptable": False, "obstacle": "its name is\x1b[2J odd"}
OURS = {**SHOP, "name": "api", "adoptable": False, "project": "api"}
FAR = {**OURS, "name": "far", "project": "far", "obstacle": "another project has its name"}
MADE = Said({"name": "shop", "notes": ["read this"]}, 201)


def adopting(name: str) -> str:
    return f"POST /api/v1/hosts/web1/stacks/{name}/adopt"


def sent(daemon: DaemonStub) -> dict[str, object]:
    """Return what was asked to be adopted, by its path's end."""
    return {one.path.split("/")[-2]: one.body for one in daemon.asked if one.method == "POST"}


def test_what_runs_there_is_listed(daemon: DaemonStub, run: Run) -> None:
    """Each with where it is from, what is reached, and what stands in the way."""
    daemon.says(STACKS, Said({"items": [OURS, BLOG, FAR, OLD, SHOP], "next": None}))
    ended = run("adopt", "web1")
    assert (ended.status, sent(daemon)) == (0, {})
    rows = [line.split("  ") for line in ended.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["STACK", "FOLDER", "SERVICES", "REACHED AT", "CAN BE ADOPTED"],
        ["api", "/srv/shop", "db (stopped), web", "web:8080", "already project api"],
        ["blog", "/srv/blog", "yes, with --expose SERVICE:PORT"],
        [
            *("far", "/srv/shop", "db (stopped), web", "web:8080"),
            "no: another project has its name",
        ],
        ["old_one", "/srv/shop", "db (stopped), web", "web:8080", "no: its name is odd"],
        ["shop", "/srv/shop", "db (stopped), web", "web:8080", "yes"],
    ]
    assert "`reconciler adopt web1 NAME`" in ended.err


def test_where_nothing_runs_it_says_so(daemon: DaemonStub, run: Run) -> None:
    """Neither a table nor a hint that leads nowhere."""
    daemon.says(STACKS, Said({"items": [], "next": None}))
    assert run("adopt", "web1").err == "nothing runs under compose on web1\n"
    ended = run("adopt", "web1", "--all")
    assert (ended.status, ended.out, sent(daemon)) == (0, "", {})
    assert "nothing on web1 can be adopted" in ended.err


def test_the_list_as_json_is_the_whole_answer(daemon: DaemonStub, run: Run) -> None:
    """All of its pages."""
    more = Said({"items": [SHOP], "next": None})
    daemon.says(STACKS, Said({"items": [BLOG], "next": "c"}), more)
    assert json.loads(run("adopt", "web1", "--json").out) == {"items": [BLOG, SHOP], "next": None}


def test_one_is_adopted_and_the_next_steps_are_told(daemon: DaemonStub, run: Run) -> None:
    """What is reached is sent only where it was said."""
    daemon.says(adopting("shop"), MADE)
    ended = run("adopt", "web1", "shop")
    assert (ended.status, ended.out, sent(daemon)) == (0, "adopted shop\n", {"shop": {}})
    assert ended.err.startswith("read this\n")
    for command in ("plan shop", "deploy shop --wait", "project enable shop"):
        assert f"`reconciler {command}`" in ended.err
    assert run("adopt", "web1", "shop", "--expose", "web:8080").status == 0
    assert sent(daemon) == {"shop": {"expose_service": "web", "expose_port": 8080}}


def test_all_that_can_be_and_a_line_for_each(daemon: DaemonStub, run: Run) -> None:
    """One that fails keeps no other from being adopted, and is how the command ends."""
    daemon.says(STACKS, Said({"items": [OURS, BLOG, OLD, SHOP], "next": None}))
    missing = "expose_service: is missing: say which service people reach (no port is public)"
    told = problem(422, "invalid-input", missing, field="expose_service")
    daemon.says(adopting("blog"), told)
    daemon.says(adopting("shop"), MADE)
    ended = run("adopt", "web1", "--all")
    assert (ended.status, ended.out) == (65, "adopted shop\n")
    assert set(sent(daemon)) == {"blog", "shop"}
    error, *_ = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert error == (
        f"error: blog: {missing}; `reconciler adopt web1 blog --expose SERVICE:PORT` says it"
    )


def test_json_has_what_came_of_each(daemon: DaemonStub, run: Run) -> None:
    """A script finds the project, or the problem."""
    daemon.says(adopting("shop"), MADE)
    daemon.says(adopting("api"), problem(409, "already-exists", "there is a project api already"))
    ended = run("adopt", "web1", "api", "shop", "--json")
    assert ended.status == 1
    api, shop = json.loads(ended.out)["items"]
    assert (api["name"], api["project"], api["problem"]["code"]) == ("api", None, "already-exists")
    assert (shop["name"], shop["project"]["name"], shop["problem"]) == ("shop", "shop", None)


def test_what_is_wrong_with_all_ends_it_at_once(daemon: DaemonStub, run: Run) -> None:
    """Whoever may not, or can't reach the host, is told once; what was adopted is told, too."""
    daemon.says(adopting("shop"), MADE)
    daemon.says(adopting("blog"), problem(503, "target-unreachable", "host web1 is away"))
    ended = run("adopt", "web1", "shop", "blog", "api")
    assert (ended.status, ended.out) == (75, "adopted shop\n")
    assert "error: host web1 is away" in ended.err
    assert set(sent(daemon)) == {"shop", "blog"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("shop --all", "exclude each other", id="both"),
        pytest.param("--expose web:80", "exactly one NAME", id="none"),
        pytest.param("shop blog --expose web:80", "exactly one NAME", id="several"),
        pytest.param("shop --expose web", "SERVICE:PORT", id="no-port"),
        pytest.param("shop --expose web:http", "SERVICE:PORT", id="no-number"),
    ],
)
def test_what_makes_no_sense_is_not_sent(
    daemon: DaemonStub, run: Run, words: str, said: str
) -> None:
    """One line says why, and nothing was asked for."""
    ended = run("adopt", "web1", *words.split())
    assert (ended.status, daemon.asked) == (2, [])
    assert said in ended.err
