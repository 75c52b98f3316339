"""Every route against a real server on a real store."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.parts.web_client import WebDaemon

V1 = "/api/v1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


def compose(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "kind": "compose", "url": "https://git.example/team/app.git", **more}


def image(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "kind": "image", "image": "registry.example/app:1", **more}


def declare(api: httpx2.Client, body: dict[str, object]) -> dict[str, Any]:
    answer = api.post(f"{V1}/projects", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["type"] == "about:blank"
    return found


class TestProjects:
    def test_declared_shown_and_listed_alike(self, api: httpx2.Client) -> None:
        """What was declared is what is shown, in full and in the list."""
        made = declare(api, compose("told", expose_service="web", expose_port=8080))
        assert made["source"] == {
            "kind": "external",
            "url": "https://git.example/team/app.git",
            "repository": None,
            "branch": "main",
        }
        assert (made["state"], made["generation"], made["compose_path"]) == (
            "never-deployed",
            1,
            "compose.yaml",
        )
        shown = api.get(f"{V1}/projects/told").json()
        assert {**made, "notes": None} == shown
        listed = [
            item for item in api.get(f"{V1}/projects").json()["items"] if item["name"] == "told"
        ]
        assert listed == [{key: made[key] for key in listed[0]}]

    def test_hosted_repository_is_made_on_request(self, api: httpx2.Client) -> None:
        """A hosted source is made when asked for, and refused when it is not there."""
        body = {"name": "hosted", "kind": "compose", "repository": "hosted"}
        refused = problem(api.post(f"{V1}/projects", json=body), 422)
        assert refused["field"] == "repository"
        assert "create_repository" in refused["detail"]
        declare(api, {**body, "create_repository": True})
        names = [item["name"] for item in api.get(f"{V1}/repositories").json()["items"]]
        assert "hosted" in names

    def test_image_project(self, api: httpx2.Client) -> None:
        """An image project shows its image in full, its ports and its volumes."""
        made = declare(api, image("single", ports=["8080:80"], volumes=["data:/var/lib/app"]))
        assert made["image"] == "registry.example/app:1"
        assert made["source"] is None
        assert made["compose_path"] is None
        assert (made["ports"], made["volumes"]) == (["8080:80"], ["data:/var/lib/app"])

    def test_kinds_without_anything_to_deploy(self, api: httpx2.Client) -> None:
        """Auto-deploy and deployments are refused with their reason."""
        for kind in ("tunnel", "domain_only"):
            name = kind.replace("_", "-")
            body: dict[str, object] = {"name": name, "kind": kind}
            refused = problem(api.post(f"{V1}/projects", json={**body, "auto_deploy": True}), 409)
            assert refused["code"] == "nothing-to-deploy"
            made = declare(api, body)
            assert bool(made["auto_deploy_refused"]) == (kind == "domain_only")
            patched = api.patch(f"{V1}/projects/{name}", json={"auto_deploy": True})
            assert problem(patched, 409)["code"] == "nothing-to-deploy"
            deployed = api.post(f"{V1}/projects/{name}/deployments", json={})
            found = problem(deployed, 409)
            assert found["code"] == "nothing-to-deploy"
            assert found["reasons"][0]["code"] == "nothing-to-deploy"

    def test_taken_name(self, api: httpx2.Client) -> None:
        """A second project of the same name is refused."""
        declare(api, compose("taken"))
        found = problem(api.post(f"{V1}/projects", json=compose("taken")), 409)
        assert found["code"] == "already-exists"
        assert found["remedy"]

    def test_generation_grows_with_what_would_run(self, api: httpx2.Client) -> None:
        """An edit of what would run grows the generation; a toggle, exposure or no-op does not."""
        declare(api, compose("grows"))

        def patch(change: dict[str, object]) -> int:
            answer = api.patch(f"{V1}/projects/grows", json=change)
            assert answer.status_code == 200, answer.text
            return int(answer.json()["generation"])

        assert patch({"auto_deploy": True}) == 1
        assert patch({"expose_service": "web", "expose_port": 80}) == 1
        assert patch({}) == 1
        assert patch({"branch": "release/2"}) == 2
        assert patch({"branch": "release/2"}) == 2
        assert patch({"stateful_services": ["db"]}) == 3
        assert patch({"branch": None}) == 4
        assert api.get(f"{V1}/projects/grows").json()["source"]["branch"] == "main"

    def test_name_and_kind_stay(self, api: httpx2.Client) -> None:
        """Neither name nor kind can be changed."""
        declare(api, compose("stays"))
        for change in ({"name": "other"}, {"kind": "image"}):
            assert problem(api.patch(f"{V1}/projects/stays", json=change), 422)["field"] in change

    def test_another_host_drops_the_credential(self, api: httpx2.Client) -> None:
        """A URL at another host drops what was bound to the old one, and says so."""
        declare(api, compose("moves"))
        secret = f"{V1}/projects/moves/secrets/git-token"
        stored = api.put(secret, json={"value": "t0ken", "username": "robot"})
        assert stored.json()["bound_to"] == "https://git.example"
        same_host = api.patch(
            f"{V1}/projects/moves", json={"url": "https://git.example/team/other.git"}
        ).json()
        assert same_host["notes"] == []
        moved = api.patch(
            f"{V1}/projects/moves", json={"url": "https://evil.example/app.git"}
        ).json()
        assert moved["notes"] == [
            "the credential bound to https://git.example was dropped (git-token)"
        ]
        assert api.get(f"{V1}/projects/moves/secrets").json()["items"] == []

    def test_url_replaces_repository(self, api: httpx2.Client) -> None:
        """Naming one source lets go of the other."""
        declare(
            api,
            {
                "name": "swaps",
                "kind": "compose",
                "repository": "swaps",
                "create_repository": True,
            },
        )
        change = {"url": "https://git.example/swaps.git"}
        assert api.patch(f"{V1}/projects/swaps", json=change).json()["source"]["kind"] == "external"
        back = api.patch(f"{V1}/projects/swaps", json={"repository": "swaps"}).json()
        assert back["source"]["kind"] == "hosted"

    def test_removed_project_is_gone(self, api: httpx2.Client) -> None:
        """A removed project is not found any more; what would stop its containers is refused."""
        declare(api, compose("leaves"))
        refused = api.delete(f"{V1}/projects/leaves?keep_containers=false")
        assert problem(refused, 422)["field"] == "keep_containers"
        assert api.delete(f"{V1}/projects/leaves").status_code == 204
        assert problem(api.get(f"{V1}/projects/leaves"), 404)["code"] == "not-found"
        assert problem(api.delete(f"{V1}/projects/leaves"), 404)["code"] == "not-found"

    def test_what_is_known_of_a_project(self, api: httpx2.Client) -> None:
        """Why, triggers, images, quarantine and look answer for a project without a past."""
        declare(api, compose("asked", auto_deploy=True))
        why = api.get(f"{V1}/projects/asked/why").json()
        assert why["project"] == "asked"
        assert {reason["code"] for reason in why["reasons"]} == {"expose-missing"}
        assert api.get(f"{V1}/projects/asked/triggers").json() == {"items": [], "next": None}
        assert api.get(f"{V1}/projects/asked/images").json() == {"items": []}
        assert api.delete(f"{V1}/projects/asked/quarantine").json() == {"lifted": 0}
        looked = api.post(f"{V1}/projects/asked/look")
        assert (looked.status_code, looked.json()) == (202, {"looking": True})

    def test_expose_missing_is_noted(self, api: httpx2.Client) -> None:
        """Declaring without exposure is fine, and says what it keeps from deploying."""
        made = declare(api, compose("hidden", auto_deploy=True))
        assert "expose_service" in made["notes"][0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "projects/absent"),
        ("PATCH", "projects/absent"),
        ("DELETE", "projects/absent"),
        ("GET", "projects/absent/why"),
        ("POST", "projects/absent/deployments"),
        ("POST", "projects/absent/rollback"),
        ("POST", "projects/absent/approve"),
        ("GET", "projects/absent/deployments"),
        ("DELETE", "projects/absent/quarantine"),
        ("POST", "projects/absent/look"),
        ("GET", "projects/absent/triggers"),
        ("GET", "projects/absent/images"),
        ("GET", "projects/absent/secrets"),
        ("PUT", "projects/absent/secrets/variable:A"),
        ("DELETE", "projects/absent/secrets/variable:A"),
        ("GET", "deployments/999999"),
        ("GET", "deployments/999999/log"),
        ("DELETE", "repositories/absent"),
        ("POST", "repositories/absent/tokens"),
        ("DELETE", "tokens/absent"),
    ],
)
def test_what_is_not_there(api: httpx2.Client, method: str, path: str) -> None:
    """Whatever does not exist is a 404 of code not-found, on every route that names something."""
    body: dict[str, Any] = {"json": {}}
    if path.endswith("secrets/variable:A") and method == "PUT":
        body = {"json": {"value": "x"}}
    if path.endswith("tokens"):
        body = {"json": {"name": "x"}}
    answer = api.request(
        method, f"{V1}/{path}", **(body if method in {"POST", "PUT", "PATCH"} else {})
    )
    assert problem(answer, 404)["code"] == "not-found"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"name": "Upper"}, "name", id="name-upper-case"),
        pytest.param({"name": "-h"}, "name", id="name-option"),
        pytest.param({"name": "a" * 64}, "name", id="name-too-long"),
        pytest.param({"name": ""}, "name", id="name-empty"),
        pytest.param({"kind": "vm"}, "kind", id="unknown-kind"),
        pytest.param({"url": None}, "url", id="no-source"),
        pytest.param({"repository": "x"}, "url", id="both-sources"),
        pytest.param({"url": "ext::sh -c id"}, "url", id="ext"),
        pytest.param({"url": "file:///etc"}, "url", id="file"),
        pytest.param({"url": "https://user:pw@git.example/x"}, "url", id="password-in-url"),
        pytest.param({"url": "ssh://-oProxyCommand=id/x"}, "url", id="option-host"),
        pytest.param({"branch": "-h"}, "branch", id="branch-option"),
        pytest.param({"branch": "a..b"}, "branch", id="branch-dots"),
        pytest.param({"compose_path": "../compose.yaml"}, "compose_path", id="path-up"),
        pytest.param({"compose_path": "/etc/passwd"}, "compose_path", id="path-absolute"),
        pytest.param({"expose_port": 0}, "expose_port", id="port-zero"),
        pytest.param({"expose_port": 65536}, "expose_port", id="port-too-high"),
        pytest.param({"expose_port": "80"}, "expose_port", id="port-text"),
        pytest.param({"expose_port": True}, "expose_port", id="port-truth"),
        pytest.param({"expose_service": "a b"}, "expose_service", id="service-space"),
        pytest.param({"stateful_services": ["db", "x;y"]}, "stateful_services.1", id="stateful"),
        pytest.param({"image": "nginx"}, "image", id="image-of-compose"),
        pytest.param({"ports": ["80:80"]}, "ports", id="ports-of-compose"),
        pytest.param({"auto_deploy": "yes"}, "auto_deploy", id="toggle-text"),
        pytest.param({"surprise": 1}, "surprise", id="unknown-field"),
        pytest.param({"create_repository": True}, "create_repository", id="nothing-to-create"),
    ],
)
def test_bad_declaration(api: httpx2.Client, body: dict[str, object], field: str) -> None:
    """A wrong field is refused by its name, and nothing is declared."""
    answer = api.post(f"{V1}/projects", json={**compose("never"), **body})
    assert problem(answer, 422)["field"] == field
    assert api.get(f"{V1}/projects/never").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"image": None}, "image", id="no-image"),
        pytest.param({"image": "Not An Image"}, "image", id="not-an-image"),
        pytest.param({"image": "--help"}, "image", id="option"),
        pytest.param({"url": "https://git.example/x"}, "url", id="url-of-image"),
        pytest.param({"ports": ["99999:80"]}, "ports.0", id="port-too-high"),
        pytest.param({"ports": ["80:80", "1-3:1-2"]}, "ports.1", id="ranges-differ"),
        pytest.param({"ports": ["300.1.1.1:80:80"]}, "ports.0", id="no-address"),
        pytest.param({"volumes": ["/etc:/etc"]}, "volumes.0", id="folder-of-the-machine"),
        pytest.param({"volumes": ["./x:/x"]}, "volumes.0", id="relative-folder"),
        pytest.param({"volumes": ["data:/a/../b"]}, "volumes.0", id="dots"),
        pytest.param({"volumes": ["data:/x:z"]}, "volumes.0", id="unknown-mode"),
    ],
)
def test_bad_image_project(api: httpx2.Client, body: dict[str, object], field: str) -> None:
    """What an image project can't be is refused by its field."""
    answer = api.post(f"{V1}/projects", json={**image("never"), **body})
    assert problem(answer, 422)["field"] == field


