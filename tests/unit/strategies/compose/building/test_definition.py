"""What an image is built from, and how it is found again."""

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import CommitSha, Digest, ImageReference, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.target import implied_target
from reconciler.ports import Image, Work
from reconciler.strategies.compose.building.definition import (
    PROJECT_LABEL,
    Definition,
    base_registries,
    build_text,
    define,
    handed_on_as,
    names_of_ours,
    secret_arguments,
)
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.rendering import parse_rendering

NOW = datetime(2030, 1, 1, tzinfo=UTC)
APP = ProjectName("app")
WORK = Work(
    deployment=DeploymentId(1),
    project=Project(APP, ProjectKind.COMPOSE, NOW, NOW),
    target=implied_target(APP),
    revision=Revision(CommitSha("a" * 40)),
    variables={},
    credentials=None,
    log=lambda _: None,
    cancel=threading.Event(),
)


def defined(
    root: Path, work: Work = WORK, build: Mapping[str, Any] | None = None, **body: Any
) -> Definition:
    """Return the definition of a service that is built at ``root``."""
    root.mkdir(exist_ok=True)
    (root / "Dockerfile").touch()
    file = RuamelComposeReader().read(b"services: {web: {build: .}}")
    web = {"build": {"context": str(root), "dockerfile": "Dockerfile", **(build or {})}, **body}
    text = json.dumps({"name": "app", "services": {"web": web}})
    (found,) = define(work, parse_rendering(text, Examined(file, {}, ("web",), ())), root)
    return found


def image_of(definition: Definition, *tags: str) -> Image:
    digest = Digest("sha256:" + "b" * 64)
    return Image(digest, definition.labels, tags, frozenset(), "linux/amd64")


def test_the_key_is_of_what_is_built_from_and_of_nothing_else(tmp_path: Path) -> None:
    """Where it was checked out is no part of it; commit, project and recipe are."""
    one, other = defined(tmp_path / "one"), replace(WORK.project, name=ProjectName("other"))
    assert defined(tmp_path / "two").key == one.key
    others = [
        defined(tmp_path / "one", replace(WORK, revision=Revision(CommitSha("b" * 40)))),
        defined(tmp_path / "one", replace(WORK, project=other)),
        defined(tmp_path / "one", build={"args": {"A": "1"}}),
        defined(tmp_path / "one", platform="linux/arm64"),
    ]
    assert len({one.key, *(other.key for other in others)}) == 5


def test_what_keeps_data_has_the_same_key_at_each_commit(tmp_path: Path) -> None:
    """Another image would replace its container."""
    labels = {"reconciler.stateful": "true"}
    later = replace(WORK, revision=Revision(CommitSha("b" * 40)))
    one, two = defined(tmp_path, labels=labels), defined(tmp_path, later, labels=labels)
    assert (one.key, one.labels == two.labels) == (two.key, False)


