"""The rules that a declaration has to meet."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.pipeline.declaring.ports_and_volumes import parse_ports, parse_volumes
from reconciler.pipeline.declaring.project_draft import (
    ProjectDraft,
    draft_of,
    parse_draft,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COMPOSE = ProjectDraft("shop", "compose", url="https://git.example/shop.git")
IMAGE = ProjectDraft("shop", "image", image="nginx")
UNIT = replace(COMPOSE, kind="unit")
PROMOTED = {"name": "production", "promoted_from": "shop"}
EVERY_FIELD = {
    "port": 8080,
    "path": "/version",
    "json_path": "build.commit",
    "timeout_seconds": 2,
    "start_period_seconds": 60,
    "interval_seconds": 0.5,
    "retries": 9,
    "successes": 1,
}


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(COMPOSE, id="external"),
        pytest.param(ProjectDraft("shop", "compose", repository="shop"), id="hosted"),
        pytest.param(
            replace(
                COMPOSE,
                url="https://git.example/team/shop.git",
                branch="release/1",
                compose_path="deploy/compose.yaml",
                expose_service="web",
                expose_port=65535,
                stateful_services=("db",),
                auto_deploy=True,
                watch_paths=("apps/shop", "**/*.sql"),
                skip_markers=True,
                commit_statuses=True,
                forge="forgejo",
                forge_url="https://git.example/forge",
            ),
            id="all-of-compose",
        ),
        pytest.param(replace(IMAGE, ports=("80:80",), volumes=("d:/x",)), id="image"),
        pytest.param(ProjectDraft("shop", "tunnel"), id="tunnel"),
        pytest.param(replace(UNIT, version=EVERY_FIELD), id="unit-that-tells-its-version"),
        pytest.param(replace(UNIT, version={"path": "/version"}), id="at-the-port-of-its-target"),
        pytest.param(
            ProjectDraft("p", "image", environment=PROMOTED, version=EVERY_FIELD),
            id="promoted-image-that-tells-its-version",
        ),
    ],
)
def test_there_and_back(draft: ProjectDraft) -> None:
    """A project says the draft that it can be made of again."""
    project = parse_draft(draft, NOW)
    assert parse_draft(draft_of(project), NOW) == project


def test_defaults() -> None:
    """What is left out is main, compose.yaml and Docker Hub's latest."""
    project = parse_draft(COMPOSE, NOW)
    assert (str(project.followed_branch), project.compose_path) == ("main", "compose.yaml")
    assert str(parse_draft(IMAGE, NOW).image) == "docker.io/library/nginx:latest"


@pytest.mark.parametrize(
    ("draft", "field", "problem"),
    [
        pytest.param(
            replace(COMPOSE, watch_paths=("a", "../b")), "watch_paths.1", "'..'", id="upwards"
        ),
        pytest.param(
            replace(COMPOSE, watch_paths=tuple(map(str, range(51)))),
            *("watch_paths", "more than 50"),
            id="many",
        ),
        pytest.param(
            replace(IMAGE, watch_paths=("a",)), "watch_paths", "kind image", id="no-repository"
        ),
        pytest.param(
            ProjectDraft("t", "tunnel", skip_markers=True), "skip_markers", "tunnel", id="tunnel"
        ),
    ],
)
def test_what_can_not_be_chosen_by(draft: ProjectDraft, field: str, problem: str) -> None:
    """Paths are those of a repository, and markers those of its commits."""
    with pytest.raises(InvalidInput, match=problem) as wrong:
        parse_draft(draft, NOW)
    assert wrong.value.field == field


@pytest.mark.parametrize(
    ("draft", "field", "problem"),
    [
        (replace(COMPOSE, version={"path": "/"}), "version.port", "is missing"),
        (replace(UNIT, version={"service": "web"}), "version.service", "kind unit"),
        (replace(IMAGE, version={"port": 80}), "version", "follows its image has none"),
        (ProjectDraft("t", "tunnel", version={"port": 80}), "version", "kind tunnel"),
        (replace(UNIT, version={"retries": 0}), "version.retries", "1 to 100"),
    ],
)
def test_a_version_that_nobody_could_tell(draft: ProjectDraft, field: str, problem: str) -> None:
    """There has to be a commit, and somewhere to ask for it."""
    with pytest.raises(InvalidInput, match=problem) as wrong:
        parse_draft(draft, NOW)
    assert wrong.value.field == field


def test_a_path_counts_once() -> None:
    """A slash at its end says nothing."""
    project = parse_draft(replace(COMPOSE, watch_paths=("a/", "b", "a")), NOW)
    assert [str(pattern) for pattern in project.watch_paths] == ["a", "b"]


def test_all_that_is_wrong_is_said() -> None:
    """Every wrong field is named at once; one alone is itself."""
    wrong = ProjectDraft("-h", "tunnel", url="https://x.example/y", image="nginx")
    with pytest.raises(SeveralInvalid) as several:
        parse_draft(wrong, NOW)
    assert [problem.field for problem in several.value.problems] == ["name", "url", "image"]
    with pytest.raises(InvalidInput) as one:
        parse_draft(ProjectDraft("shop", "vm"), NOW)
    assert one.value.field == "kind"


@pytest.mark.parametrize(
    "text",
    ["80", "8080:80", "127.0.0.1:8080:80", "[::1]:8080:80", "53:53/udp", "9000-9002:80-82"],
)
def test_port(text: str) -> None:
    """Compose's short syntax is taken as it is."""
    assert parse_ports((text,)) == (text,)


@pytest.mark.parametrize(
    "text",
    ["", "0:80", "80:65536", "1-3:1-2", "3-1:3-1", "256.0.0.1:1:1", "80:80/sctp", "80:80 ", "a:80"],
)
def test_no_port(text: str) -> None:
    """What compose would not take, or would take for something else, is refused."""
    with pytest.raises(InvalidInput) as refused:
        parse_ports(("80", text))
    assert refused.value.field == "ports.1"


@pytest.mark.parametrize("text", ["data:/x", "my.data_1-2:/var/lib/app:ro", "d:/a/b.c:rw"])
def test_volume(text: str) -> None:
    """A named volume is taken as it is."""
    assert parse_volumes((text,)) == (text,)


@pytest.mark.parametrize(
    "text", ["/etc:/etc", "~/x:/x", "./x:/x", "x", "x:y", "x:/", "x:/a/../b", "x:/a:exec", "$A:/x"]
)
def test_no_volume(text: str) -> None:
    """A folder of the machine, a path that climbs and an unknown mode are refused."""
    with pytest.raises(InvalidInput):
        parse_volumes((text,))