def test_every_wrong_field_is_named_at_once(api: httpx2.Client) -> None:
    """Several problems are one answer with each of them."""
    body = compose("never", branch="-h", compose_path="..", expose_port=0)
    found = problem(api.post(f"{V1}/projects", json=body), 422)
    assert [one["field"] for one in found["problems"]] == ["branch", "compose_path", "expose_port"]
    types = compose("never", branch=1, auto_deploy="x", surprise=True)
    found = problem(api.post(f"{V1}/projects", json=types), 422)
    assert {one["field"] for one in found["problems"]} == {"branch", "auto_deploy", "surprise"}


HOSTILE = [
    "-oProxyCommand=touch${IFS}/tmp/owned",
    "--upload-pack=touch /tmp/owned",
    "ext::sh -c touch% /tmp/owned",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    "a;touch /tmp/owned",
    "a\nb",
    "a\r\nSet-Cookie: x",
    "a\0b",
    "../../etc/passwd",
    "%2e%2e%2f",
    "<script>alert(1)</script>",
    "\x1b]0;owned\x07",
    "\ud800",
    "\u202egnp.exe",
    "x" * 10_000,
]
FIELDS = ["name", "kind", "repository", "url", "branch", "compose_path", "image", "expose_service"]


@pytest.mark.parametrize("field", [*FIELDS, "ports", "volumes", "stateful_services"])
def test_hostile_text_in_every_field(api: httpx2.Client, field: str) -> None:
    """No field takes text that shell, git, terminal or browser could read as more than that."""
    for text in HOSTILE:
        is_list = field in {"ports", "volumes", "stateful_services"}
        base = image("never") if field in {"image", "ports", "volumes"} else compose("never")
        answer = api.post(
            f"{V1}/projects",
            # Escaped, so that a lone surrogate gets through to the parser.
            content=_dumps({**base, field: [text] if is_list else text}),
            headers={"content-type": "application/json"},
        )
        found = problem(answer, 422)
        assert found["code"].startswith("invalid-"), text
        assert "\x1b" not in found["detail"]
    assert not Path("/tmp/owned").exists()


