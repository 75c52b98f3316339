"""What a repository may say of its deployment, and all that it may not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.errors import InvalidManifest, ManifestRefused, Recovery
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import HostName
from reconciler.domain.manifest import (
    LIMIT_BYTES,
    Overlay,
    decode_manifest,
    overlaid,
    parse_manifest,
)
from reconciler.domain.migration import Migration
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ProjectName, RepositoryPath, ServiceName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.version_check import VersionCheck

NAME = ProjectName("shop")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOP = Project(
    NAME,
    ProjectKind.COMPOSE,
    NOW,
    NOW,
    expose_service=ServiceName("web"),
    expose_port=8080,
    allow_manifest=True,
)
UNIT = Target(NAME, HostName("web1"), binary=RepositoryPath("app"), port=9000)
API = Project(NAME, ProjectKind.UNIT, NOW, NOW, targets=(UNIT,), allow_manifest=True)


def overlay(text: str, project: Project = SHOP) -> Overlay:
    return overlaid(project, parse_manifest(text, project.kind))


def test_it_fills_in_what_the_operator_left_open() -> None:
    """Of a compose project: which files, how it is migrated and checked."""
    found = overlay("""
        strategy = "docker-compose"
        compose_path = "deploy/compose.yaml"
        compose_files = ["deploy/production.yaml"]
        [migration]
        command = "migrate --all"
        [version]
        port = 8080
        json_path = "commit"
        [health]
        kind = "http"
        path = "/healthz"
        """)
    (target,) = found.project.where
    assert found.project.compose_path == "deploy/compose.yaml"
    assert found.project.migration == Migration(("migrate", "--all"))
    assert found.project.version == VersionCheck(8080, json_path="commit")
    assert target.compose_files == ("deploy/production.yaml",)
    assert target.health == HealthCheck(ProbeKind.HTTP, port=8080, path="/healthz")
    assert set(found.added) == {
        *("compose_path", "compose_files", "migration", "version", "health")
    }
    assert found.overruled == ()


def test_of_a_unit_it_says_what_to_build() -> None:
    (target,) = overlay(
        'build = ["make", "app"]\nfiles = ["static"]\nsource_folder = "server"\n'
        '[health]\nkind = "tcp"\nport = 9000',
        API,
    ).project.targets
    assert (target.build, target.files, target.source_folder) == (
        ("make", "app"),
        ("static",),
        "server",
    )
    assert target.health == HealthCheck(ProbeKind.TCP, port=9000)


def test_what_the_operator_declared_wins() -> None:
    """It is told, and an equal word is no contradiction."""
    declared = replace(
        SHOP,
        compose_path=RepositoryPath("a.yaml"),
        migration=Migration(("mine",)),
        version=VersionCheck(80),
    )
    found = overlay(
        'compose_path = "b.yaml"\n[migration]\ncommand = "theirs"\n[version]\nport = 80', declared
    )
    assert replace(found.project, targets=()) == declared
    assert found.overruled == ("compose_path", "migration")
    mine = replace(
        API, targets=(replace(UNIT, build=("mine",), health=HealthCheck(ProbeKind.TCP)),)
    )
    theirs = overlay('build = "theirs"\n[health]\nkind = "command"\ncommand = "id"', mine)
    assert theirs.project == mine


@pytest.mark.parametrize(
    "line",
    [
        *('hosts = ["web9"]', 'user = "root"', 'folder = "/etc"', 'binary = "sh"', "port = 22"),
        *('[environment]\nLD_PRELOAD = "x"', '[secrets]\na = "b"', "auto_deploy = true"),
        *("force = true", "confirm_within_seconds = 10", "allow_manifest = true"),
        *('expose_service = "db"', "expose_port = 22", "push_images = true", 'url = "x"'),
        *('stateful_services = ["web"]', "one_by_one = true", 'image = "x"', 'nonsense = "x"'),
        # of the other kind
        *('build = "make"', 'files = ["x"]', 'source_folder = "x"'),
    ],
)
def test_all_else_is_refused_by_name(line: str) -> None:
    """Nothing is passed over in silence."""
    with pytest.raises(ManifestRefused) as refused:
        overlay(line)
    key = line.strip("[").partition(" ")[0].partition("]")[0]
    assert refused.value.evidence["key"] == key
    assert key in refused.value.message
    assert (refused.value.code, refused.value.recovery) == ("manifest-refused", Recovery.STALL)


@pytest.mark.parametrize(
    ("text", "key", "project"),
    [
        ('[health]\nkind = "command"\ncommand = "id"', "health.kind", SHOP),
        ('[health]\nkind = "http"\nport = 22', "health.port", SHOP),
        ('[health]\nkind = "http"\norigin = "daemon"', "health.origin", SHOP),
        ('[ready]\nkind = "http"\nport = 22', "ready.port", SHOP),
        ('[ready]\nkind = "command"\ncommand = "id"', "ready.kind", SHOP),
        (
            '[health]\nkind = "http"\nstart_period_seconds = 3000',
            "health.start_period_seconds",
            SHOP,
        ),
        ('[health]\nkind = "tcp"', "health", replace(API, targets=(replace(UNIT, port=None),))),
        ('[migration]\ncommand = "x"\ntimeout_seconds = 7200', "migration.timeout_seconds", SHOP),
        ('strategy = "systemd"', "strategy", SHOP),
        ('strategy = "systemd-remote"', "strategy", API),
        (
            'build = "make"',
            "build",
            replace(API, targets=(replace(UNIT, strategy=TargetStrategy.SYSTEMD_REMOTE),)),
        ),
    ],
)
def test_nothing_in_it_widens_what_may_be_done(text: str, key: str, project: Project) -> None:
    """No command on a host, no other port, nobody kept waiting for hours, no build as root."""
    with pytest.raises(ManifestRefused) as refused:
        overlay(text, project)
    assert refused.value.evidence["key"] == key


@pytest.mark.parametrize("user", ["root", "0"])
def test_root_by_name_is_root_as_well(user: str) -> None:
    remote = replace(UNIT, strategy=TargetStrategy.SYSTEMD_REMOTE, user=user)
    with pytest.raises(ManifestRefused, match="as root"):
        overlay('build = "make"', replace(API, targets=(remote,)))


def test_a_build_on_the_host_is_allowed_as_a_user_of_its_own() -> None:
    remote = replace(UNIT, strategy=TargetStrategy.SYSTEMD_REMOTE, user="app")
    (target,) = overlay('build = "make"', replace(API, targets=(remote,))).project.targets
    assert target.build == ("make",)


@pytest.mark.parametrize(
    "text",
    [
        *("x", "a = ", "a = 1\na = 2", "=", "\0", "a = " + "[" * 8000, "a = " + "9" * 5000),
        *("health = 1", "[health]", '[health]\nkind = "http"\npath = "x"', "compose_path = 1"),
        *('compose_path = "../x"', 'compose_path = "/etc/x"', "compose_files = 'x'"),
        *("[migration]", "migration = 1", "[migration]\ncommand = 1", "[version]", "strategy = 1"),
        *('[migration]\ncommand = "x"\nuser = "root"', "compose_files = [1]", "strategy = 'x'"),
    ],
)
def test_what_is_no_manifest_is_told(text: str) -> None:
    """In one error that names the file, whatever is in it."""
    with pytest.raises(InvalidManifest, match=r"^\.reconciler\.toml") as told:
        overlay(text)
    assert len(told.value.message) < 1000
    assert (told.value.code, told.value.recovery) == ("invalid-manifest", Recovery.STALL)


def test_bytes_that_are_no_manifest() -> None:
    assert decode_manifest(b"#" * LIMIT_BYTES)
    with pytest.raises(InvalidManifest, match="16 KiB"):
        decode_manifest(b"#" * (LIMIT_BYTES + 1))
    with pytest.raises(InvalidManifest, match="UTF-8"):
        decode_manifest(b"\xff")


@pytest.mark.parametrize("name", ["k" * 8000, r"\u001b[31m\n" * 1000])
def test_a_name_is_shown_so_that_it_harms_nobody(name: str) -> None:
    """Neither long, nor with what a terminal takes for orders."""
    with pytest.raises(ManifestRefused) as refused:
        overlay(f'"{name}" = 1')
    assert len(refused.value.message) < 300
    assert refused.value.message.isprintable()


def test_each_target_is_completed_by_itself() -> None:
    """One host's own build stays, the other one gets the repository's."""
    second = replace(UNIT, host=HostName("web2"), build=("mine",))
    found = overlay('build = "theirs"', replace(API, targets=(UNIT, second)))
    assert [target.build for target in found.project.targets] == [("theirs",), ("mine",)]
    assert (found.added, found.overruled) == (("build",), ("build",))


def test_it_says_how_to_tell_that_it_is_ready() -> None:
    """As it says how to tell that it is alive."""
    (target,) = overlay('[ready]\nkind = "http"\npath = "/ready"').project.targets
    assert target.ready == HealthCheck(ProbeKind.HTTP, port=8080, path="/ready")
    assert target.health is None


def test_times_of_its_health_check() -> None:
    (target,) = overlay('[health]\nkind = "http"\nstart_period_seconds = 600').project.targets
    assert target.health is not None
    assert target.health.start_period == timedelta(minutes=10)
