"""Environments and promotions over HTTP, on the real application; its loops are at rest."""

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI

from reconciler.app import Application
from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.deployment import Deployment, Stage, Status, Trigger
from reconciler.domain.references import ProjectName
from reconciler.pipeline.declaring.projects import change_project
from reconciler.store.sql_store import SqlStore
from reconciler.web.asgi import create_web
from reconciler.web.auth import make_token
from tests.parts.asgi import Answered, Caller
from tests.parts.stores import commit, digest, prepared, queue
from tests.parts.web_daemon import open_application

V1 = "/api/v1"
Told = TypeVar("Told")


def run(story: Coroutine[Any, Any, Told]) -> Told:
    """Run it in a thread of its own: a browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, story).result(60)


@dataclass(frozen=True)
class Site:
    """An app with a test environment, and whoever asks about it."""

    application: Application
    app: FastAPI
    shop: ProjectName
    live: ProjectName

    @property
    def promotions(self) -> str:
        return f"{V1}/projects/{self.live}/promotions"

    def waiting(self) -> list[int]:
        every = self.ok("GET", f"{V1}/promotions")["items"]
        return [one["id"] for one in every if one["project"] == self.live]

    def ask(self, method: str, path: str, body: object = None, *, by: str = "ann") -> Answered:
        """Ask as somebody on this machine."""
        return run(Caller(self.app, peer=by).ask(method, path, body))

    def ok(self, method: str, path: str, body: object = None, **more: str) -> Any:
        answer = self.ask(method, path, body, **more)
        assert answer.status < 400, answer.text
        return answer.json() if answer.body else None

    def refused(self, method: str, path: str, body: object = None, **more: str) -> tuple[int, str]:
        answer = self.ask(method, path, body, **more)
        return answer.status, str(answer.json()["code"])

    def declare(self, **fields: object) -> Any:
        """Declare the second environment."""
        environment = {"name": "production", "promoted_from": self.shop, **fields}
        return self.ok("POST", f"{V1}/projects", {"name": self.live, "environment": environment})

    def require_approvals(self, number: int) -> None:
        application, change = self.application, {"rules": {"approvals": number}}
        change_project(application.store, application.repositories, self.live, change, now())

    def token(self, *projects: ProjectName) -> Caller:
        scopes = frozenset({Scope.READ, Scope.TRIGGER})
        token = AccessToken(f"of-{'-'.join(projects)}", scopes, projects or None, now())
        return Caller(self.app, make_token(self.application.store, token))

    def verify(self, letter: str) -> Deployment:
        """Have the first environment verify a commit, as a rollout ends."""
        store = self.application.store
        assert isinstance(store, SqlStore)
        made = queue(store, letter, name=self.shop, trigger=Trigger.PERSON, now=now())
        return self.end(made, letter)

    def end(self, made: Deployment, letter: str, status: Status = Status.DEPLOYED) -> Deployment:
        store = self.application.store
        claim = None
        while claim is None or claim.deployment.id != made.id:  # others' may wait, too
            claim = store.claim_next("test", now(), lease=timedelta(minutes=5))
            assert claim is not None
        store.begin_stage(claim, Stage.PREPARE, now())
        store.record_prepared(claim, prepared(letter))
        store.begin_stage(claim, Stage.VERIFY, now())
        store.finish(claim, status, now())
        return store.get_deployment(made.id)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Application, FastAPI]]:
    application = open_application(tmp_path_factory.mktemp("promotions"))
    yield application, create_web(application)
    application.close()


@pytest.fixture
def site(served: tuple[Application, FastAPI], request: pytest.FixtureRequest) -> Site:
    """An app of this test's own; its first environment is declared."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    found = Site(*served, ProjectName(f"s{name}"), ProjectName(f"p{name}"))
    body: dict[str, object] = {"name": found.shop, "kind": "compose", "environment": {"name": "t"}}
    body |= {"url": "https://git.example/team/shop.git", "branch": "live"}
    found.ok("POST", f"{V1}/projects", {**body, "expose_service": "web", "expose_port": 80})
    return found


