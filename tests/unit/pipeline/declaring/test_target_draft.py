"""The rules that the declaration of a target has to meet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidInput, Refused, SeveralInvalid
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.project import HostedSource, Project, ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.references import BranchName, ImageReference, ProjectName, RepositoryPath
from reconciler.domain.target import Target, TargetStrategy, implied_target
from reconciler.pipeline.declaring.target_draft import TargetDraft, draft_of, parse_target

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHOP = ProjectName("shop")
SOURCE = HostedSource(SHOP, BranchName("main"))
UNIT = Project(SHOP, ProjectKind.UNIT, NOW, NOW, source=SOURCE)
TEST = Environment(EnvironmentName("production"), ProjectName("shop-test"))
PROMOTED = Project(SHOP, ProjectKind.UNIT, NOW, NOW, environment=TEST)
COMPOSE = Project(SHOP, ProjectKind.COMPOSE, NOW, NOW, source=SOURCE)
IMAGE = Project(SHOP, ProjectKind.IMAGE, NOW, NOW, image=ImageReference.parse("nginx"))

PROMOTED_IMAGE = Project(
    SHOP,
    ProjectKind.IMAGE,
    NOW,
    NOW,
    environment=Environment(EnvironmentName("production"), ProjectName("shop-test")),
)
APP = "registry.example/team/app:main"
IN_CLUSTER = TargetDraft(
    host="prod",
    strategy="kubernetes",
    namespace="shop",
    workloads=(
        {"name": "web", "containers": {"app": APP, "worker": "worker"}},
        {"kind": "statefulset", "name": "queue", "containers": {"app": APP}},
    ),
    port=8080,
    health_path="/healthz",
    ready={"kind": "http", "path": "/ready"},
)
LEAST = TargetDraft(host="vps1", binary="shop")
WHOLE = TargetDraft(
    host="vps1",
    strategy="systemd-remote",
    folder="/srv/shop/",
    source_folder="apps/shop",
    build="make 'VERSION=1 2' shop",
    binary="bin/shop",
    files=("static", "config/shop.toml"),
    user="shop",
    port=8080,
    environment={"LOG_LEVEL": "debug"},
    health={"kind": "http", "path": "/healthz", "text": "{commit}"},
    confirm_within_seconds=90,
    branch="main",
)
ON_HOST = TargetDraft(
    host="vps1",
    strategy="docker-compose",
    folder="/srv/shop",
    environment={"LOG_LEVEL": "debug"},
    compose_files=("compose.prod.yaml",),
    base="/srv/data/shop",
    health={"kind": "command", "command": ["docker", "exec", "shop-db-1", "pg_isready"]},
    confirm_within_seconds=90.5,
)


def test_defaults_of_a_unit() -> None:
    """All but the binary is as it usually is."""
    assert parse_target(TargetDraft(binary="shop"), UNIT) == Target(
        SHOP,
        LOCAL,
        TargetStrategy.SYSTEMD,
        folder=HostPath("/opt/apps/shop"),
        binary=RepositoryPath("shop"),
    )


def test_defaults_of_compose() -> None:
    """Here it is what a project without targets has; elsewhere it gets a folder."""
    for project in (COMPOSE, IMAGE):
        assert parse_target(TargetDraft(), project) == implied_target(SHOP)
        elsewhere = parse_target(TargetDraft(host="vps1"), project)
        assert (elsewhere.host, elsewhere.folder) == ("vps1", "/opt/apps/shop")
        assert elsewhere.strategy is TargetStrategy.COMPOSE


def test_all_of_a_unit() -> None:
    """Every field arrives where it belongs; the health check asks at the target's port."""
    assert parse_target(WHOLE, UNIT) == Target(
        SHOP,
        HostName("vps1"),
        TargetStrategy.SYSTEMD_REMOTE,
        folder=HostPath("/srv/shop"),
        source_folder=RepositoryPath("apps/shop"),
        build=("make", "VERSION=1 2", "shop"),
        binary=RepositoryPath("bin/shop"),
        files=(RepositoryPath("static"), RepositoryPath("config/shop.toml")),
        user="shop",
        port=8080,
        environment={"LOG_LEVEL": "debug"},
        health=HealthCheck(ProbeKind.HTTP, port=8080, path="/healthz", text="{commit}"),
        confirm_within=timedelta(seconds=90),
    )


