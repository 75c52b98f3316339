"""What compose rendered: services, policy, overrides."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.deployment import DeploymentId, Pin, PlannedService, PreparedTarget
from reconciler.domain.errors import InvalidComposeFile, PreconditionFailed
from reconciler.domain.references import Digest, ImageReference, ServiceName
from reconciler.domain.revision import Revision
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.deploy_folder import (
    DeployFolderHere,
    override_path,
    override_text,
)
from reconciler.strategies.compose.policy import Policy
from reconciler.strategies.compose.rendering import Rendering, parse_rendering

DIGEST = Digest("sha256:" + "a" * 64)


def examined(text: str = "services: {web: {image: 'a:1'}}") -> Examined:
    file = RuamelComposeReader().read(text.encode())
    names = tuple(service.name for service in file.services)
    return Examined(file, {}, names, ())


def rendered(**web: Any) -> Rendering:
    body = {"image": "a:1", **web}
    return parse_rendering(json.dumps({"services": {"web": body}}), examined())


def test_services_come_in_the_files_own_order() -> None:
    """Compose sorts them; people do not."""
    text = "services: {web: {image: a}, db: {image: b}}"
    document = {"services": {"z": {"image": "z"}, "db": {"image": "b"}, "web": {"image": "a"}}}
    found = parse_rendering(json.dumps(document), examined(text))
    assert [service.name for service in found.services] == ["web", "db", "z"]


def test_what_compose_would_look_up_beside_the_images_is_told() -> None:
    """D5: nothing of it is for what is promoted."""
    exact = {"type": "image", "source": f"a@{DIGEST}", "target": "/a"}
    tag = {"type": "image", "source": "b:1", "target": "/b"}
    assert list(rendered(volumes=[exact]).looked_up_beside()) == []
    assert list(rendered(volumes=[exact, tag]).looked_up_beside()) == ["services.web.volumes: b:1"]
    document = {"services": {"web": {"image": "a:1"}}, "models": {"llm": {"model": "ai/m"}}}
    found = parse_rendering(json.dumps(document), examined())
    assert list(found.looked_up_beside()) == ["models: llm"]


@pytest.mark.parametrize(
    ("body", "replicas"),
    [
        ({}, 1),
        ({"scale": 3}, 3),
        ({"deploy": {"replicas": 2}}, 2),
        ({"deploy": {}}, 1),
        ({"scale": 0}, 0),
    ],
)
def test_replicas_are_as_declared(body: dict[str, Any], replicas: int) -> None:
    """Both spellings; one where there is none."""
    document = {"services": {"web": {"image": "a:1", **body}, "z": {"image": "a:1"}}}
    found = parse_rendering(json.dumps(document), examined())
    assert found.services[0].replicas == replicas


@pytest.mark.parametrize(
    ("body", "finishes"),
    [
        pytest.param({}, True, id="unset"),
        pytest.param({"restart": "no"}, True, id="no"),
        pytest.param({"restart": "on-failure:3"}, True, id="on-failure"),
        pytest.param({"restart": "always"}, False, id="always"),
        pytest.param({"restart": "unless-stopped"}, False, id="unless-stopped"),
        pytest.param({"deploy": {"restart_policy": {"condition": "any"}}}, False, id="any"),
        pytest.param({"deploy": {"restart_policy": {}}}, False, id="default-condition"),
        pytest.param({"deploy": {"restart_policy": {"condition": "none"}}}, True, id="none"),
        pytest.param(
            {"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}},
            False,
            id="restart-wins",
        ),
    ],
)
def test_a_service_may_finish_where_the_engine_leaves_it_so(
    body: dict[str, Any], finishes: bool
) -> None:
    """By its restart policy."""
    assert rendered(**body).services[0].finishes is finishes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("not json", "not a project", id="no-json"),
        pytest.param("[]", "not a project", id="no-mapping"),
        pytest.param('{"services": {}}', "no service would be started", id="no-services"),
        pytest.param('{"services": {"web": {"labels": {}}}}', "web.image: ''", id="no-image"),
        pytest.param('{"services": {"web": {"image": "a:"}}}', "web.image: 'a:'", id="bad-image"),
        pytest.param('{"services": {"web": {"image": "b:1"}}}', "one reading", id="disagreement"),
    ],
)
def test_what_can_not_be_deployed_is_refused(text: str, problem: str) -> None:
    """With the service and what to do."""
    with pytest.raises(InvalidComposeFile, match=problem):
        parse_rendering(text, examined())


def bind(source: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/x"}]}


@pytest.mark.parametrize(
    ("body", "grant"),
    [
        pytest.param(bind("/etc"), "mounts /etc of this machine", id="host-path"),
        pytest.param(bind("/var/run/docker.sock"), "controls this machine", id="engine-socket"),
        pytest.param({"privileged": True}, "is privileged", id="privileged"),
        pytest.param({"network_mode": "host"}, "shares this machine's network", id="host-network"),
        pytest.param({"pid": "host"}, "shares this machine's pid", id="host-pid"),
        pytest.param({"cap_add": ["SYS_ADMIN"]}, "cap_add: SYS_ADMIN", id="capability"),
        pytest.param({"devices": [{"source": "/dev/sda"}]}, "devices: /dev/sda", id="device"),
        pytest.param({"security_opt": ["seccomp:unconfined"]}, "unconfined", id="unconfined"),
    ],
)
def test_power_over_the_machine_is_named(tmp_path: Path, body: dict[str, Any], grant: str) -> None:
    """One line each, with the service."""
    policy = Policy(tmp_path / "root", tmp_path)
    (found,) = policy.grants(rendered(**body))
    assert found.startswith("service web ")
    assert grant in found


def test_what_is_ordinary_is_not_named(tmp_path: Path) -> None:
    """Mounts of the checkout's own files, volumes, networks."""
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    mounts = [
        {"type": "bind", "source": str(root / "data"), "target": "/a"},
        {"type": "bind", "source": str(root / "made-later"), "target": "/b"},
        {"type": "volume", "source": "named", "target": "/c"},
        {"type": "tmpfs", "target": "/d"},
    ]
    body = {"volumes": mounts, "network_mode": "bridge", "privileged": False}
    assert Policy(root, tmp_path).grants(rendered(**body)) == ()