def test_its_name_says_project_service_commit_and_image(tmp_path: Path) -> None:
    """Or the name that the file gives it, without its tag, which people follow."""
    one = defined(tmp_path)
    assert str(one.name_of(image_of(one))) == "app-web:aaaaaaaaaaaa-bbbbbbbb"
    named = defined(tmp_path, image="reg.example/acme/web:7", pull_policy="build")
    assert str(named.name_of(image_of(named))) == "reg.example/acme/web:aaaaaaaaaaaa-bbbbbbbb"


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["\n", " ", "\t\n", "FROM ", "FROM\n", "FROM --x\n", "ARG a\n", "from="]
)
def test_a_dockerfile_of_nothing_takes_no_time(tmp_path: Path, text: str) -> None:
    """Nobody else gets a turn meanwhile."""
    one = defined(tmp_path)
    (tmp_path / "Dockerfile").write_text(text * ((1 << 20) // len(text)))
    assert len(base_registries([one])) <= 1


def test_caches_of_a_build_are_the_project_s_own(tmp_path: Path) -> None:
    """Whatever the file says: what is in them ends up in images."""
    args = {"LEVEL": "1", "BUILDKIT_CACHE_MOUNT_NS": "other"}
    text = build_text([defined(tmp_path, build={"args": args})], {})
    wanted = {"LEVEL": "1", "BUILDKIT_CACHE_MOUNT_NS": "app"}
    assert json.loads(text)["services"]["web"]["build"]["args"] == wanted


def test_nothing_is_written_to_a_registry_unless_the_project_is_pushed(tmp_path: Path) -> None:
    """It could be the tag of another project, which the same credentials may write."""
    for entry in ("reg.example/other:1", "type=registry,ref=reg.example/other:1"):
        build = {"cache_to": ["type=inline", entry]}
        with pytest.raises(InvalidComposeFile, match="push_images is off"):
            defined(tmp_path, build=build)
        pushed = replace(WORK, project=replace(WORK.project, push_images=True))
        defined(tmp_path, pushed, build, image="reg.example/app", pull_policy="build")
    defined(tmp_path, build={"cache_to": ["type=inline"]})


def test_labels_alone_make_no_image_ours(tmp_path: Path) -> None:
    """They are inherited by what is built on top, and anybody can write them."""
    one = defined(tmp_path)
    own = str(one.name_of(image_of(one)))
    assert not one.came_of_it(image_of(one, "app-web:mine", "app-web:aaaaaaaaaaaa-cccccccc"))
    assert not one.came_of_it(image_of(one, own.replace("app-web", "evil.example/x")))
    assert one.came_of_it(image_of(one, "app-web:mine", own))
    app, other = ProjectName(one.labels[PROJECT_LABEL]), ProjectName("other")
    given = str(handed_on_as(ImageReference.parse("x/web:1"), image_of(one), other))
    image = image_of(one, "app-web:mine", own, one.working_name, given)
    assert names_of_ours(image, app) == [own, one.working_name]
    assert names_of_ours(image, other) == [given]
    assert names_of_ours(image, ProjectName("her")) == []


def test_what_is_built_by_says_no_more_than_it_takes(tmp_path: Path) -> None:
    """No environment, no mount, no tag that people follow; our labels win over the file's own."""
    build = {"tags": ["acme/web:latest"], "labels": {"a": "b", "reconciler.build": "forged"}}
    one = defined(tmp_path, build=build, environment={"TOKEN": "secret"}, platform="linux/amd64")
    document = json.loads(build_text([one], {"token": {"environment": "TOKEN"}}))
    web = document["services"]["web"]
    assert web.keys() == {"image", "build", "platform"}
    assert web["image"] == one.working_name
    assert web["build"]["labels"] == {"a": "b", **one.labels}
    assert "tags" not in web["build"]
    assert document["secrets"] == {"token": {"environment": "TOKEN"}}


def test_a_secret_in_an_argument_is_found(tmp_path: Path) -> None:
    """Whole, or as a part of it; what is too short to be one is not looked for."""
    args = {"PLAIN": "x", "TOKEN": "s3cret", "URL": "https://u:s3cret@host", "EMPTY": None}
    secrets = {"A": Secret.of("s3cret"), "B": Secret.of("x")}
    assert list(secret_arguments(defined(tmp_path, build={"args": args}), secrets)) == [
        "TOKEN",
        "URL",
    ]


def test_registries_of_base_images_are_found(tmp_path: Path) -> None:
    """Wherever a build may name one; what names none is passed over."""
    args = {"BASE": "args.example/x:1", "OTHER": "A B"}
    contexts = {"more": "docker-image://context.example/x"}
    one = defined(tmp_path, build={"args": args, "additional_contexts": contexts})
    assert one.dockerfile is not None
    one.dockerfile.write_text(
        "ARG DEFAULT=default.example/x\nFROM --platform=linux/amd64 from.example/x:1 AS one\n"
        "FROM $DEFAULT\nCOPY --from=copy.example/x /a /b\n"
        "RUN --mount=type=bind,from=mount.example/x,target=/x true\n"
    )
    assert set(base_registries([one])) - {"docker.io"} == {
        *("default.example", "from.example", "copy.example", "mount.example"),
        *("args.example", "context.example"),
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"build": {"dockerfile": "Other"}}, "services.web.build: there is no Other"),
        ({"image": f"a@sha256:{'a' * 64}", "pull_policy": "build"}, "has a digest"),
        ({}, "REGISTRY/NAME:TAG"),
    ],
)
def test_what_can_not_be_built_or_pushed_is_refused(
    tmp_path: Path, body: dict[str, Any], problem: str
) -> None:
    """Before anything is built."""
    pushing = replace(WORK, project=replace(WORK.project, push_images=True))
    with pytest.raises(InvalidComposeFile, match=problem):
        defined(tmp_path, pushing, **body)
