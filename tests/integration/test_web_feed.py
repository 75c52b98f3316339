"""Following all that happens over server-sent events, from the real store."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Stage, Status
from reconciler.store.opening import open_store
from tests.parts.web_client import WebDaemon, ok

V1 = "/api/v1"
Event = tuple[str, str, dict[str, Any]]


def follow(daemon: WebDaemon, query: str = "", last_id: str = "") -> Iterator[Event]:
    """Yield (id, event, data) as they come."""
    headers = {"last-event-id": last_id} if last_id else {}
    with daemon.local.stream("GET", f"{V1}/events{query}", headers=headers, timeout=20) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                key, _, value = line.partition(": ")
                found[key] = value
            elif "event" in found:
                yield found.get("id", ""), found["event"], json.loads(found["data"])
                found = {}


def expect(events: Iterator[Event], *kinds: str) -> dict[str, dict[str, Any]]:
    """Return the data of the next events, which have to be of these kinds, in any order."""
    found = {kind: data for _, kind, data in (next(events) for _ in kinds)}
    assert sorted(found) == sorted(kinds), found
    return found


def test_all_that_happens_is_told(tmp_path: Path) -> None:
    """Projects, deployments, the switch and the end; a broken stream goes on where it was."""
    with WebDaemon(tmp_path / "events") as daemon:
        api, folder = daemon.local, daemon.folder / "data"
        body: dict[str, object] = {"kind": "compose", "url": "https://git.example/app.git"}
        body |= {"expose_service": "web", "expose_port": 80}
        for name in ("shop", "blog"):
            ok(api.post(f"{V1}/projects", json={"name": name, **body}))
        events = follow(daemon)
        last, kind, all_of_it = next(events)
        assert kind == "snapshot"
        assert [one["name"] for one in all_of_it["projects"]] == ["blog", "shop"]
        assert all_of_it["projects"][1] == ok(api.get(f"{V1}/projects?q=shop"))["items"][0]
        assert all_of_it["switch"]["enabled"] is True
        assert (all_of_it["daemon"], all_of_it["deployments"]) == ({"state": "ready"}, [])

        ok(api.patch(f"{V1}/settings", json={"auto_deploy_master_enabled": False}))
        assert expect(events, "switch")["switch"]["enabled"] is False
        held = [next(events)[2] for _ in range(2)]
        assert {one["reason"] for one in held} == {"master-switch-off"}
        made = ok(api.post(f"{V1}/projects/shop/deployments", json={"commit": "a" * 40}))
        seen = expect(events, "project", "deployment")
        assert seen["project"]["state"] == "queued"
        assert seen["deployment"]["id"] == made["id"]

        store = open_store(
            folder / "state.db", lambda may: KeySources(folder).open(may_create=may), SystemClock()
        )
        claim = store.claim_next("test", datetime.now(UTC), lease=timedelta(minutes=5))
        assert claim is not None
        store.begin_stage(claim, Stage.PREPARE, datetime.now(UTC))
        seen = expect(events, "project", "deployment")
        assert seen["deployment"]["stages"][0]["stage"] == "prepare"
        store.finish(claim, Status.FAILED, datetime.now(UTC))
        store.close()
        seen = expect(events, "project", "deployment")
        assert (seen["project"]["state"], seen["deployment"]["status"]) == ("failed", "failed")

        assert api.delete(f"{V1}/projects/blog").status_code == 204
        assert expect(events, "project-removed")["project-removed"] == {"name": "blog"}

        missed = follow(daemon, last_id=last)
        # But for what was told of the project that is gone: a later one of its name is another.
        kinds = [next(missed)[1] for _ in range(9)]
        assert kinds.count("deployment") == 3
        assert (kinds[0], kinds[-1]) == ("switch", "project-removed")
        _, kind, one = next(follow(daemon, "?project=shop"))
        assert (kind, [each["name"] for each in one["projects"]]) == ("snapshot", ["shop"])
        assert next(follow(daemon, last_id="0000-1"))[1] == "reset"
        assert api.get(f"{V1}/events?project=blog").status_code == 404
        assert api.get(f"{V1}/events?project=-x").json()["field"] == "project"
        os.kill(daemon.child.pid, signal.SIGTERM)
        assert {kind for _, kind, _ in events} <= {"daemon"}
