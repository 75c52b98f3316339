"""C6: the daemon deploys itself, as a service: a transient unit replaces it, or brings it back."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon, Json
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import Repository
from tests.parts.installed_service import ROOT, InstalledService, service_options
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_shop import PATIENT_BUILD, UnitShop, join, server, unit_shop
from tests.parts.waiting import eventually

pytestmark = [
    pytest.mark.needs_systemd,
    pytest.mark.needs_git,
]

_BLOCK = re.compile(r"## As a service\n.*?```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def service(engine: DockerEngine) -> Iterator[InstalledService]:
    """The service on a host of its own, to which it also deploys over SSH."""
    with (
        SystemdHost(engine, options=service_options(engine)) as host,
        InstalledService(host, {"listen": "0.0.0.0:8484", "host_names": host.address}) as installed,
    ):
        documented = _BLOCK.search((ROOT / "docs" / "self-update.md").read_text())
        assert documented
        host.run("sh", "-euc", f"cd /opt/checkout\n{documented[1]}")
        join(installed, host, "here")
        yield installed


@pytest.fixture(scope="module")
def itself(service: InstalledService, tmp_path_factory: pytest.TempPathFactory) -> UnitShop:
    """The project that is the daemon itself; its first commit is not pushed yet."""
    name = "reconciler"
    service.post(
        "projects",
        {"name": name, "kind": "unit", "repository": name, "create_repository": True},
    )
    service.post(
        f"projects/{name}/targets",
        {
            "host": "here",
            "binary": "packaging/serve",
            "files": [name, "packaging/post-receive"],
            "user": name,
            "confirm_within_seconds": 30,
            "health": {
                "kind": "http",
                "path": "/api/version",
                "text": "{commit}",
                "interval_seconds": 0.2,
            },
            "port": service.port,
        },
    )
    token = service.post(f"repositories/{name}/tokens", {"name": "push"})["token"]
    remote = f"{service.url}/git/{name}.git".replace("//", f"//git:{token}@", 1)
    repository = Repository(tmp_path_factory.mktemp("itself") / "itself.git")
    return UnitShop(service, name, repository, remote, service.port, {"here": service.host})


def push(shop: UnitShop, files: Mapping[str, str | bytes]) -> str:
    """Push a version of the daemon; return its commit."""
    commit = shop.repository.commit(files)
    shop.publish()
    return commit


def this_version() -> dict[str, bytes]:
    """Return the files of this checkout that a release of the daemon has."""
    sources = [path for path in (ROOT / "reconciler").rglob("*") if path.is_file()]
    named = {path: path.read_bytes() for path in sources if path.suffix != ".pyc"}
    for name in ("serve", "post-receive"):
        named[ROOT / "packaging" / name] = (ROOT / "packaging" / name).read_bytes()
    return {str(path.relative_to(ROOT)): content for path, content in named.items()}


def deploy(daemon: Daemon, name: str, **wanted: object) -> Json:
    """Ask for a deployment and return it once it has ended."""
    asked = daemon.post(f"projects/{name}/deployments", wanted)
    return daemon.closed(asked["id"])


@pytest.fixture(scope="module")
def updated(service: InstalledService, itself: UnitShop) -> None:
    """A version of the daemon that it deployed itself."""
    push(itself, {**this_version(), "reconciler/updated": b"once"})
    ended = deploy(service, itself.name, force=True)
    assert ended["status"] == "deployed", service.log_of(ended["id"])


def test_c6_a_new_version_takes_over_and_a_broken_one_comes_back_as_the_old(
    service: InstalledService, itself: UnitShop, tmp_path: Path
) -> None:
    """C6: each closes its record; what is broken is told, and nobody tries it again."""
    _a_new_version_takes_over(service, itself, tmp_path)
    _a_broken_version_comes_back(service, itself)


def _a_new_version_takes_over(service: InstalledService, itself: UnitShop, folder: Path) -> None:
    """From the daemon that was installed by hand, and amid a deployment of another project."""
    with unit_shop(
        service, folder, {"here": service.host}, [{"strategy": "systemd-remote"}]
    ) as other:
        other.push(server("first"), build_sh=PATIENT_BUILD)
        eventually(lambda: service.deployments(other.name))
        (under_way,) = service.deployments(other.name)
        eventually(lambda: "waiting" in service.log_of(under_way["id"]), within=20)
        commit = push(itself, this_version())
        ended = deploy(service, itself.name, force=True)
        assert ended["status"] == "deployed", service.log_of(ended["id"])
        assert service.probe("version")[1]["commit"] == commit
        service.host.write(f"/opt/apps/{other.name}/home/go", "")
        other.deployed(1)
        other.runs("first")
        assert other.builds("here") == 1


def _a_broken_version_comes_back(service: InstalledService, itself: UnitShop) -> None:
    """One that ends as it starts."""
    before = service.probe("version")[1]["commit"]
    broken = push(itself, {"reconciler/cli/main.py": "raise SystemExit('broken on purpose')\n"})
    ended = deploy(service, itself.name)
    assert ended["status"] == "rolled-back", service.log_of(ended["id"])
    assert "broken on purpose" in ended["error"]["message"]
    assert service.probe("version")[1]["commit"] == before != broken
    quarantined = service.project(itself.name)["quarantined"]
    assert [one["commit"] for one in quarantined] == [broken]


@pytest.mark.slow
@pytest.mark.usefixtures("updated")
@pytest.mark.parametrize("victim", ["old", "replacer", "new"])
def test_c6_whoever_is_killed_one_of_both_runs_and_the_record_is_closed(
    service: InstalledService, itself: UnitShop, victim: str
) -> None:
    """C6: with SIGKILL, as soon as the time has come."""
    before = service.probe("version")[1]["commit"]
    commit = push(itself, {**this_version(), "reconciler/victim": victim.encode()})
    old = service.pid
    asked = service.post(f"projects/{itself.name}/deployments", {})
    replacer = f"reconciler-self-update-{itself.name}-{asked['id']}.service"

    def its_time() -> bool:
        if victim == "new":
            return service.pid not in {0, old}
        return service.host.unit(replacer)["ActiveState"] == "active"

    eventually(its_time, within=60, what=f"it is the time of the {victim} one")
    unit = replacer if victim == "replacer" else f"{itself.name}.service"
    service.host.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", unit)
    ended = service.closed(asked["id"])
    assert ended["status"] in {"deployed", "rolled-back"}, service.log_of(asked["id"])
    eventually(service.is_ready, within=30)
    runs = commit if ended["status"] == "deployed" else before
    assert service.probe("version")[1]["commit"] == runs
