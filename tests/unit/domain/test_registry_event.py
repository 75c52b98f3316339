"""What registries' payloads are taken for, as they send them and as nobody should."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidInput
from reconciler.domain.payload import parse_payload
from reconciler.domain.references import ImageReference
from reconciler.domain.registry_event import (
    ImageHint,
    ImagesHint,
    RegistryEvent,
    make_image_push,
    read_registry_event,
)
from reconciler.domain.webhook import REGISTRY_HOSTS, Provider

DIGEST = "sha256:" + "5f" * 32
HOST = "registry.example:5000"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
#: As each registry documents it.
PUSH: dict[str, Any] = {
    "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
    "timestamp": "2026-03-01T12:00:00Z",
    "action": "push",
    "target": {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "size": 708,
        "digest": DIGEST,
        "length": 708,
        "repository": "team/app",
        "url": f"http://other.example/v2/team/app/manifests/{DIGEST}",
        "tag": "1.2",
    },
    "request": {"id": "6df24a34", "addr": "10.0.0.7:39242", "host": "other.example"},
    "actor": {},
    "source": {"addr": "abc:5000", "instanceID": "a53db899"},
}
HARBOR: dict[str, Any] = {
    "type": "PUSH_ARTIFACT",
    "occur_at": 1586922308,
    "operator": "admin",
    "event_data": {
        "resources": [
            {"digest": DIGEST, "tag": "1.2", "resource_url": "other.example/team/app:1.2"},
            {"digest": DIGEST, "tag": DIGEST, "resource_url": f"other.example/team/app@{DIGEST}"},
        ],
        "repository": {
            "date_created": 1586922308,
            "name": "app",
            "namespace": "team",
            "repo_full_name": "team/app",
            "repo_type": "private",
        },
    },
}
HUB: dict[str, Any] = {
    "callback_url": "https://registry.hub.docker.com/u/team/app/hook/2141b5bi5i5b02bec211i4eeih/",
    "push_data": {"pushed_at": 1417566161, "pusher": "trustedbuilder", "tag": "1.2"},
    "repository": {"name": "app", "namespace": "team", "repo_name": "team/app", "status": "Active"},
}
QUAY: dict[str, Any] = {
    "name": "app",
    "repository": "team/app",
    "namespace": "team",
    "docker_url": "other.example/team/app",
    "homepage": "https://quay.io/repository/team/app",
    "updated_tags": ["1.2", "latest"],
}
GITHUB: dict[str, Any] = {
    "action": "published",
    "package": {
        "name": "app",
        "namespace": "Team",
        "ecosystem": "CONTAINER",
        "package_type": "CONTAINER",
        "owner": {"login": "Team"},
        "package_version": {
            "name": DIGEST,
            "container_metadata": {"tag": {"name": "1.2", "digest": DIGEST}},
            "package_url": "ghcr.io/team/app:1.2",
        },
    },
    "repository": {"full_name": "Team/app"},
}
UNTAGGED = {
    **GITHUB["package"],
    "package_version": {"container_metadata": {"tag": {"name": "", "digest": ""}}},
}
every_registry = pytest.mark.parametrize("provider", list(REGISTRY_HOSTS))


def event(**changes: object) -> dict[str, Any]:
    return {**PUSH, "target": {**PUSH["target"], **changes}}


def pushed(*names: str, host: str = HOST) -> ImagesHint:
    found = []
    for name in names:
        repository, _, tag = name.partition(":")
        found.append(ImageHint(host, repository, tag or None))
    return ImagesHint(tuple(found))


def read(provider: Provider, payload: object) -> RegistryEvent:
    host = REGISTRY_HOSTS[provider] or HOST
    return read_registry_event(provider, host, parse_payload(json.dumps(payload).encode()))


@pytest.mark.parametrize(
    ("provider", "payload", "expected"),
    [
        pytest.param(Provider.DISTRIBUTION, {"events": [PUSH]}, pushed("team/app:1.2"), id="one"),
        pytest.param(
            Provider.DISTRIBUTION,
            {"events": [PUSH, event(tag="1.3"), PUSH, event(repository="team/sub/api")]},
            pushed("team/app:1.2", "team/app:1.3", "team/sub/api:1.2"),
            id="several-each-once",
        ),
        pytest.param(Provider.HARBOR, HARBOR, pushed("team/app:1.2"), id="harbor"),
        pytest.param(
            Provider.DOCKER_HUB, HUB, pushed("team/app:1.2", host="docker.io"), id="docker-hub"
        ),
        pytest.param(
            Provider.DOCKER_HUB,
            {"push_data": {"tag": "1"}, "repository": {"repo_name": "nginx"}},
            pushed("library/nginx:1", host="docker.io"),
            id="docker-hub-official",
        ),
        pytest.param(
            Provider.QUAY,
            QUAY,
            pushed("team/app:1.2", "team/app:latest", host="quay.io"),
            id="quay",
        ),
        pytest.param(
            Provider.QUAY,
            {**QUAY, "updated_tags": {"latest": "b750fe79"}},
            pushed("team/app:latest", host="quay.io"),
            id="quay-older",
        ),
        pytest.param(
            Provider.GITHUB_PACKAGES, GITHUB, pushed("team/app:1.2", host="ghcr.io"), id="package"
        ),
        pytest.param(
            Provider.GITHUB_PACKAGES,
            {"action": "updated", "registry_package": UNTAGGED},
            pushed("team/app", host="ghcr.io"),
            id="registry-package-of-several-platforms",
        ),
    ],
)
def test_which_images_moved(provider: Provider, payload: object, expected: ImagesHint) -> None:
    """Of the declared host, whatever the payload calls it; never which digest."""
    assert read(provider, payload).hint == expected


@pytest.mark.parametrize(
    ("provider", "payload", "note"),
    [
        pytest.param(Provider.DISTRIBUTION, {"events": []}, "no push of a tag", id="empty"),
        *(
            pytest.param(
                Provider.DISTRIBUTION,
                {"events": [{**PUSH, "action": action}]},
                "no push of a tag",
                id=action,
            )
            for action in ("pull", "mount", "delete")
        ),
        pytest.param(
            Provider.DISTRIBUTION,
            {"events": [event(mediaType=LAYER, tag=None), event(tag=""), event(tag=DIGEST)]},
            "no push of a tag",
            id="layers-and-digests",
        ),
        pytest.param(
            Provider.HARBOR,
            {**HARBOR, "type": "DELETE_ARTIFACT"},
            "DELETE_ARTIFACT announces no",
            id="deleted",
        ),
        pytest.param(
            Provider.GITHUB_PACKAGES,
            {**GITHUB, "action": "deleted"},
            "announces no",
            id="package-gone",
        ),
        pytest.param(
            Provider.GITHUB_PACKAGES,
            {"action": "published", "package": {**GITHUB["package"], "package_type": "npm"}},
            "another kind",
            id="npm",
        ),
        pytest.param(Provider.QUAY, {**QUAY, "updated_tags": []}, "no tag", id="no-tags"),
    ],
)
def test_what_is_no_push_of_a_tag(provider: Provider, payload: object, note: str) -> None:
    """It is ignored, and said why."""
    found = read(provider, payload)
    assert found.hint is None
    assert note in found.note


def test_one_bad_event_keeps_back_no_other() -> None:
    """Refused, the registry would send the whole envelope again for ever."""
    bad: list[object] = [
        *(None, 1, [], {}, {"action": "push"}, {"action": "push", "target": []}),
        *(event(tag="a b"), event(repository="UPPER/app"), event(repository="../app")),
        *(event(repository=f"app@{DIGEST}"), event(repository="other.example:5000/app:1")),
        *(event(tag={"a": 1}), event(tag="x" * 400), event(repository="a" * 400)),
    ]
    assert read(Provider.DISTRIBUTION, {"events": [*bad, PUSH]}).hint == pushed("team/app:1.2")


def test_many_images_are_bounded() -> None:
    """What is left out is said; the image watch finds it."""
    found = read(Provider.DISTRIBUTION, {"events": [event(tag=str(n)) for n in range(500)]})
    assert found.hint is not None
    assert len(found.hint.images) == 100
    assert "only 100 of its 500" in found.note
    assert str(found.hint) == f"{HOST}/team/app:0 and 99 more"
    with pytest.raises(InvalidInput, match="events"):
        read(Provider.DISTRIBUTION, {"events": [PUSH] * 1001})


@every_registry
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({}, id="empty"),
        pytest.param(
            {
                "events": None, "type": None, "action": None, "package": None,
                "repository": None, "push_data": None, "updated_tags": None,
            },
            id="nulls",
        ),
        pytest.param(
            {
                "events": {}, "type": "PUSH_ARTIFACT", "event_data": [], "action": "published",
                "package": [], "repository": 7, "push_data": "x", "updated_tags": 1,
            },
            id="other-types",
        ),
        pytest.param(
            {
                "events": 1,
                "type": "PUSH_ARTIFACT",
                "event_data": {
                    "repository": {"repo_full_name": "a/b"}, "resources": [{"tag": "a b"}],
                },
                "action": "published",
                "package": {"name": "a\nb", "namespace": "x", "package_type": "CONTAINER"},
                "repository": {"repo_name": f"app@{DIGEST}"},
                "push_data": {"tag": "1"},
            },
            id="no-names",
        ),
    ],
)  # fmt: skip
def test_what_says_nothing_usable(provider: Provider, payload: object) -> None:
    """Missing, null, of another type or no name: refused with the field."""
    with pytest.raises(InvalidInput):
        read(provider, payload)


@every_registry
def test_what_we_make_up_ourselves_is_read_alike(provider: Provider) -> None:
    """A test says what the registry would say."""
    host = REGISTRY_HOSTS[provider] or HOST
    image = ImageReference.parse(f"{host}/team/app:1.2")
    made = read(provider, make_image_push(provider, image))
    assert made.hint == pushed("team/app:1.2", host=host)
    assert made.hint.concerns(image)


def test_which_images_a_hint_concerns() -> None:
    """Registry, repository and tag, each whole; without a tag any."""
    hint = pushed("team/app:1.2", "team/api")
    for name, concerned in (
        ("team/app:1.2", True),
        ("team/app:1.20", False),
        ("team/app", False),
        ("team/app2:1.2", False),
        ("other/team/app:1.2", False),
        ("team/api:7", True),
    ):
        assert hint.concerns(ImageReference.parse(f"{HOST}/{name}")) is concerned, name
    assert not hint.concerns(ImageReference.parse("registry.example/team/app:1.2"))


#: What JSON can hold, with the names that readers look for often among its keys.
_KEYS = st.sampled_from(
    [
        "events",
        "action",
        "target",
        "repository",
        "tag",
        "type",
        "event_data",
        "resources",
        "repo_full_name",
        "push_data",
        "repo_name",
        "updated_tags",
        "package",
        "registry_package",
        "namespace",
        "name",
        "package_type",
        "package_version",
        "container_metadata",
    ]
)
_LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    st.sampled_from(["push", "PUSH_ARTIFACT", "published", "CONTAINER", "team/app", "1.2", DIGEST]),
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)


# A busy machine is no reason to fail.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(provider=st.sampled_from(list(REGISTRY_HOSTS)), payload=st.dictionaries(_KEYS, _JSON))
def test_whatever_comes_is_read_or_refused(provider: Provider, payload: dict[str, Any]) -> None:
    """No other error, and no image of another host or with a name that is none."""
    try:
        found = read(provider, payload)
    except InvalidInput:
        return
    for image in found.hint.images if found.hint else ():
        parsed = ImageReference.parse(str(image))
        assert parsed.registry == (REGISTRY_HOSTS[provider] or HOST)
        assert parsed.digest is None
        assert found.hint is not None
        assert found.hint.concerns(parsed)