@pytest.mark.parametrize(
    ("project", "draft", "field", "problem"),
    [
        pytest.param(UNIT, {"image": "x/app:1"}, "image", "there is none", id="follows-itself"),
        pytest.param(PROMOTED, {"image": "x/app:"}, "image", "not an image name", id="no-image"),
        pytest.param(
            PROMOTED, {"image": "web", "build": "make"}, "build", "exclude each other", id="built"
        ),
        pytest.param(PROMOTED, {"image_folder": "/app"}, "image_folder", "needs `image`", id="of"),
        pytest.param(
            PROMOTED, {"image": "web", "image_folder": "/"}, "image_folder", "like '/app'", id="all"
        ),
        pytest.param(
            PROMOTED,
            {"strategy": "systemd-remote"},
            "strategy",
            "never built again; use systemd",
            id="builds-there",
        ),
    ],
)
def test_what_is_promoted_is_never_built(
    project: Project, draft: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        parse_target(replace(LEAST, **draft), project)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("draft", "project"),
    [
        pytest.param(LEAST, UNIT, id="unit"),
        pytest.param(replace(LEAST, image="web", image_folder="/srv"), PROMOTED, id="image-folder"),
        pytest.param(WHOLE, UNIT, id="all-of-a-unit"),
        pytest.param(TargetDraft(), COMPOSE, id="compose-here"),
        pytest.param(TargetDraft(port=8080, health_path="/"), COMPOSE, id="compose-health-path"),
        pytest.param(ON_HOST, COMPOSE, id="all-of-compose"),
        pytest.param(TargetDraft(host="vps1"), IMAGE, id="image"),
        pytest.param(IN_CLUSTER, PROMOTED_IMAGE, id="all-of-kubernetes"),
    ],
)
def test_there_and_back(draft: TargetDraft, project: Project) -> None:
    """A target says the draft that it can be made of again."""
    target = parse_target(draft, project)
    assert parse_target(draft_of(target), project) == target


@pytest.mark.parametrize(
    ("project", "draft", "port"),
    [
        (UNIT, replace(LEAST, port=8080, health_path="/healthz"), 8080),
        (COMPOSE, TargetDraft(port=8080, health_path="/healthz"), None),
    ],
)
def test_health_path(project: Project, draft: TargetDraft, port: int | None) -> None:
    """With a port it is short for a check over HTTP; only a unit gets the port itself."""
    target = parse_target(draft, project)
    assert target.health == HealthCheck(ProbeKind.HTTP, port=8080, path="/healthz")
    assert target.port == port


@pytest.mark.parametrize(
    ("build", "argv"),
    [
        ((), ()),
        ("", ()),
        ("make release", ("make", "release")),
        (("sh", "-c", "make && make test"), ("sh", "-c", "make && make test")),
        ("echo '$HOME' \"a;b\"", ("echo", "$HOME", "a;b")),
    ],
)
def test_build(build: tuple[str, ...] | str, argv: tuple[str, ...]) -> None:
    """A build is a list, or a line that is split as a shell would, and that no shell runs."""
    assert parse_target(replace(LEAST, build=build), UNIT).build == argv


def test_source_folder_is_the_top() -> None:
    """A dot is the top of the repository."""
    assert parse_target(replace(LEAST, source_folder="."), UNIT).source_folder is None