def _dumps(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_elsewhere(api: httpx2.Client, text: str) -> None:
    """Names of tokens and repositories, remarks and commits take no such text either."""
    headers = {"content-type": "application/json"}
    requests = {
        "tokens": {"name": text, "scope": "read"},
        "repositories": {"name": text},
        "projects/any/deployments": {"commit": text},
        "settings": {"reason": text, "auto_deploy_poll_interval_seconds": 60},
    }
    for path, body in requests.items():
        method = "PATCH" if path == "settings" else "POST"
        if path == "settings" and (text.isprintable() and len(text) <= 500):
            continue  # a remark is free text; it only may not act on a terminal
        answer = api.request(method, f"{V1}/{path}", content=_dumps(body), headers=headers)
        assert problem(answer, 422)["code"].startswith("invalid-"), path


@pytest.fixture(scope="module")
def vaults(api: httpx2.Client) -> None:
    """Projects that take secrets: `vault`, `ssh-vault` and `image-vault`."""
    declare(api, compose("vault"))
    declare(api, {**compose("ssh-vault"), "url": "git@git.example:team/app.git"})
    declare(api, image("image-vault"))


@pytest.mark.usefixtures("vaults")
class TestRules:
    def test_windows_are_objects_or_lines(self, api: httpx2.Client) -> None:
        """They are shown as objects; a line that is none is refused with its place."""
        lines = ["mon-tue 09:00-17:00 Europe/Berlin", {"opens": "22:00", "closes": "02:00"}]
        rules = {"windows": lines, "minimum_image_age_seconds": 86_400}
        made = declare(api, image("ruled", rules=rules))
        first, second = made["rules"]["windows"]
        berlin = {"opens": "09:00", "closes": "17:00", "zone": "Europe/Berlin"}
        assert first == {"days": ["mon", "tue"], **berlin}
        assert (len(second["days"]), second["zone"]) == (7, "UTC")
        assert made["rules"]["minimum_image_age_seconds"] == 86_400
        path = f"{V1}/projects/ruled"
        refused = problem(api.patch(path, json={"rules": {"windows": ["at noon"]}}), 422)
        assert refused["field"] == "rules.windows.0"
        age = {"minimum_image_age_seconds": 60}
        assert api.patch(path, json={"rules": age}).json()["rules"]["windows"] is None
        assert api.patch(path, json={"rules": None}).json()["rules"] is None

    def test_a_freeze_refuses_people_who_give_no_reason(self, api: httpx2.Client) -> None:
        """What it says is shown; a person's own reason is kept with the deployment."""
        declare(api, image("frozen"))
        path = f"{V1}/projects/frozen"
        assert api.put(f"{path}/freeze", json={"reason": "month end", "for_seconds": 3600}).json()[
            "until"
        ]
        shown = api.get(path).json()["freeze"]
        assert (shown["reason"], shown["by"].startswith("local:")) == ("month end", True)
        refused = problem(api.post(f"{path}/deployments", json={}), 409)
        assert refused["code"] == "frozen"
        assert "--override" in refused["remedy"]
        asked = api.post(f"{path}/deployments", json={"override": "the shop is down"})
        assert (asked.status_code, asked.json()["override"]) == (202, "the shop is down")
        assert "frozen" in {one["code"] for one in api.get(f"{path}/why").json()["reasons"]}
        assert api.delete(f"{path}/freeze").json() == {"thawed": True}
        assert api.delete(f"{path}/freeze").json() == {"thawed": False}
        assert api.get(path).json()["freeze"] is None

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"reason": " "}, "reason"),
            ({"reason": "x", "for_seconds": 0}, "for_seconds"),
            ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
            ({"reason": "x", "until": "2020-01-01T00:00:00Z", "for_seconds": 9}, "until"),
        ],
    )
    def test_a_freeze_that_is_none_is_refused(
        self, api: httpx2.Client, body: dict[str, object], field: str
    ) -> None:
        answer = api.put(f"{V1}/projects/nothing/freeze", json=body)
        assert problem(answer, 422)["field"] == field


