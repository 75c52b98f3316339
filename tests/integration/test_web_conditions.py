"""Requests that come twice, that hold on a condition, and lists in pages."""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.ports import AnswerKey
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.web_client import WebDaemon, ok, refused

V1 = "/api/v1"
KEY = "idempotency-key"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("conditions")) as running:
        yield running


@pytest.fixture
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


@pytest.fixture
def store(daemon: WebDaemon) -> Iterator[SqlStore]:
    """The daemon's own database, opened by a second process: this one."""
    folder = daemon.folder / "data"
    opened = open_store(
        folder / "state.db", lambda may: KeySources(folder).open(may_create=may), SystemClock()
    )
    yield opened
    opened.close()


def declare(api: httpx2.Client, name: str, **fields: object) -> httpx2.Response:
    body = {"name": name, "kind": "compose", "url": "https://git.example/app.git", **fields}
    answer = api.post(f"{V1}/projects", json=body)
    assert answer.status_code == 201, answer.text
    return answer


class TestRepeated:
    def test_the_same_again(self, api: httpx2.Client, store: SqlStore) -> None:
        """What is shown once is shown again to who lost the answer, and kept sealed."""
        body = {"name": "ci", "scope": "read"}
        first = api.post(f"{V1}/tokens", json=body, headers={KEY: "a"})
        again = api.post(f"{V1}/tokens", json=body, headers={KEY: "a"})
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        refused(api.post(f"{V1}/tokens", json=body), 409, "already-exists")
        refused(api.post(f"{V1}/tokens", json=body, headers={KEY: "b"}), 409, "already-exists")

    def test_another_request(self, daemon: WebDaemon, api: httpx2.Client) -> None:
        """A key is one request's of one principal: of its method, path, query and body."""
        api.post(f"{V1}/tokens", json={"name": "mine", "scope": "read"}, headers={KEY: "c"})
        other = api.post(f"{V1}/tokens", json={"name": "x", "scope": "read"}, headers={KEY: "c"})
        assert refused(other, 422, "idempotency-key-reused")["field"] == KEY
        for method, path in (("POST", "tokens?x=1"), ("DELETE", "tokens/mine"), ("POST", "hosts")):
            answer = api.request(method, f"{V1}/{path}", headers={KEY: "c"})
            refused(answer, 422, "idempotency-key-reused")
        someone = daemon.remote(daemon.make_token("someone", "admin"))
        answer = someone.post(
            f"{V1}/tokens", json={"name": "theirs", "scope": "read"}, headers={KEY: "c"}
        )
        assert answer.status_code == 201

    def test_refusals_are_kept_and_headers_too(self, api: httpx2.Client) -> None:
        """Also a mistake is answered as it was; so is where a deployment is found."""
        bad = {"name": "no such name!", "scope": "read"}
        first = api.post(f"{V1}/tokens", json=bad, headers={KEY: "d"})
        again = api.post(f"{V1}/tokens", json=bad, headers={KEY: "d"})
        assert (again.status_code, again.json()) == (422, first.json())
        assert again.headers["content-type"] == "application/problem+json"
        declare(api, "twice", expose_service="web", expose_port=80)
        path, asked = f"{V1}/projects/twice/deployments", {"commit": "a" * 40}
        first = api.post(path, json=asked, headers={KEY: "e"})
        again = api.post(path, json=asked, headers={KEY: "e"})
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.headers["location"] == first.headers["location"]
        gone = f"{V1}/projects/twice"
        # Nothing to be shown is shown again as well.
        api.delete(f"{gone}/quarantine", headers={KEY: "f"})
        assert api.delete(f"{gone}/quarantine", headers={KEY: "f"}).json() == {"lifted": 0}

    def test_no_key(self, api: httpx2.Client) -> None:
        """What is none is refused by its name, before anything is done."""
        for key in ("", "x" * 256, "ü".encode().decode("latin-1")):
            answer = api.post(
                f"{V1}/tokens",
                json={"name": "never", "scope": "read"},
                headers=[(KEY.encode(), key.encode("latin-1"))],
            )
            assert refused(answer, 422, "invalid-input")["field"] == KEY
        assert "never" not in api.get(f"{V1}/tokens").text

    def test_still_under_way(self, api: httpx2.Client, store: SqlStore) -> None:
        """Who died over it is waited for two minutes; then the request is carried out."""
        body = b'{"name": "slow", "scope": "read"}'
        parts = (b"POST", b"/api/v1/tokens", b"", body)
        asked = hashlib.sha256(b"".join(b"%d:%b" % (len(one), one) for one in parts)).hexdigest()
        principal, now = f"local:{os.getuid()}", datetime.now(UTC)
        store.begin_answer(AnswerKey(principal, "g"), asked, now)
        store.begin_answer(AnswerKey(principal, "h"), asked, now - timedelta(minutes=3))

        def ask(key: str) -> httpx2.Response:
            headers = {KEY: key, "content-type": "application/json"}
            return api.post(f"{V1}/tokens", content=body, headers=headers)

        waiting = ask("g")
        refused(waiting, 409, "idempotency-in-progress")
        assert waiting.headers["retry-after"] == "1"
        assert ask("h").status_code == 201
        assert ask("h").headers["idempotency-replayed"] == "true"