WRONG = [
    ({"host": "VPS 1"}, UNIT, "host"),
    ({"host": "-oProxyCommand=x"}, UNIT, "host"),
    ({"strategy": "rsync"}, UNIT, "strategy"),
    ({"strategy": "compose"}, UNIT, "strategy"),
    ({"strategy": "docker-compose"}, UNIT, "strategy"),
    ({"folder": "/etc"}, UNIT, "folder"),
    ({"folder": "apps"}, UNIT, "folder"),
    ({"source_folder": "../x"}, UNIT, "source_folder"),
    ({"build": "make && make test"}, UNIT, "build"),
    ({"build": "make 'x"}, UNIT, "build"),
    ({"build": ("",)}, UNIT, "build"),
    ({"binary": None}, UNIT, "binary"),
    ({"binary": "/bin/sh"}, UNIT, "binary"),
    ({"files": ("a", "../b")}, UNIT, "files.1"),
    ({"files": ("",)}, UNIT, "files.0"),
    ({"files": ("a",) * 101}, UNIT, "files"),
    ({"user": "-x"}, UNIT, "user"),
    ({"user": "a b"}, UNIT, "user"),
    ({"port": 0}, UNIT, "port"),
    ({"port": 70000, "health_path": "/"}, UNIT, "port"),
    ({"environment": {"A-B": "c"}}, UNIT, "environment"),
    ({"environment": {"API_KEY": "c"}}, UNIT, "environment.API_KEY"),
    ({"environment": {"PORT": "80"}, "port": 80}, UNIT, "environment.PORT"),
    ({"compose_files": ("a.yaml",)}, UNIT, "compose_files"),
    ({"base": "/srv/shop"}, UNIT, "base"),
    ({"health_path": "/"}, UNIT, "port"),
    ({"health_path": "x", "port": 80}, UNIT, "health_path"),
    ({"health_path": "/", "port": 80, "health": {"kind": "tcp"}}, UNIT, "health_path"),
    ({"health": {"kind": "http"}}, UNIT, "health.port"),
    ({"health": {}}, UNIT, "health.kind"),
    ({"health": {"kind": "tcp", "port": 1, "retries": 0}}, UNIT, "health.retries"),
    ({"confirm_within_seconds": 9}, UNIT, "confirm_within_seconds"),
    ({"confirm_within_seconds": 3601}, UNIT, "confirm_within_seconds"),
    ({"confirm_within_seconds": 60, "host": "localhost"}, UNIT, "confirm_within_seconds"),
    ({"branch": "dev"}, UNIT, "branch"),
    ({"strategy": "systemd"}, COMPOSE, "strategy"),
    ({"source_folder": "x"}, COMPOSE, "source_folder"),
    ({"build": "make"}, COMPOSE, "build"),
    ({"binary": "x"}, COMPOSE, "binary"),
    ({"files": ("x",)}, COMPOSE, "files"),
    ({"user": "x"}, COMPOSE, "user"),
    ({"port": 80}, COMPOSE, "port"),
    ({"folder": "/srv/shop", "host": "local"}, COMPOSE, "folder"),
    ({"compose_files": ("/a.yaml",)}, COMPOSE, "compose_files.0"),
    ({"base": "srv/shop"}, COMPOSE, "base"),
    ({"base": "/etc"}, COMPOSE, "base"),
    ({"branch": "dev"}, COMPOSE, "branch"),
    ({"compose_files": ("a.yaml",)}, IMAGE, "compose_files"),
    ({"base": "/srv/shop"}, IMAGE, "base"),
    ({"branch": "main"}, IMAGE, "branch"),
    ({"health": {"kind": "http", "port": 80, "text": "{commit}"}}, IMAGE, "health.text"),
]


@pytest.mark.parametrize(
    ("change", "project", "field"),
    [pytest.param(*wrong, id=f"{wrong[1].kind}-{wrong[2]}-{at}") for at, wrong in enumerate(WRONG)],
)
def test_wrong_field(change: dict[str, object], project: Project, field: str) -> None:
    """What can't be meant is refused, naming the field, once."""
    right = LEAST if project is UNIT else TargetDraft(host="vps1")
    parse_target(right, project)
    with pytest.raises(InvalidInput) as refused:
        parse_target(replace(right, **change), project)  # type: ignore[arg-type]  # one per case
    assert refused.value.field == field


def test_another_branch_is_another_project() -> None:
    """One project follows one branch; what helps is said."""
    with pytest.raises(InvalidInput, match="follows on all of its hosts; declare a second project"):
        parse_target(replace(LEAST, branch="dev"), UNIT)


def test_all_that_is_wrong_is_said() -> None:
    """Every wrong field is named at once."""
    wrong = replace(ON_HOST, host="-", user="x", folder="/", health={"kind": "tcp"})
    with pytest.raises(SeveralInvalid) as several:
        parse_target(replace(wrong, environment={"A_TOKEN": "x", "B": "\0"}), COMPOSE)
    assert [problem.field for problem in several.value.problems] == [
        *("host", "user", "folder", "environment.A_TOKEN", "environment.B", "health.port"),
    ]


@pytest.mark.parametrize("kind", [ProjectKind.TUNNEL, ProjectKind.DOMAIN_ONLY])
def test_nothing_to_deploy(kind: ProjectKind) -> None:
    """What has nothing to deploy has no targets."""
    with pytest.raises(Refused, match="nothing to deploy"):
        parse_target(TargetDraft(), Project(SHOP, kind, NOW, NOW))


TEXT = st.text(st.characters(), max_size=12) | st.text("/.-a", max_size=6)
OPTIONAL = st.none() | TEXT