class TestSecrets:
    def test_value_is_never_shown(self, api: httpx2.Client, daemon: WebDaemon) -> None:
        """No answer and no log has the value; the fingerprint tells equal from different."""
        path = f"{V1}/projects/vault/secrets/variable:DATABASE_URL"
        first = api.put(path, json={"value": "canary-9f8e7d"})
        again = api.put(path, json={"value": "canary-9f8e7d"})
        other = api.put(path, json={"value": "canary-other"})
        assert first.json()["fingerprint"] == again.json()["fingerprint"]
        assert other.json()["fingerprint"] != first.json()["fingerprint"]
        shown = [first.text, other.text, api.get(f"{V1}/projects/vault/secrets").text]
        wrong = api.put(path, json={"value": "canary-9f8e7d", "username": "x"})
        missing = api.put(path, json={"value": ["canary-9f8e7d"]})
        assert {wrong.status_code, missing.status_code} == {422}
        shown += [wrong.text, missing.text, daemon.child.output()]
        assert not [text for text in shown if "canary" in text]

    def test_changed_variable_grows_the_generation(self, api: httpx2.Client) -> None:
        """A variable that changes changes what would run; the same value again does not."""
        path = f"{V1}/projects/image-vault/secrets/variable:MODE"

        def generation() -> int:
            return int(api.get(f"{V1}/projects/image-vault").json()["generation"])

        seen = [generation()]
        for value in ("a", "a", "b"):
            api.put(path, json={"value": value})
            seen.append(generation())
        api.delete(path)
        assert [*seen, generation()] == [1, 2, 2, 3, 4]

    def test_bindings(self, api: httpx2.Client, tmp_path: Path) -> None:
        """Each kind of secret is bound to the one place that it is sent to."""
        token = api.put(f"{V1}/projects/vault/secrets/git-token", json={"value": "x"})
        assert token.json()["bound_to"] == "https://git.example"
        registry = api.put(
            f"{V1}/projects/vault/secrets/registry:registry.example:5000",
            json={"value": "x", "username": "robot"},
        )
        assert registry.json()["bound_to"] == "registry.example:5000"
        key = api.put(
            f"{V1}/projects/ssh-vault/secrets/git-ssh-key", json={"value": make_key(tmp_path)}
        )
        assert key.json()["bound_to"] == "ssh://git.example"
        names = [item["name"] for item in api.get(f"{V1}/projects/vault/secrets").json()["items"]]
        assert {"git-token", "registry:registry.example:5000"} <= set(names)

    @pytest.mark.parametrize(
        ("project", "secret", "body", "field"),
        [
            pytest.param("vault", "git-ssh-key", {"value": "x"}, "secret", id="key-for-https"),
            pytest.param("ssh-vault", "git-token", {"value": "x"}, "secret", id="token-for-ssh"),
            pytest.param("image-vault", "git-token", {"value": "x"}, "secret", id="no-source"),
            pytest.param("ssh-vault", "git-ssh-key", {"value": "x"}, "value", id="not-a-key"),
            pytest.param("vault", "password", {"value": "x"}, "secret", id="unknown"),
            pytest.param("vault", "variable:1A", {"value": "x"}, "secret", id="variable-digit"),
            pytest.param("vault", "variable:", {"value": "x"}, "secret", id="variable-empty"),
            pytest.param("vault", "variable:A-B", {"value": "x"}, "secret", id="variable-dash"),
            pytest.param("vault", "variable:A", {"value": ""}, "value", id="empty"),
            pytest.param("vault", "variable:A", {"value": "a\0b"}, "value", id="nul"),
            pytest.param("vault", "variable:A", {"value": "x" * 65537}, "value", id="too-long"),
            pytest.param("vault", "variable:A", {}, "value", id="no-value"),
            pytest.param(
                "vault", "variable:A", {"value": "x", "username": "u"}, "username", id="user"
            ),
            pytest.param(
                "vault", "registry:registry.example", {"value": "x"}, "username", id="no-user"
            ),
            pytest.param(
                "vault", "registry:-h", {"value": "x", "username": "u"}, "secret", id="no-host"
            ),
            pytest.param(
                "vault",
                "git-token",
                {"value": "x", "bound_to": "https://evil.example"},
                "bound_to",
                id="elsewhere",
            ),
            pytest.param(
                "vault", "git-token", {"value": "x", "username": "a:b"}, "username", id="colon"
            ),
        ],
    )
    def test_bad_secret(
        self, api: httpx2.Client, project: str, secret: str, body: dict[str, str], field: str
    ) -> None:
        """What can't be stored is refused by its field, and nothing is stored."""
        before = api.get(f"{V1}/projects/{project}/secrets").json()
        answer = api.put(f"{V1}/projects/{project}/secrets/{secret}", json=body)
        assert problem(answer, 422)["field"] == field
        assert api.get(f"{V1}/projects/{project}/secrets").json() == before

    def test_key_with_passphrase(self, api: httpx2.Client, tmp_path: Path) -> None:
        """A key that nobody is there to unlock is refused."""
        value = make_key(tmp_path, passphrase="secret")
        answer = api.put(f"{V1}/projects/ssh-vault/secrets/git-ssh-key", json={"value": value})
        assert "passphrase" in problem(answer, 422)["detail"]


