"""The rules that the declaration of a target has to meet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidInput, Refused, SeveralInvalid
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.project import HostedSource, Project, ProjectKind
from reconciler.domain.references import BranchName, ImageReference, ProjectName, RepositoryPath
from reconciler.domain.target import Target, TargetStrategy, implied_target
from reconciler.pipeline.declaring.target_draft import TargetDraft, draft_of, parse_target

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHOP = ProjectName("shop")
SOURCE = HostedSource(SHOP, BranchName("main"))
UNIT = Project(SHOP, ProjectKind.UNIT, NOW, NOW, source=SOURCE)
COMPOSE = Project(SHOP, ProjectKind.COMPOSE, NOW, NOW, source=SOURCE)
IMAGE = Project(SHOP, ProjectKind.IMAGE, NOW, NOW, image=ImageReference.parse("nginx"))

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
    ("draft", "project"),
    [
        pytest.param(LEAST, UNIT, id="unit"),
        pytest.param(WHOLE, UNIT, id="all-of-a-unit"),
        pytest.param(TargetDraft(), COMPOSE, id="compose-here"),
        pytest.param(TargetDraft(port=8080, health_path="/"), COMPOSE, id="compose-health-path"),
        pytest.param(ON_HOST, COMPOSE, id="all-of-compose"),
        pytest.param(TargetDraft(host="vps1"), IMAGE, id="image"),
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
    ({"branch": "dev"}, COMPOSE, "branch"),
    ({"compose_files": ("a.yaml",)}, IMAGE, "compose_files"),
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