@given(
    draft=st.builds(
        TargetDraft,
        host=TEXT | st.just("vps1"),
        folder=OPTIONAL,
        source_folder=OPTIONAL,
        build=TEXT | st.lists(TEXT, max_size=3).map(tuple),
        binary=OPTIONAL | st.just("shop"),
        files=st.lists(TEXT, max_size=2).map(tuple),
        user=OPTIONAL,
        port=st.none() | st.integers(),
        health_path=OPTIONAL,
        environment=st.dictionaries(TEXT, TEXT, max_size=2),
        compose_files=st.lists(TEXT, max_size=2).map(tuple),
        health=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
        ready_path=OPTIONAL,
        ready=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
        confirm_within_seconds=st.none() | st.floats(),
    ),
    project=st.sampled_from([UNIT, COMPOSE, IMAGE]),
)
def test_whatever_is_sent(draft: TargetDraft, project: Project) -> None:
    """It is a target, which can be shown and read again, or it is refused; never a crash."""
    try:
        target = parse_target(draft, project)
    except (InvalidInput, SeveralInvalid):
        return
    assert parse_target(draft_of(target), project) == target


def test_all_of_a_target_in_a_cluster() -> None:
    """Workloads in their order, each container with what its revision calls the image."""
    target = parse_target(IN_CLUSTER, PROMOTED_IMAGE)
    assert [str(one) for one in target.workloads] == ["deployment/web", "statefulset/queue"]
    assert target.workloads[0].containers == {"app": APP, "worker": "worker"}
    assert (target.folder, target.namespace, target.port) == ("", "shop", None)
    assert target.health == HealthCheck(ProbeKind.HTTP, port=8080, path="/healthz")
    assert target.ready == HealthCheck(ProbeKind.HTTP, port=8080, path="/ready")
    left_out = parse_target(replace(IN_CLUSTER, namespace=None), PROMOTED_IMAGE)
    assert left_out.namespace == "default"


def one(**fields: object) -> dict[str, object]:
    return {"workloads": ({"name": "web", "containers": {"app": APP}} | fields,)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workloads": ()}, "workloads: must be a list of 1 to 20 workloads"),
        (one(kind="job"), "workloads.0.kind: 'job' is not one of"),
        (one(name="Web"), "workloads.0.name: 'Web' must be its name in the cluster"),
        (one(name="a" * 62, containers={"b" * 63: APP}), ""),
        (one(name=f"{'a' * 60}.{'b' * 60}", containers={"c" * 63: APP}), "128"),
        (one(containers={}), "workloads.0.containers: must name 1 to 20 containers"),
        (one(containers={"app": "no image"}), "workloads.0.containers.app: 'no image'"),
        (one(replicas=3), "workloads.0: 'replicas' is no field of a workload"),
        ({"workloads": [IN_CLUSTER.workloads[0]] * 2}, "names one workload twice"),
        ({"namespace": "Shop"}, "namespace: 'Shop' must be"),
        ({"host": "local"}, "host: 'local' is the daemon's machine, and no cluster"),
        ({"folder": "/srv/x"}, "folder: '/srv/x' does not belong"),
        ({"environment": {"A": "1"}}, "environment: "),
        ({"health_path": None, "ready": None}, "port: 8080 does not belong in a kubernetes"),
        (
            {"health_path": None, "health": {"kind": "tcp"}},
            "health.kind: 'tcp' can't be asked of pods",
        ),
        (
            {"ready": {"kind": "command", "command": ["true"]}},
            "ready.kind: 'command' can't be asked of pods",
        ),
        (
            {"health_path": None, "health": {"kind": "http", "origin": "daemon"}},
            "health.origin: 'daemon' does not belong",
        ),
    ],
)
def test_what_can_not_be_in_a_cluster(changes: dict[str, object], said: str) -> None:
    """Each field is named, with its value."""
    draft = replace(IN_CLUSTER, **changes)  # type: ignore[arg-type]
    if not said:
        parse_target(draft, PROMOTED_IMAGE)
        return
    with pytest.raises((InvalidInput, SeveralInvalid)) as refused:
        parse_target(draft, PROMOTED_IMAGE)
    assert said in refused.value.message


def test_a_project_of_its_own_sets_the_image_that_it_follows() -> None:
    """Any other one would stand still unseen."""
    draft = TargetDraft("prod", "kubernetes", **one())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"is not docker\.io/library/nginx:latest, the image"):
        parse_target(draft, IMAGE)
    own = one(containers={"app": "nginx:latest"})
    target = parse_target(replace(draft, **own), IMAGE)  # type: ignore[arg-type]
    assert target.workloads[0].containers == {"app": "docker.io/library/nginx:latest"}


@pytest.mark.parametrize("project", [UNIT, COMPOSE])
def test_other_kinds_have_no_targets_in_clusters(project: Project) -> None:
    """What is built here would have no registry that a cluster could pull it from."""
    with pytest.raises(InvalidInput, match="strategy: 'kubernetes' does not suit"):
        parse_target(IN_CLUSTER, project)
