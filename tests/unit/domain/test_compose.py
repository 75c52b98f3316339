"""Which images a compose file follows."""

import pytest

from reconciler.domain.compose import ComposeFile, ComposeService, followed_images
from reconciler.domain.references import ServiceName

DIGEST = "sha256:" + "a" * 64


def services(*images: str | None, **fields: object) -> ComposeFile:
    names = ("one", "two", "three")
    return ComposeFile(
        tuple(
            ComposeService(ServiceName(name), image, **fields)  # type: ignore[arg-type]
            for name, image in zip(names, images, strict=False)
        )
    )


def test_each_distinct_image_is_there_once_in_file_order() -> None:
    """Two spellings of one image are one image, used by both services."""
    found = followed_images(services("b:1", "a", "docker.io/library/b:1"), {})
    assert [(image.text, image.services) for image in found] == [
        ("docker.io/library/b:1", ("one", "three")),
        ("docker.io/library/a:latest", ("two",)),
    ]
    assert all(image.reference for image in found)


@pytest.mark.parametrize(
    ("image", "because"),
    [
        pytest.param("a:${TAG}", "variable TAG is not set", id="variable"),
        pytest.param("a:${TAG:?set it}", "variable TAG is not set", id="required-variable"),
        pytest.param(f"a@{DIGEST}", "it is pinned by digest", id="digest"),
        pytest.param(f"a:1@{DIGEST}", "it is pinned by digest", id="tag-and-digest"),
        pytest.param("A:1", "it is not an image name", id="no-name"),
        pytest.param("-x", "it is not an image name", id="option"),
        pytest.param("a:" + "1" * 10_000, "it is not an image name", id="ten-kilobytes"),
    ],
)
def test_an_image_that_is_not_followed_says_why(image: str, because: str) -> None:
    """Each reason is one sentence's end for the page."""
    (found,) = followed_images(services(image), {})
    assert (found.reference, found.unwatched_because) == (None, because)


def test_variables_of_the_project_are_resolved() -> None:
    """Its own environment first, defaults after."""
    (found,) = followed_images(services("a:${TAG:-1}"), {"TAG": "2"})
    assert found.text == "docker.io/library/a:2"


def test_a_service_without_an_image_is_left_out() -> None:
    """It is only built; there is nothing to look up."""
    assert followed_images(services(None, builds=True), {}) == ()


def test_a_service_that_could_be_built_is_followed_like_any_other() -> None:
    """Its image is pulled, unless the file says that it is to be built."""
    (found,) = followed_images(services("a:1", builds=True), {})
    assert found.reference is not None


def test_a_service_that_is_to_be_built_is_not_followed() -> None:
    """By compose's own word for it; without a recipe the word means nothing."""
    (found,) = followed_images(services("a:1", builds=True, pull_policy="build"), {})
    assert (found.reference, found.unwatched_because) == (None, "it is built here")
    (found,) = followed_images(services("a:1", pull_policy="build"), {})
    assert found.reference is not None


@pytest.mark.parametrize(
    ("label", "stateful"),
    [("true", True), ("True", True), ("false", False), ("yes", False), ("", False)],
)
def test_the_stateful_label_takes_true_only(label: str, stateful: bool) -> None:
    """A service so labelled is neither watched nor pinned."""
    (found,) = followed_images(services("a:1", labels={"reconciler.stateful": label}), {})
    assert (found.reference is None) is stateful


@pytest.mark.parametrize("stateful", ["one", "two"])
def test_an_image_of_a_stateful_service_is_followed_for_another(stateful: str) -> None:
    """One service that follows it is enough; those that do are named, in either order."""
    (found,) = followed_images(services("a:1", "a:1"), {}, (ServiceName(stateful),))
    assert found.reference is not None
    assert found.services == tuple({"one", "two"} - {stateful})


def test_a_label_of_another_watcher_leaves_an_image_alone() -> None:
    """Its values are those that compose would set."""
    labels = {"com.centurylinklabs.watchtower.enable": "${UPDATES:-false}"}
    (found,) = followed_images(services("a:1", labels=labels), {})
    because = "its label com.centurylinklabs.watchtower.enable is false"
    assert (found.reference, found.unwatched_because) == (None, because)
    (found,) = followed_images(services("a:1", labels=labels), {"UPDATES": "true"})
    assert (str(found.reference), found.notes) == (found.text, ())


def test_what_a_label_asks_for_in_vain_is_noted_once() -> None:
    """Though several services ask for it; the image is followed all the same."""
    labels = {"wud.tag.include": r"^\d+$$", "diun.enable": "${"}
    (found,) = followed_images(services("a:1", "a:1", labels=labels), {})
    assert (str(found.reference), found.services) == (found.text, ("one", "two"))
    unreadable, in_vain = found.notes
    assert unreadable.startswith("diun.enable is ignored: '${'")
    assert in_vain.startswith("wud.tag.include counts for nothing")


@pytest.mark.parametrize("left", ["one", "two"])
def test_who_is_left_alone_is_noted_where_another_service_follows(left: str) -> None:
    """In either order."""
    both = tuple(
        ComposeService(name, "a:1", labels={"wud.watch": "false"} if name == left else {})
        for name in map(ServiceName, ("one", "two"))
    )
    (found,) = followed_images(ComposeFile(both), {})
    assert found.reference is not None
    assert left not in found.services
    assert found.notes == (f"{left} is left alone: its label wud.watch is false",)