class TestConditions:
    def test_what_one_has_is_not_sent_again(self, api: httpx2.Client) -> None:
        """A tag is good until anything in the answer changes."""
        declare(api, "known")
        path = f"{V1}/projects/known"
        first = api.get(path)
        tag = first.headers["etag"]
        for given in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            same = api.get(path, headers={"if-none-match": given})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        api.patch(path, json={"expose_port": 81, "expose_service": "web"})
        changed = api.get(path, headers={"if-none-match": tag})
        assert (changed.status_code, changed.json()["expose_port"]) == (200, 81)
        assert changed.headers["etag"] != tag
        for listed in ("projects", "deployments", "settings", "hosts"):
            tag = api.get(f"{V1}/{listed}").headers["etag"]
            answer = api.get(f"{V1}/{listed}", headers={"if-none-match": tag})
            assert answer.status_code == 304, listed
        bad = api.get(path, headers={"if-none-match": "bare"})
        assert refused(bad, 422, "invalid-input")["field"] == "if-none-match"

    @pytest.mark.parametrize(
        ("path", "change", "other"),
        [
            ("projects/one", {"branch": "next"}, {"branch": "other"}),
            ("settings", {"auto_deploy_poll_interval_seconds": 70}, {"reason": "x"}),
            ("hosts/web1", {"port": 2222}, {"user": "x"}),
            ("projects/one/targets/web1", {"folder": "/opt/1"}, {"folder": "/opt/2"}),
        ],
    )
    def test_what_one_has_not_seen_is_not_overwritten(
        self, api: httpx2.Client, path: str, change: dict[str, object], other: dict[str, object]
    ) -> None:
        """Once somebody changed it, who saw it before is told; after a new look it goes."""
        self._there(api)
        path = f"{V1}/{path}"
        seen = {"if-match": api.get(path).headers["etag"]}
        changed = api.patch(path, json=change, headers=seen)
        ok(changed)
        late = refused(api.patch(path, json=other, headers=seen), 412, "changed-meanwhile")
        assert "look at it again" in late["remedy"]
        ok(api.patch(path, json=other, headers={"if-match": changed.headers["etag"]}))
        bad = api.patch(path, json=other, headers={"if-match": "bare"})
        assert refused(bad, 422, "invalid-input")["field"] == "if-match"
        for never in ('"0123456789abcdef"', f"W/{api.get(path).headers['etag']}"):
            refused(
                api.patch(path, json=other, headers={"if-match": never}), 412, "changed-meanwhile"
            )
        ok(api.patch(path, json=other, headers={"if-match": "*"}))

    def test_what_was_merely_observed_is_no_change(self, api: httpx2.Client) -> None:
        """A deployment of a project since then does not keep its declaration from changing."""
        declare(api, "busy", expose_service="web", expose_port=80)
        seen = api.get(f"{V1}/projects/busy").headers["etag"]
        ok(api.post(f"{V1}/projects/busy/deployments", json={"commit": "a" * 40}))
        assert api.get(f"{V1}/projects/busy").headers["etag"] != seen
        ok(api.patch(f"{V1}/projects/busy", json={"expose_port": 81}, headers={"if-match": seen}))

    def test_removing_on_a_condition(self, api: httpx2.Client) -> None:
        """What was changed since it was seen is not removed."""
        self._there(api)
        for path in ("projects/one/targets/web1", "projects/one", "hosts/web1"):
            version, _, content = api.get(f"{V1}/{path}").headers["etag"].partition(".")
            old = f'"{version[:0:-1]}.{content}'
            answer = api.delete(f"{V1}/{path}", headers={"if-match": old})
            refused(answer, 412, "changed-meanwhile")
            tag = api.get(f"{V1}/{path}").headers["etag"]
            if "targets" in path:
                continue  # it is the project's only one, and not to be removed here
            assert api.delete(f"{V1}/{path}", headers={"if-match": tag}).status_code == 204, path

    def test_where_there_is_no_condition(self, api: httpx2.Client) -> None:
        """A route that can't hold on it refuses it, for it would not be held to."""
        answer = api.delete(f"{V1}/tokens/nobody", headers={"if-match": '"a.b"'})
        assert refused(answer, 422, "invalid-input")["field"] == "if-match"

    def test_of_many_writers_one_wins(self, daemon: WebDaemon, api: httpx2.Client) -> None:
        """They all saw the same: one change is made, every other writer is told."""
        declare(api, "raced")
        path = f"{V1}/projects/raced"
        seen = {"if-match": api.get(path).headers["etag"]}
        statuses: list[int] = []
        barrier = threading.Barrier(6)

        def write(number: int) -> None:
            client = daemon.remote(daemon.admin_token)
            barrier.wait(timeout=20)
            answer = client.patch(path, json={"expose_port": number + 80}, headers=seen)
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, *[412] * 5]

    def _there(self, api: httpx2.Client) -> None:
        if api.get(f"{V1}/hosts/web1").status_code == 404:
            ok(api.post(f"{V1}/hosts", json={"name": "web1", "address": "10.0.0.9", "user": "d"}))
        if api.get(f"{V1}/projects/one").status_code == 404:
            declare(api, "one")
            ok(api.post(f"{V1}/projects/one/targets", json={"host": "web1"}))


