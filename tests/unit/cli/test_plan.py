"""What ``reconciler plan`` shows."""

import json

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

OLD, NEW = "sha256:" + "1a" * 32, "sha256:" + "2b" * 32
COMMIT = "1f2e3d4c5b6a798081920a1b2c3d4e5f60718293"
AT = "2020-01-01T00:00:00Z"


def exact(digest: str, size: int | None, tag: str = "app:1") -> dict[str, object]:
    return {"image": f"r.example/{tag}", "digest": digest, "size_bytes": size, "created_at": AT}


PLAN = {
    "project": "shop",
    "plan": "5f0c2a9be1d47380",
    "verdict": "Deploying now would move aaaaaaaa → 1f2e3d4c: 1 commit, 1 image, 2 files.",
    "changes": True,
    "hosts": ["local"],
    "elsewhere": {},
    "commits": [{"commit": COMMIT, "subject": "Show \x1b[31mprices", "author": "Ann", "at": AT}],
    "more_commits": True,
    "images": [
        {
            "service": "web",
            "image": "r.example/app:2",
            "hosts": ["local"],
            "before": exact(OLD, 999),
            "after": exact(NEW, 31_457_280, "app:2"),
            "changes": True,
            "note": "",
        },
        {
            "service": "db",
            "image": "pg:16",
            "hosts": [],
            "before": None,
            "after": None,
            "changes": False,
            "note": "stateful: neither looked up nor pinned",
        },
    ],
    "files": [
        {"path": "compose.yaml", "change": "changed"},
        {"path": "old.txt", "change": "removed"},
    ],
    "more_files": 3,
    "difference": ["--- live", "+++ now", "@@ -1 +1 @@", "-    image: a", "+    image: b"],
    "difference_note": None,
    "findings": [
        {"weight": "tells", "code": "migration", "text": "it would migrate first", "remedy": None}
    ],
}


def test_a_plan_is_shown_in_tables(daemon: DaemonStub, run: Run) -> None:
    """Commits, images old → new, files and the difference, and how to get exactly that."""
    daemon.says("GET /api/v1/projects/shop/plan", Said(PLAN))
    shown = run("plan", "shop")
    assert shown.status == 0
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0] == PLAN["verdict"]
    assert "it would migrate first" in lines
    assert any(line.startswith("1f2e3d4c") and line.endswith("Ann Show prices") for line in lines)
    assert "and more" in lines
    moved = "web r.example/app:1 → r.example/app:2 1a1a1a1a → 2b2b2b2b 999 B → 31.5 MB"
    assert any(line.startswith(moved) for line in lines)
    assert "db pg:16 stateful: neither looked up nor pinned" in lines
    assert lines[lines.index("~ compose.yaml") :][:3] == [
        "~ compose.yaml",
        "- old.txt",
        "and 3 more",
    ]
    assert "+ image: b" in lines
    assert "\x1b" not in shown.out
    assert "reconciler deploy shop --plan 5f0c2a9be1d47380" in shown.err


def test_a_plan_for_programs(daemon: DaemonStub, run: Run) -> None:
    """As JSON, of one commit, and with an exit status that tells."""
    daemon.says("GET /api/v1/projects/shop/plan", Said(PLAN), Said({**PLAN, "changes": False}))
    shown = run("plan", "shop", "--commit", COMMIT, "--json", "--exit-code")
    assert shown.status == 16
    assert json.loads(shown.out)["plan"] == PLAN["plan"]
    assert daemon.asked[0].query == {"commit": COMMIT}
    assert run("plan", "shop", "--exit-code").status == 0


def test_a_plan_that_holds_no_more_is_refused(daemon: DaemonStub, run: Run) -> None:
    """As the gate's other answers are."""
    refused = problem(409, "plan-outdated", "it is not what the plan said any more")
    daemon.says("POST /api/v1/projects/shop/deployments", refused)
    ended = run("deploy", "shop", "--plan", "5f0c2a9be1d47380")
    assert ended.status == 10
    assert "not what the plan said" in ended.err
    assert daemon.asked[0].body == {"plan": "5f0c2a9be1d47380"}
