"""Releases on the terminal."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.daemon_stub import DaemonStub, Said, problem

RELEASES = "/api/v1/releases"
IMAGE = "registry.example/team/shop:1.4"
DIGEST = "sha256:" + "4f" * 32
RELEASE = {
    "id": 7,
    "project": "shop",
    "commit": "9a8b7c6d" * 5,
    "images": {IMAGE: DIGEST},
    "build": {"result": "success", "finished_at": "2026-01-01T00:00:00Z", "url": "https://ci/812"},
    "checks": [{"name": "unit tests", "status": "success", "url": None}],
    "recorded_at": "2026-01-01T00:00:00Z",
    "recorded_by": "ci",
}
WAY = "/api/v1/projects/shop/environments/releases"
#: Of the same commit, but what was built of it later; and of the release.
JOURNEYS = [
    {"commit": RELEASE["commit"], "images": {IMAGE: "sha256:" + "00" * 32}, "arrivals": [{}]},
    {
        "commit": RELEASE["commit"],
        "images": {"web": DIGEST, "db": "sha256:" + "11" * 32},
        "arrivals": [
            {"environment": "test", "project": "shop", "progress": "live"},
            {"environment": "production", "project": "shop-live", "progress": "waiting"},
            {"environment": "spare", "project": "shop-spare", "progress": "not-yet"},
        ],
    },
]
REPORT = {key: RELEASE[key] for key in ("project", "commit", "images", "build", "checks")}


def test_a_file_is_what_the_api_takes(daemon: DaemonStub, run: Run, home: Path) -> None:
    """What was kept is shown in full; the digest can be copied."""
    (home / "release.json").write_text(json.dumps(REPORT))
    daemon.says(f"POST {RELEASES}", Said(RELEASE, 201))
    ended = run("releases", "add", str(home / "release.json"))
    assert ended.status == 0, ended.err
    assert daemon.asked[0].body == REPORT
    for shown in ("7 of shop", "9a8b7c6d" * 5, IMAGE, DIGEST, "unit tests", "https://ci/812"):
        assert shown in ended.out
    assert json.loads(run("releases", "add", str(home / "release.json"), "--json").out) == RELEASE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "is not a JSON object"),
        (b"{", "is not a JSON object"),
        (b"[" * 100_000, "is not a JSON object"),
        (b"\xff", "is not text in UTF-8"),
        (b" " * ((1 << 20) + 1), "is over 1 MiB"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_is_none_is_one_line(
    daemon: DaemonStub, run: Run, home: Path, content: bytes | None, said: str
) -> None:
    """And the daemon is not asked."""
    file = home / "release.json"
    if content is not None:
        file.write_bytes(content)
    ended = run("releases", "add", str(file))
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (65, "", 1)
    assert said in ended.err
    assert daemon.asked == []


def test_what_the_daemon_refuses_is_one_line(daemon: DaemonStub, run: Run, home: Path) -> None:
    """With what helps."""
    (home / "release.json").write_text("{}")
    text = f"images: registry.example has no {DIGEST} of {IMAGE}"
    told = problem(409, "digest-unknown", text, remedy="push the image first")
    daemon.says(f"POST {RELEASES}", told)
    ended = run("releases", "add", str(home / "release.json"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == f"error: {text}; push the image first\n"


def test_they_are_listed_and_shown(daemon: DaemonStub, run: Run) -> None:
    """Of one project and commit, or all; one by its number; with how far it came."""
    daemon.says(f"GET {RELEASES}", Said({"items": [RELEASE], "next": None}))
    daemon.says(f"GET {WAY}", Said({"items": JOURNEYS}))
    ended = run("releases", "list", "shop", "--commit", "9a8b7c6d" * 5, "--limit", "5")
    assert ended.status == 0, ended.err
    assert f"{IMAGE} 4f4f4f4f" in ended.out
    assert "test (live), production (waiting)" in ended.out
    query = {"project": "shop", "commit": "9a8b7c6d" * 5, "limit": "5"}
    assert daemon.asked[0].query == query
    daemon.says(f"GET {RELEASES}", Said({"items": [], "next": None}))
    assert "reconciler releases add --help" in run("releases", "list").err
    daemon.says(f"GET {RELEASES}/7", Said(RELEASE))
    shown = run("releases", "show", "7").out
    assert DIGEST in shown
    assert [line.split()[:3] for line in shown.splitlines()[-3:]] == [
        ["test", "shop", "live"],
        ["production", "shop-live", "waiting"],
        ["spare", "shop-spare", "not-yet"],
    ]
    daemon.says(f"GET {WAY}", Said({"items": JOURNEYS[:1]}))
    assert "shop-live" not in run("releases", "show", "7").out
    assert run("releases", "show", "0").status == 2


def test_the_two_say_which_is_which(run: Run) -> None:
    """`release` deploys; `releases` does not: each help names the other."""
    assert "reconciler release`" in run("releases", "--help").out
    assert "reconciler releases`" in run("release", "--help").out
