"""What a promoted project need not say again."""

import pytest

from reconciler.pipeline.declaring.handed_down import upstream_first, with_defaults
from reconciler.pipeline.declaring.project_draft import ProjectDraft, parse_draft
from tests.parts.stores import NOW

SHOP = parse_draft(
    ProjectDraft(
        "shop",
        "compose",
        url="https://git.example/shop.git",
        branch="live",
        compose_path="deploy/compose.yaml",
        expose_service="web",
        expose_port=8080,
        stateful_services=("db",),
        auto_deploy=True,
        push_images=True,
        watch_paths=("apps",),
        migration={"command": ["bin/migrate"]},
        version={"port": 8080, "path": "/version"},
    ),
    NOW,
)
CACHE = parse_draft(ProjectDraft("cache", "image", image="registry.example/cache:7"), NOW)


def test_what_describes_the_app_is_taken() -> None:
    """Its kind, source, files, exposure and checks; no switch, and nothing about moves."""
    made, taken = with_defaults(ProjectDraft("shop-production"), SHOP)
    assert made == ProjectDraft(
        "shop-production",
        "compose",
        url="https://git.example/shop.git",
        branch="live",
        compose_path="deploy/compose.yaml",
        expose_service="web",
        expose_port=8080,
        stateful_services=("db",),
        migration=made.migration,
        version=made.version,
    )
    assert made.migration is not None
    assert "kind" in taken
    assert "url" in taken
    assert with_defaults(made, SHOP) == (made, ())


def test_what_is_said_stays() -> None:
    """A source of its own brings its own branch."""
    own = ProjectDraft("p", "compose", repository="mirror", expose_port=80)
    made, taken = with_defaults(own, SHOP)
    assert (made.repository, made.url, made.branch, made.expose_port) == ("mirror", None, None, 80)
    assert not {"repository", "url", "branch", "expose_port", "kind"} & set(taken)


@pytest.mark.parametrize(
    ("kind", "before", "taken"),
    [
        pytest.param("image", SHOP, {"migration"}, id="of-compose-an-image"),
        pytest.param("unit", SHOP, {"url", "branch"}, id="of-compose-a-unit"),
        pytest.param("image", CACHE, {"image"}, id="of-an-image-an-image"),
        pytest.param("unit", CACHE, set(), id="of-an-image-a-unit"),
    ],
)
def test_of_another_kind(kind: str, before: object, taken: set[str]) -> None:
    """Nothing is taken that does not belong to it."""
    project = SHOP if before is SHOP else CACHE
    assert set(with_defaults(ProjectDraft("p", kind), project)[1]) == taken


@pytest.mark.parametrize(
    ("before", "order"),
    [
        pytest.param({}, "abc", id="none"),
        pytest.param({"a": "c", "c": "b"}, "bca", id="a-chain"),
        pytest.param({"a": "z"}, "abc", id="elsewhere"),
        pytest.param({"b": "a", "c": "a"}, "abc", id="a-tree"),
        pytest.param({"a": "b", "b": "a"}, "bac", id="a-circle"),
        pytest.param({"a": "a"}, "abc", id="itself"),
    ],
)
def test_what_others_need_comes_first(before: dict[str, str], order: str) -> None:
    """All of them, once; those that need nothing stay where they are."""
    assert "".join(upstream_first(list("abc"), before.get)) == order