def make_key(folder: Path, passphrase: str = "") -> str:
    """Return a new OpenSSH private key."""
    path = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    return path.read_text()


class TestSettings:
    def test_changed_together(self, api: httpx2.Client) -> None:
        """Settings change live, with who and why."""
        change = {"auto_deploy_poll_interval_seconds": 30, "reason": "quiet"}
        answer = api.patch(f"{V1}/settings", json=change)
        assert answer.status_code == 200, answer.text
        found = {item["key"]: item for item in api.get(f"{V1}/settings").json()["items"]}
        poll = found["auto_deploy_poll_interval_seconds"]
        assert (poll["value"], poll["default"], poll["minimum"], poll["reason"]) == (
            30,
            60,
            10,
            "quiet",
        )
        assert poll["changed_by"].startswith("local:")
        assert len(found) == 3

    def test_all_or_nothing(self, api: httpx2.Client) -> None:
        """One wrong value changes none, and every wrong key is named."""
        before = api.get(f"{V1}/settings").json()
        change = {
            "auto_deploy_master_enabled": False,
            "auto_deploy_poll_interval_seconds": 9,
            "auto_deploy_image_watch_interval_seconds": "600",
            "nonsense": 1,
        }
        found = problem(api.patch(f"{V1}/settings", json=change), 422)
        assert [one["field"] for one in found["problems"]] == [
            "auto_deploy_poll_interval_seconds",
            "auto_deploy_image_watch_interval_seconds",
            "setting",
        ]
        assert "minimum of 10" in found["detail"]
        assert api.get(f"{V1}/settings").json() == before


