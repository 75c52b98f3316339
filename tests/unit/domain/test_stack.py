"""Stacks as the labels of containers tell them, true or not."""

import pytest

from reconciler.domain.references import Digest
from reconciler.domain.stack import (
    ComposeContainer,
    NotAdoptable,
    StackFiles,
    files_of,
    group_stacks,
)

BASE = "/srv/apps/shop"
COMPOSE = f"{BASE}/compose.yaml"


def container(
    service: str = "web",
    *,
    project: str = "shop",
    folder: str = BASE,
    files: str = COMPOSE,
    published: tuple[int, ...] = (),
    **labels: str,
) -> ComposeContainer:
    told = {
        "project": project,
        "service": service,
        "project.working_dir": folder,
        "project.config_files": files,
        **{f"project.{name}": text for name, text in labels.items()},
    }
    return ComposeContainer(
        id=f"{project}-{service}-{len(labels)}",
        image="registry.example/web:1",
        image_id=Digest.parse(f"sha256:{'1' * 64}"),
        is_running=True,
        labels={f"com.docker.compose.{name}": text for name, text in told.items() if text},
        published=published,
    )


def obstacle(*containers: ComposeContainer) -> str:
    (stack,) = group_stacks(containers)
    with pytest.raises(NotAdoptable) as refused:
        files_of(stack)
    return str(refused.value)


def test_containers_are_of_the_stacks_that_they_are_labelled_with() -> None:
    """By name, their services too; each port that the host has once."""
    found = group_stacks(
        [
            container("web", published=(80, 443)),
            container("db"),
            container("web", published=(80,), again="yes"),
            container("web", project="blog"),
        ]
    )
    assert [stack.name for stack in found] == ["blog", "shop"]
    shop = found[1]
    assert (shop.folders, shop.files) == ((BASE,), (COMPOSE,))
    assert [one.service for one in shop.containers] == ["db", "web", "web"]
    assert shop.published == (("web", 80), ("web", 443))
    assert group_stacks([]) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(COMPOSE, ("compose.yaml",), id="one"),
        pytest.param("compose.yaml", ("compose.yaml",), id="relative"),
        pytest.param(
            f"./a/../compose.yaml,{BASE}/env/live.yaml",
            ("compose.yaml", "env/live.yaml"),
            id="several",
        ),
        pytest.param(f"{COMPOSE},,", ("compose.yaml",), id="empty-ones"),
    ],
)
def test_files_are_found_below_the_folder(files: str, expected: tuple[str, ...]) -> None:
    """Absolute or relative, the first one apart from those that win over it."""
    (stack,) = group_stacks([container(files=files)])
    first, *more = expected
    assert files_of(stack) == StackFiles("shop", BASE, first, tuple(more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param({"project": "My_Shop"}, "docker compose -p NAME", id="name"),
        pytest.param({"folder": ""}, "do not tell which folder", id="no-folder"),
        pytest.param({"files": ""}, "do not tell which folder and files", id="no-files"),
        pytest.param({"folder": "/srv"}, "belongs to the system", id="the-systems"),
        pytest.param({"folder": "/etc/shop"}, "belongs to the system", id="below-the-systems"),
        pytest.param({"folder": "srv/shop"}, "must be an absolute path", id="relative-folder"),
        pytest.param({"folder": "/srv/a/../b"}, "must be an absolute path", id="climbing-folder"),
        pytest.param({"folder": "/srv/my shop"}, "of letters, digits", id="odd-folder"),
        pytest.param({"files": f"{BASE}/../x.yaml"}, "is not below its folder", id="outside"),
        pytest.param({"files": f"{BASE}-2/x.yaml"}, "is not below its folder", id="a-longer-name"),
        pytest.param({"files": f"{BASE}/../../../etc/passwd"}, "is not below", id="climbs"),
        pytest.param({"files": BASE}, "its file", id="the-folder-itself"),
        pytest.param({"files": f"{BASE}/a/x.yaml"}, "keep the first compose file there", id="deep"),
        pytest.param({"files": f"{COMPOSE},/x.yaml"}, "'/x.yaml' is not below", id="second-one"),
        pytest.param({"files": f"{BASE}/a\nb.yaml"}, r"a\nb.yaml", id="line-break"),
        pytest.param({"files": f"{BASE}/.git/x"}, "its file", id="gits"),
        pytest.param(
            {"files": ",".join(f"{BASE}/{n}.yaml" for n in range(10_000))},
            "it has 10000 compose files; 20 are possible",
            id="ten-thousand-files",
        ),
        pytest.param(
            {"environment_file": "/srv/apps/shop/live.env"}, "without --env-file", id="env-file"
        ),
    ],
)
def test_what_can_not_be_a_projects_is_told_in_a_sentence(told: dict[str, str], said: str) -> None:
    """Whatever a container's labels claim; nothing of them breaks a line, or makes it endless."""
    sentence = obstacle(container(**told))  # type: ignore[arg-type]
    assert said in sentence
    assert sentence.isprintable()
    assert len(sentence) < 500


def test_the_folders_own_environment_file_is_no_obstacle() -> None:
    """It is read there in any case, whether compose was told its name or not."""
    (stack,) = group_stacks([container(environment_file=f"{BASE}/.env")])
    assert files_of(stack).base == BASE


def test_one_name_for_two_folders_is_nobodys() -> None:
    """Which of both would it be? Also where only one of many containers claims the other."""
    sentence = obstacle(container("web"), container("liar", folder="/srv/apps/other\x1b[2J"))
    assert "several folders" in sentence
    assert sentence.isprintable()
    many = [container(f"s{n}", folder=f"/srv/{'x' * 300}{n}") for n in range(100)]
    assert len(obstacle(*many)) < 1500