def test_our_own_data_is_never_mounted(tmp_path: Path) -> None:
    """Neither directly, nor by a link that somebody put into the work tree."""
    root = tmp_path / "trees" / "app"
    root.mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "secret.key")
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    policy = Policy(root, tmp_path)
    for source in (tmp_path / "secret.key", root / ".." / "other", root / "link"):
        with pytest.raises(InvalidComposeFile, match=r"our own data|symbolic link"):
            policy.grants(rendered(**bind(str(source))))
    with pytest.raises(InvalidComposeFile, match="our own data"):
        policy.readings((("services.web.env_file", str(tmp_path / "key")),))


def test_paths_are_followed_on_the_machine_that_they_are_of(tmp_path: Path) -> None:
    """Its links count, not ours; and ours are not asked for where nothing leads outside."""
    asked: list[str] = []

    def there(paths: Collection[str]) -> dict[str, str]:
        asked.extend(paths)
        return {path: path.replace("/srv", "/opt/apps/web/.private") for path in paths}

    own = (Path("/opt/apps/web/.private"),)
    policy = Policy(Path("/opt/apps/web/source"), tmp_path, own, there)
    assert policy.grants(rendered(**bind("/opt/apps/web/source/data"))) == ()
    assert asked == ["/opt/apps/web/source/data", "/opt/apps/web/source"]
    with pytest.raises(InvalidComposeFile, match="our own data"):
        policy.grants(rendered(**bind("/srv/x")))
    assert policy.grants(rendered(**bind("/mnt"))) == ("service web mounts /mnt of this machine",)


def test_nothing_around_our_own_data_is_mounted(tmp_path: Path) -> None:
    """The whole machine, our folder's parent, the folder of our socket, layers of an overlay."""
    data, run = tmp_path / "data", tmp_path / "run" / "reconciler"
    root = data / "projects" / "app" / "tree"
    for folder in (root, run):
        folder.mkdir(parents=True)
    policy = Policy(root, data, (run / "daemon.sock",))
    for source in ("/", tmp_path, data, run, run.parent, run / "daemon.sock"):
        with pytest.raises(InvalidComposeFile, match="our own data"):
            policy.grants(rendered(**bind(str(source))))
    for options in (
        {"type": "overlay", "device": "overlay", "o": f"lowerdir={data}:/tmp"},
        {"type": "none", "device": str(data), "o": "rbind,ro"},
    ):
        with pytest.raises(InvalidComposeFile, match="our own data"):
            policy.grants(with_volume({"driver_opts": options}))