class TestTokens:
    def test_made_listed_withdrawn(self, api: httpx2.Client, daemon: WebDaemon) -> None:
        """A token works until it is withdrawn, and is shown once."""
        token = daemon.make_token("short-lived", "read")
        client = daemon.remote(token)
        assert client.get(f"{V1}/projects").status_code == 200
        listing = api.get(f"{V1}/tokens")
        assert token not in listing.text
        assert "short-lived" in {item["name"] for item in listing.json()["items"]}
        assert api.delete(f"{V1}/tokens/short-lived").status_code == 204
        assert client.get(f"{V1}/projects").status_code == 401

    def test_bad_token(self, api: httpx2.Client, daemon: WebDaemon) -> None:
        """An unknown scope, a bad name and a taken name are refused."""
        daemon.make_token("taken", "read")
        for body, status in (
            ({"name": "x", "scope": "root"}, 422),
            ({"name": "x", "scope": "repository:shop"}, 422),
            ({"name": "a b", "scope": "read"}, 422),
            ({"name": "taken", "scope": "read"}, 409),
        ):
            problem(api.post(f"{V1}/tokens", json=body), status)


class TestRepositories:
    def test_made_and_removed(self, api: httpx2.Client) -> None:
        """A repository is made once, listed, and not removed while a project follows it."""
        assert api.post(f"{V1}/repositories", json={"name": "kept"}).json() == {
            "name": "kept",
            "url_path": "/git/kept.git",
            "branches": {},
        }
        assert problem(api.post(f"{V1}/repositories", json={"name": "kept"}), 409)
        declare(api, {"name": "follower", "kind": "compose", "repository": "kept"})
        assert "follower" in problem(api.delete(f"{V1}/repositories/kept"), 409)["detail"]
        api.delete(f"{V1}/projects/follower")
        assert api.delete(f"{V1}/repositories/kept").status_code == 204
        assert problem(api.delete(f"{V1}/repositories/kept"), 404)

    def test_tokens_go_with_their_repository(self, api: httpx2.Client, daemon: WebDaemon) -> None:
        """Who could push to a repository that is gone can't push to a later one of its name."""
        token = daemon.make_repository("reborn")
        api.delete(f"{V1}/repositories/reborn")
        api.post(f"{V1}/repositories", json={"name": "reborn"})
        old = daemon.remote(token)
        found = old.get("/git/reborn.git/info/refs?service=git-receive-pack").status_code
        assert found == 401
        names = [item["name"] for item in api.get(f"{V1}/tokens").json()["items"]]
        assert "push-reborn" not in names

    def test_report_of_a_repository_elsewhere(self, api: httpx2.Client) -> None:
        """A hook of another server's repository is answered by who follows it."""
        declare(api, compose("elsewhere", url="https://git.example/team/abroad.git"))
        lines = f"{'0' * 40} {'1' * 40} refs/heads/main\n"
        told = api.post(f"{V1}/repositories/abroad/received", content=lines)
        assert told.text == "elsewhere: https://git.example/team/abroad.git is looked at now\n"
        nobody = api.post(f"{V1}/repositories/nobodys/received", content=lines)
        assert nobody.text == "no project follows main of nobodys\n"

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("", id="empty"),
            pytest.param("main\n", id="not-three"),
            pytest.param(f"{'0' * 40} {'1' * 39} refs/heads/main\n", id="short"),
            pytest.param(f"{'0' * 40} {'1' * 40} main\n", id="not-a-ref"),
            pytest.param(f"{'0' * 40} {'1' * 40} refs/heads/\x1b[2J\n", id="escape"),
            pytest.param(f"{'0' * 40} {'1' * 40} refs/heads/main\n" * 1001, id="too-many"),
        ],
    )
    def test_bad_report(self, api: httpx2.Client, body: str) -> None:
        """A report that no hook would send is refused."""
        api.post(f"{V1}/repositories", json={"name": "reported"})
        answer = api.post(f"{V1}/repositories/reported/received", content=body)
        problem(answer, 422)


