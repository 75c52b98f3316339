"""What is declared is kept as declared, and what is secret is never shown again."""

import json
from collections.abc import Iterator

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.shop import Shop, declare

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def declared(shared_daemon: Daemon) -> Iterator[list[str]]:
    """Names of projects to remove afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        shared_daemon.api.delete(f"projects/{name}")


def _plain(daemon: Daemon, engine: DockerEngine, declared: list[str], kind: str) -> str:
    unset: dict[str, object] = {"expose_service": None, "expose_port": None, "auto_deploy": None}
    name = declare(daemon, engine, kind=kind, **unset)
    declared.append(name)
    return name


@pytest.mark.parametrize("kind", ["tunnel", "domain_only"])
def test_kinds_with_nothing_to_deploy_refuse_the_toggle_and_every_request(
    shared_daemon: Daemon, engine: DockerEngine, declared: list[str], kind: str
) -> None:
    """A1: the toggle can't be turned on, by API and command line, and nothing can be deployed."""
    name = _plain(shared_daemon, engine, declared, kind)
    toggled = shared_daemon.api.patch(f"projects/{name}", json={"auto_deploy": True})
    assert (toggled.status_code, toggled.json()["code"]) == (409, "nothing-to-deploy")
    said = shared_daemon.cli("project", "enable", name)
    assert said.status != 0
    assert "nothing to deploy" in said.err
    asked = shared_daemon.api.post(f"projects/{name}/deployments", json={})
    assert (asked.status_code, asked.json()["code"]) == (409, "nothing-to-deploy")
    assert shared_daemon.cli("deploy", name).status == 10
    shown = shared_daemon.project(name)
    assert (shown["auto_deploy"], shown["state"]) == (False, "nothing-to-deploy")
    assert bool(shown["auto_deploy_refused"]) == (kind == "domain_only")
    made = shared_daemon.api.post(
        "projects", json={"name": f"{name}-2", "kind": kind, "auto_deploy": True}
    )
    assert (made.status_code, made.json()["code"]) == (409, "nothing-to-deploy")


def test_without_what_faces_users_it_is_refused_with_that_reason(shop: Shop) -> None:
    """A16: asked for by a person, or by a push; once it is declared the same commit deploys."""
    daemon = shop.daemon
    daemon.patch(f"projects/{shop.name}", {"expose_service": None, "expose_port": None})
    pushed = shop.push(shop.version("one"))
    assert "held: expose_service and expose_port are not both set" in pushed.said
    asked = daemon.api.post(f"projects/{shop.name}/deployments", json={})
    assert (asked.status_code, asked.json()["code"]) == (409, "expose-missing")
    assert daemon.cli("deploy", shop.name).status == 10
    assert shop.all() == []
    assert "expose-missing" in {one["code"] for one in daemon.why(shop.name)["reasons"]}
    said = daemon.cli("project", "set", shop.name, "--expose-service", "web", "--expose-port", "80")
    assert said.status == 0, said
    shop.look()
    shop.deployed(1, commit=pushed.commit)


@pytest.mark.slow
def test_a_service_that_faces_users_but_is_not_there_fails_before_anything_changes(
    shop: Shop,
) -> None:
    """A16: a name that no service has is said, with those that there are."""
    shop.deploy_first()
    shop.daemon.patch(f"projects/{shop.name}", {"expose_service": "shopfront"})
    shop.push(shop.version("two"))
    ended = shop.settled(2)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "invalid-compose-file")
    assert "web" in ended["error"]["message"]
    assert shop.running_version() == "first"


def test_a_project_s_whole_life_from_the_command_line(
    shared_daemon: Daemon, engine: DockerEngine
) -> None:
    """A1: added, shown, changed, enabled, disabled, listed and removed."""
    cli = shared_daemon.cli
    name = engine.unique("shop")
    added = cli("project", "add", name, "--repo", name, "--expose-service", "web",
                "--expose-port", "8080")  # fmt: skip
    assert added.status == 0, added
    assert cli("project", "add", name, "--repo", name).status != 0, "the name is taken"
    assert cli("project", "set", name, "--branch", "live").status == 0
    assert cli("project", "enable", name).status == 0
    shown = cli("project", "show", name, "--json").json
    assert (shown["auto_deploy"], shown["source"]["branch"]) == (True, "live")
    assert cli("project", "disable", name).status == 0
    listed = cli("project", "list", "--json").json["items"]
    assert [one["auto_deploy"] for one in listed if one["name"] == name] == [False]
    assert cli("project", "remove", name, "--yes").status == 0
    gone = cli("project", "show", name)
    assert gone.status != 0
    assert name in gone.err


@pytest.mark.slow
def test_removing_a_project_leaves_its_containers(shop: Shop) -> None:
    """Nobody's service stops because the daemon is told to forget it."""
    shop.deploy_first()
    shop.daemon.delete(f"projects/{shop.name}")
    assert shop.running_version() == "first"
    assert shop.daemon.api.get(f"projects/{shop.name}").status_code == 404


SECRETS = {
    "variable:PASSWORD": {"value": "hunter2-and-more"},
    "registry:registry.example:5000": {"value": "registry-password", "username": "robot"},
}


def test_secrets_are_never_shown_again(shop: Shop) -> None:
    """Stored encrypted, listed by name, fingerprint and date; in no answer, log or file."""
    daemon = shop.daemon
    shown: list[Json] = []
    for name, body in SECRETS.items():
        shown.append(daemon.put(f"projects/{shop.name}/secrets/{name}", body))
    environment = 'environment: {PASSWORD: "${PASSWORD}"}'
    shop.push(shop.compose(f"{shop.images.plain()}\n{environment}"))
    shop.deployed(1)
    given = shop.running()["Config"]["Env"]
    assert "PASSWORD=hunter2-and-more" in given, "it reaches what it is for"

    shown += daemon.get(f"projects/{shop.name}/secrets")["items"]
    shown += [shop.shown(), daemon.why(shop.name), daemon.get("status")]
    said = daemon.cli("secret", "list", shop.name)
    texts = [json.dumps(shown), said.out, daemon.log]
    texts += [daemon.log_of(one["id"]) for one in shop.all()]
    for body in SECRETS.values():
        assert not any(body["value"] in text for text in texts)
        kept = [path for path in daemon.data.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in kept if body["value"].encode() in path.read_bytes()]
    listed = daemon.get(f"projects/{shop.name}/secrets")["items"]
    assert {one["name"] for one in listed} == set(SECRETS)
    assert all(one["fingerprint"] and one["updated_at"] for one in listed)


def test_a_secret_given_on_stdin_can_be_replaced_and_removed(shop: Shop) -> None:
    """It never stands in an argument list; a new value has another fingerprint."""
    cli, name = shop.daemon.cli, shop.name
    path = f"projects/{name}/secrets"
    assert cli("secret", "set", name, "variable:KEY", stdin="first").status == 0
    (first,) = shop.daemon.get(path)["items"]
    assert cli("secret", "set", name, "variable:KEY", stdin="second").status == 0
    (second,) = shop.daemon.get(path)["items"]
    assert first["fingerprint"] != second["fingerprint"]
    assert cli("secret", "remove", name, "variable:KEY", "--yes").status == 0
    assert shop.daemon.get(path)["items"] == []
    assert cli("secret", "remove", name, "variable:KEY", "--yes").status != 0