class TestPages:
    def test_all_of_them_in_pages(self, api: httpx2.Client) -> None:
        """Every list with its pages put together is what it is at once."""
        for name in ("page-a", "page-b", "page-c"):
            declare(api, name, kind="tunnel", url=None)
            ok(api.post(f"{V1}/tokens", json={"name": name, "scope": "read"}))
            ok(api.post(f"{V1}/repositories", json={"name": name}))
            ok(api.post(f"{V1}/webhooks", json={"name": name, "provider": "gitea"}))
            ok(api.put(f"{V1}/projects/page-a/secrets/variable:{name[-1]}", json={"value": "x"}))
        lists = ("projects", "tokens", "repositories", "webhooks", "projects/page-a/secrets")
        for path in (*lists, "hosts", "targets"):
            whole = ok(api.get(f"{V1}/{path}"))
            assert whole["next"] is None
            found: list[object] = []
            cursor: str | None = ""
            while cursor is not None:
                query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
                page = ok(api.get(f"{V1}/{path}", params=query))
                found += page["items"]
                cursor = page["next"]
            assert found == whole["items"], path

    def test_projects_by_what_they_are(self, api: httpx2.Client) -> None:
        """By state, kind, host and a part of their name, all at once."""
        declare(api, "filter-one", kind="domain_only", url=None)
        declare(api, "filter-two")

        def names(query: str) -> list[str]:
            found = ok(api.get(f"{V1}/projects?q=filter-&{query}"))["items"]
            return [item["name"] for item in found]

        assert names("") == ["filter-one", "filter-two"]
        assert names("kind=compose") == ["filter-two"]
        assert names("state=nothing-to-deploy&state=failed") == ["filter-one"]
        assert names("host=local") == ["filter-two"]
        assert names("host=web9") == []
        for query in ("kind=x", "state=x", "host=-x", "limit=0", "limit=1001", "cursor=!"):
            field = query.partition("=")[0]
            answer = api.get(f"{V1}/projects?{query}")
            assert answer.status_code == 422, query
            assert answer.json()["field"].partition(".")[0] == field

    def test_deployments_by_what_they_are(self, api: httpx2.Client) -> None:
        """By what asked for them, and when."""
        declare(api, "asked", expose_service="web", expose_port=80)
        body = {"commit": "a" * 40, "reason": '"trigger": "push"'}
        made = ok(api.post(f"{V1}/projects/asked/deployments", json=body))

        def found(**query: str) -> bool:
            items = ok(api.get(f"{V1}/deployments", params={"project": "asked", **query}))["items"]
            return [item["id"] for item in items] == [made["id"]]

        at = made["created_at"]
        assert found(trigger="person", since=at)
        assert not found(trigger="push")
        assert not found(until=at)
        assert not found(host="local")
        for bad in ("since=2026-01-01T00:00:00", "until=0001-01-01T00:00:00%2B09:00", "trigger=x"):
            refused(api.get(f"{V1}/deployments?{bad}"), 422, "invalid-input")