class TestDeployments:
    def test_asked_for_coalesced_listed_in_pages(self, api: httpx2.Client) -> None:
        """A person's request is admitted; the same again is the same deployment."""
        declare(api, compose("runs", expose_service="web", expose_port=80))
        path = f"{V1}/projects/runs/deployments"
        first = api.post(path, json={"commit": "a" * 40, "reason": "try it"})
        assert first.status_code == 202, first.text
        assert first.headers["reconciler-outcome"] == "admitted"
        made = first.json()
        assert first.headers["location"] == f"/api/v1/deployments/{made['id']}"
        assert (made["status"], made["revision"]["commit"]) == ("queued", "a" * 40)
        assert made["causes"][0]["actor"].startswith("local:")
        again = api.post(path, json={"commit": "a" * 40})
        assert (again.status_code, again.json()["id"]) == (200, made["id"])
        assert again.headers["reconciler-outcome"] == "coalesced"
        for letter in "bcd":
            api.post(path, json={"commit": letter * 40})
        seen: list[int] = []
        cursor: str | None = None
        while True:
            query = f"?limit=2{f'&cursor={cursor}' if cursor else ''}"
            page = api.get(f"{path}{query}").json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == 4
        shown = api.get(f"{V1}/deployments/{made['id']}").json()
        assert shown["status"] == "superseded"
        queued = api.get(f"{V1}/deployments?status=queued&project=runs").json()["items"]
        assert [item["revision"]["commit"] for item in queued] == ["d" * 40]
        triggers = api.get(f"{V1}/projects/runs/triggers").json()["items"]
        assert {trigger["outcome"] for trigger in triggers} == {"admitted", "coalesced"}

    def test_unreachable_source(self, api: httpx2.Client) -> None:
        """Without a commit the source is asked; when it does not answer, that is the answer."""
        declare(api, compose("far", expose_service="web", expose_port=80))
        found = problem(api.post(f"{V1}/projects/far/deployments"), 502)
        assert found["code"] == "source-unreachable"
        assert found["evidence"] == {"host": "git.example"}

    def test_missing_exposure_refuses(self, api: httpx2.Client) -> None:
        """A compose project without exposure is refused with what to do."""
        declare(api, compose("unexposed"))
        answer = api.post(f"{V1}/projects/unexposed/deployments", json={"commit": "a" * 40})
        found = problem(answer, 409)
        assert found["code"] == "expose-missing"
        assert "--expose-service" in found["reasons"][0]["text"]

    def test_nothing_to_approve(self, api: httpx2.Client) -> None:
        """Where no migration waits for a person, there is nothing to say yes to."""
        declare(api, compose("unasked"))
        answer = api.post(f"{V1}/projects/unasked/approve", json={"reason": "sure"})
        assert problem(answer, 409)["code"] == "nothing-to-approve"
        answer = api.post(f"{V1}/projects/unasked/approve", json={"deployment": 7})
        assert problem(answer, 404)["code"] == "not-found"

    def test_nothing_to_restore(self, api: httpx2.Client) -> None:
        """A project without a past can't go back."""
        declare(api, compose("fresh"))
        assert (
            problem(api.post(f"{V1}/projects/fresh/rollback"), 409)["code"] == "nothing-to-restore"
        )
        answer = api.post(f"{V1}/projects/fresh/rollback", json={"to": 7})
        assert problem(answer, 404)["code"] == "not-found"

    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("deployments?limit=0", "limit"),
            ("deployments?limit=501", "limit"),
            ("deployments?cursor=-1", "cursor"),
            ("deployments?cursor=99999999999999999999", "cursor"),
            ("deployments?status=unknown", "status.0"),
            ("deployments?project=-h", "project"),
            ("deployments/0", "id"),
            ("deployments/abc", "id"),
            ("deployments/99999999999999999999", "id"),
            ("deployments/1/log?after=-1", "after"),
        ],
    )
    def test_bad_query(self, api: httpx2.Client, path: str, field: str) -> None:
        """What is asked wrongly is refused by its parameter."""
        assert problem(api.get(f"{V1}/{path}"), 422)["field"] == field


class TestDaemon:
    def test_open_routes(self, daemon: WebDaemon) -> None:
        """Health, readiness, version, description and the way in need no token."""
        client = daemon.remote()
        assert client.get("/api/ready").json() == {"status": "ready"}
        assert client.get("/api/healthz").json()["status"] == "ok"
        version = client.get("/api/version").json()
        assert version["version"]
        assert version["started_at"].endswith("Z")
        assert client.get("/openapi.json").json()["openapi"].startswith("3.")
        for path in ("/sign-in", "/docs"):
            page = client.get(path)
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "http" not in page.text.replace("http-equiv", "") or path == "/docs"
        assert client.get("/").status_code == 401

    def test_status(self, api: httpx2.Client) -> None:
        """One answer has switch, engine, registries, loops and every project."""
        found = api.get(f"{V1}/status").json()
        assert found["state"] == "ready"
        assert found["master_switch"]["enabled"] is True
        assert found["engine"] == {"ok": False, "version": None, "error": "there is no engine"}
        assert found["registries"][0]["host"] == "registry.example"
        assert found["counts"]["projects"] == len(found["projects"])