def test_what_describes_the_app_is_said_once(site: Site) -> None:
    """The rest is taken from the environment before, and the answer says so."""
    made = site.declare(soak_seconds=60)
    assert made["environment"] == {
        "name": "production", "promoted_from": site.shop, "soak_seconds": 60,
    }  # fmt: skip
    assert (made["kind"], made["source"]["branch"], made["expose_port"]) == ("compose", "live", 80)
    (note,) = made["notes"]
    assert note.startswith(f"as {site.shop} has it: ")
    assert "kind" in note
    path = f"{V1}/projects/{site.live}"
    changed = site.ok("PATCH", path, {"environment": {"name": "p", "promoted_from": site.shop}})
    assert changed["environment"] == {"name": "p", "promoted_from": site.shop, "soak_seconds": None}
    assert changed["generation"] == made["generation"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"environment": {"name": "B!"}}, "environment.name", id="name"),
        pytest.param({"environment": {}}, "environment.name", id="none"),
        pytest.param(
            {"environment": {"name": "b", "promoted_from": "gone"}},
            "environment.promoted_from",
            id="gone",
        ),
        pytest.param(
            {"environment": {"name": "b", "promoted_from": "x"}},
            "environment.promoted_from",
            id="itself",
        ),
        pytest.param(
            {"environment": {"name": "b", "soak_seconds": 9}},
            "environment.soak_seconds",
            id="first",
        ),
        pytest.param(
            {"environment": {"name": "b", "promoted_from": "y", "soak_seconds": -1}},
            "environment.soak_seconds",
            id="soak",
        ),
        pytest.param({"environment": {"name": "b", "next": 1}}, "environment.next", id="unknown"),
    ],
)
def test_an_environment_that_is_none(site: Site, body: dict[str, object], field: str) -> None:
    """The field is named, and nothing is declared."""
    base = {"name": "x", "kind": "tunnel"}
    answer = site.ask("POST", f"{V1}/projects", {**base, **body})
    assert (answer.status, answer.json()["field"]) == (422, field), answer.text
    assert site.ask("GET", f"{V1}/projects/x").status == 404


def test_from_test_to_production(site: Site) -> None:
    """Proposed, approved by two people, deployed; each step is to be seen in the chain."""
    site.declare()
    site.require_approvals(2)
    verified = site.verify("a")
    chain = site.ok("GET", f"{V1}/projects/{site.shop}/environments")
    first, second = chain["items"]
    assert [first["environment"], second["environment"], chain["hidden"]] == [
        *("t", "production", 0),
    ]
    assert first["live"]["deployment"] == verified.id
    assert (second["live"], second["next"]["deployment"]) == (None, verified.id)
    assert second["next"]["promotion"] is None

    asked = {"deployment": verified.id, "reason": "release 1"}
    answer = site.ask("POST", site.promotions, asked)
    made = answer.json()
    number = made["id"]
    assert (answer.status, made["status"], made["became"]) == (202, "waiting", None)
    assert answer.headers["location"] == f"{site.promotions}/{number}"
    assert made["revision"]["commit"] == commit("a").text
    assert made["revision"]["images"] == {"registry.example/app:1": digest("1").text}
    assert site.ok("POST", site.promotions, asked)["id"] == number
    assert site.waiting() == [number]

    voted = site.ok("POST", f"{site.promotions}/{number}/approve", {"reason": "looked"}, by="bob")
    assert [(one["person"], one["reason"]) for one in voted["votes"]] == [("bob", "looked")]
    coming = site.ok("GET", f"{V1}/projects/{site.live}/environments")["items"][1]
    assert (coming["next"]["promotion"], coming["next"]["approvals_needed"]) == (number, 2)
    assert "approval-missing" in [one["code"] for one in coming["reasons"]]
    (journey,) = site.ok("GET", f"{V1}/projects/{site.shop}/environments/releases")["items"]
    assert [one["progress"] for one in journey["arrivals"]] == ["live", "waiting"]

    site.ok("POST", f"{site.promotions}/{number}/approve", by="eve")
    site.application.promotions.tick()
    ended = site.ok("GET", f"{site.promotions}/{number}")
    assert (ended["status"], ended["decided_at"] is None) == ("promoted", False)
    deployment = site.ok("GET", f"{V1}/deployments/{ended['became']}")
    assert (deployment["project"], deployment["promotes"]) == (site.live, verified.id)
    assert site.waiting() == []
    site.end(site.application.store.get_deployment(ended["became"]), "a")
    second = site.ok("GET", f"{V1}/projects/{site.live}/environments")["items"][1]
    assert (second["next"], second["live"]["commit"]) == (None, commit("a").text)
    assert site.refused("POST", site.promotions, asked) == (409, "already-live")
    assert site.refused("POST", f"{site.promotions}/{number}/reject") == (409, "conflict")