def with_volume(body: dict[str, Any]) -> Rendering:
    document = {"name": "app", "services": {"web": {"image": "a:1"}}, "volumes": {"v": body}}
    return parse_rendering(json.dumps(document), examined())


def test_another_projects_volume_is_refused_and_one_of_the_machine_is_named(tmp_path: Path) -> None:
    """By the name that compose gives it, whether or not it is there yet."""
    (tmp_path / "projects" / "shop").mkdir(parents=True)
    policy = Policy(tmp_path / "root", tmp_path)
    for external in (True, False):
        with pytest.raises(InvalidComposeFile, match="is project shop's"):
            policy.grants(with_volume({"name": "shop_data", "external": external}))
    (grant,) = policy.grants(with_volume({"name": "media_library", "external": True}))
    assert grant == "volumes.v is the volume media_library of this machine"
    assert policy.grants(with_volume({"name": "app_data"})) == ()


@pytest.mark.parametrize(
    "body",
    [{"volumes_from": ["container:db:ro"]}, {"pid": "container:db"}, {"ipc": "container:db"}],
    ids=["volumes", "pid", "ipc"],
)
def test_no_container_of_others_is_reached_into(tmp_path: Path, body: dict[str, Any]) -> None:
    """Its volumes, and its files by way of its processes."""
    with pytest.raises(InvalidComposeFile, match="not this project's"):
        Policy(tmp_path / "root", tmp_path).grants(rendered(**body))


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_to_start_is_no_success(count: int) -> None:
    """A project that would run nothing is refused; else nothing would be found to be well."""
    for body in ({"scale": count}, {"deploy": {"replicas": count}}):
        with pytest.raises(InvalidComposeFile, match="no service would be started"):
            rendered(**body)


# ── .deploy/ ──────────────────────────────────────────────────────────────────────────────────

PIN = Pin(ImageReference.parse("acme/web:1.2"), DIGEST)
PREPARED = PreparedTarget(
    Revision(None),
    (PlannedService(ServiceName("web"), PIN), PlannedService(ServiceName("db"), None)),
    "compose.yaml",
    override_path(DeploymentId(7)),
    "0" * 64,
)


def test_the_override_says_the_image_and_nothing_else() -> None:
    """Of pinned services only; a label would recreate containers that did not change."""
    assert override_text(PREPARED.services) == (
        f'services:\n  "web":\n    image: "docker.io/acme/web:1.2@{DIGEST}"\n'
    )
    assert override_text(PREPARED.services[1:]) == "services: {}\n"


def test_recording_leaves_what_is_deployed_and_nothing_half_written(tmp_path: Path) -> None:
    """The override, a digest per pinned service, and no digest of a service that left."""
    folder = DeployFolderHere(tmp_path)
    folder.write("gone.sha", "old")
    folder.record(PREPARED)
    path = folder.record(PREPARED)
    assert path == tmp_path / ".deploy/override-7.yaml"
    assert sorted(one.name for one in folder.path.iterdir()) == ["override-7.yaml", "web.sha"]
    assert (folder.path / "web.sha").read_text() == f"{DIGEST}\n"


def test_forgetting_is_safe_to_repeat(tmp_path: Path) -> None:
    """Also where there is nothing, not even a folder."""
    folder = DeployFolderHere(tmp_path)
    folder.forget(PREPARED)
    path = folder.record(PREPARED)
    for _ in range(2):
        folder.forget(PREPARED)
    assert not path.exists()


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Somebody's ``.deploy`` that leads elsewhere is not written to; a linked file is replaced."""
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    elsewhere.mkdir()
    tree.mkdir()
    (tree / ".deploy").symlink_to(elsewhere)
    with pytest.raises(PreconditionFailed, match="symbolic link"):
        DeployFolderHere(tree).record(PREPARED)
    assert not list(elsewhere.iterdir())
    (tree / ".deploy").unlink()
    (tree / ".deploy").mkdir()
    (elsewhere / "victim").write_text("kept")
    (tree / ".deploy/web.sha").symlink_to(elsewhere / "victim")
    DeployFolderHere(tree).record(PREPARED)
    assert (elsewhere / "victim").read_text() == "kept"