def test_what_may_not_go_further(site: Site) -> None:
    """Each refusal has its code; nothing is kept of it."""
    site.declare(soak_seconds=3600)
    assert site.refused("POST", site.promotions) == (409, "not-verified-upstream")
    verified = site.verify("a")
    assert site.refused("POST", site.promotions) == (409, "soaking")
    unknown = {"deployment": verified.id + 1000}
    assert site.refused("POST", site.promotions, unknown) == (404, "not-found")
    assert site.refused("POST", site.promotions, {"commit": commit("b").text}) == (
        *(409, "not-verified-upstream"),
    )
    for wrong in (
        {"deployment": 1, "commit": commit("a").text},
        {"commit": "main"},
        {"override": "a\nb"},
        {"reason": "x" * 501},
        {"deployment": 0},
        {"digest": "x"},
    ):
        assert site.refused("POST", site.promotions, wrong)[0] == 422, wrong
    assert site.refused("POST", f"{V1}/projects/{site.shop}/promotions")[0] == 422
    assert site.ok("GET", site.promotions)["items"] == []
    made = site.ok("POST", site.promotions, {"override": "hotfix"})
    assert (made["override"], made["status"]) == ("hotfix", "promoted")
    assert site.refused("POST", f"{V1}/projects/{site.live}/deployments", {"commit": "c" * 40}) == (
        *(409, "promoted-only"),
    )


def test_a_token_is_no_person(site: Site) -> None:
    """It may propose, and neither approve nor reject."""
    site.declare()
    site.require_approvals(1)
    site.verify("a")
    token = site.token(site.live)
    made = run(token.ask("POST", site.promotions))
    assert (made.status, made.json()["asked_by"]) == (202, f"token:of-{site.live}")
    for word in ("approve", "reject"):
        answer = run(token.ask("POST", f"{site.promotions}/{made.json()['id']}/{word}"))
        assert (answer.status, answer.json()["code"]) == (403, "access-denied")
    rejected = site.ok("POST", f"{site.promotions}/{made.json()['id']}/reject", {"reason": "no"})
    assert rejected["status"] == "rejected"


def test_each_sees_but_their_own(site: Site) -> None:
    """What one may not see is left out and counted; another project's promotion is not there."""
    site.declare()
    site.require_approvals(1)
    site.verify("a")
    asked = site.ok("POST", site.promotions)
    number = asked["id"]
    site.verify("b")  # which nobody asked for in production

    async def story() -> None:
        first, second = site.token(site.shop), site.token(site.live)
        journeys = f"{V1}/projects/{site.live}/environments/releases"
        (only,) = (await second.ask("GET", journeys)).json()["items"]
        assert only["commit"] == asked["revision"]["commit"]
        for caller, own in ((first, site.shop), (second, site.live)):
            for path in ("environments", "environments/releases"):
                answer = (await caller.ask("GET", f"{V1}/projects/{own}/{path}")).json()
                assert answer["hidden"] == 1, path
                parts = [part for item in answer["items"] for part in item.get("arrivals", [item])]
                assert {part["project"] for part in parts} == {own}
        assert (
            site.live
            not in (await first.ask("GET", f"{V1}/projects/{site.shop}/environments")).text
        )
        assert (await first.ask("GET", f"{V1}/promotions")).json()["items"] == []
        assert len((await second.ask("GET", f"{V1}/promotions")).json()["items"]) == 1
        assert (await first.ask("GET", f"{site.promotions}/{number}")).status == 403
        elsewhere = f"{V1}/projects/{site.shop}/promotions/{number}"
        assert (await first.ask("GET", elsewhere)).status == 404
        told = await first.ask("GET", f"{V1}/events")
        assert '"promotions":[]' in told.text

        rejecting: list[asyncio.Task[Answered]] = []

        def is_told(answered: Answered) -> bool:
            if not rejecting:  # the snapshot is there
                ann = Caller(site.app, peer="ann")
                no = ann.ask("POST", f"{site.promotions}/{number}/reject")
                rejecting.append(asyncio.create_task(no))
            return b"event: promotion" in answered.body

        waits = second.follow("GET", f"{V1}/events", is_told)
        text = (await asyncio.wait_for(waits, 20)).text
        data = text.split("event: promotion\ndata: ")[1].partition("\n")[0]
        assert (json.loads(data)["id"], json.loads(data)["status"]) == (number, "rejected")

    run(story())


def test_promotions_in_pages(site: Site) -> None:
    """Newest first, each once."""
    site.declare()
    site.require_approvals(1)
    made = []
    for letter in "abc":
        site.verify(letter)
        made.append(site.ok("POST", site.promotions)["id"])
    caller = site.token(site.live)
    for path in (site.promotions, f"{V1}/promotions"):
        first = run(caller.ask("GET", f"{path}?limit=2")).json()
        rest = run(caller.ask("GET", f"{path}?limit=2&cursor={first['next']}")).json()
        assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
        assert rest["next"] is None
    assert site.refused("GET", f"{V1}/promotions?status=promoted")[0] == 422
