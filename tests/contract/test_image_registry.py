"""What every ``ImageRegistry`` promises, against a real registry in each of its usual set-ups."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import (
    InvalidReference,
    RevisionNotFound,
    SourceDenied,
    SourceUnreachable,
)
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.secret import Secret
from reconciler.ports import ImageFacts, ImageRegistry, IndexedRegistry, RegistryCredentials
from tests.parts.child import free_port
from tests.parts.registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    PASSWORD,
    USERNAME,
    Registry,
)
from tests.parts.waiting import eventually

pytestmark = pytest.mark.needs_registry


@pytest.fixture(scope="module", params=["open", "open-tls", "htpasswd", "htpasswd-tls", "token"])
def server(request: pytest.FixtureRequest) -> Iterator[Registry]:
    auth, _, tls = str(request.param).partition("-")
    with Registry(
        {"open": "none", "htpasswd": "htpasswd", "token": "token"}[auth],  # type: ignore[arg-type]
        tls=bool(tls),
    ) as running:
        yield running


def connect(server: Registry, password: str = PASSWORD, username: str = USERNAME) -> OrasRegistry:
    credentials = RegistryCredentials(server.host, username, Secret.of(password))
    return OrasRegistry(
        SystemClock(),
        lambda host, _project: credentials if host == server.host and password else None,
        tls_hosts=[server.host] if server.url.startswith("https") else [],
        ca_bundle=server.ca_path,
    )


@pytest.fixture
def registry(server: Registry) -> IndexedRegistry:
    return connect(server)


def image(server: Registry, name: str) -> ImageReference:
    return ImageReference.parse(f"{server.host}/{name}")


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_the_digest_is_the_manifests(
    server: Registry, registry: ImageRegistry, media_type: str
) -> None:
    """A plain image has its manifest's digest, and moving the tag shows at once."""
    for seed in ("one", "two", "one"):
        pushed = server.push_manifest("team/app", "main", seed, media_type=media_type)
        assert registry.digest(image(server, "team/app:main")) == Digest(pushed)


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_the_digest_of_many_architectures_is_the_indexs(
    server: Registry, registry: ImageRegistry, media_type: str
) -> None:
    """It is the same whichever machine asks, and moves when any architecture does."""
    seen = set()
    for seed in ("one", "two"):
        seeds = {"amd64": "same", "arm64": seed}
        index, images = server.push_index("team/multi", "main", seeds, media_type=media_type)
        digest = registry.digest(image(server, "team/multi:main"))
        assert digest == Digest(index)
        assert str(digest) not in images.values()
        seen.add(digest)
    assert len(seen) == 2


def test_f4_an_image_is_described_by_its_digest(server: Registry, registry: ImageRegistry) -> None:
    """F4: its layers' size for the platform asked for, and when it was made, if it says so."""
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    plain = server.push_manifest("team/told", "main", "told", created=made.isoformat())
    told = registry.describe(image(server, "team/told:main"), Digest(plain), "linux/amd64")
    assert told == ImageFacts(len(b"layer of told"), made)
    index, _ = server.push_index("team/told", "many", {"amd64": "a", "arm64": "longer"})
    name = image(server, "team/told:many")
    for platform, size in (("linux/amd64", 10), ("linux/arm64", 15), ("windows/amd64", None)):
        assert registry.describe(name, Digest(index), platform) == ImageFacts(size, None)
    gone = Digest(f"sha256:{'0' * 64}")
    assert registry.describe(name, gone, "linux/amd64") == ImageFacts()


def test_what_an_index_is_made_of(server: Registry, registry: IndexedRegistry) -> None:
    """Its images of all platforms; a plain image is made of none."""
    index, images = server.push_index("team/parts", "main", {"amd64": "a", "arm64": "b"})
    plain = server.push_manifest("team/parts", "plain", "plain")

    def parts(digest: str) -> frozenset[Digest]:
        return registry.parts(image(server, f"team/parts@{digest}"))

    assert parts(index) == {Digest(one) for one in images.values()}
    assert parts(plain) == frozenset()
    with pytest.raises(RevisionNotFound):
        parts(f"sha256:{'0' * 64}")


def test_a_look_up_is_no_pull(server: Registry, registry: ImageRegistry) -> None:
    """Docker Hub counts each GET of a manifest: where HEAD says it all, there is none."""
    server.push_manifest("team/counted", "main", "counted")
    registry.digest(image(server, "team/counted:main"))
    registry.digest(image(server, "team/counted:main"))
    target = "/v2/team/counted/manifests/main"

    def methods() -> list[str]:
        return [each.method for each in server.requests() if each.target == target]

    eventually(lambda: methods().count("HEAD") >= 2, what="the registry logged both look-ups")
    assert set(methods()) == {"PUT", "HEAD"}


def test_the_references_own_digest_plays_no_part(server: Registry, registry: ImageRegistry) -> None:
    """``name:tag@digest`` asks what is behind the tag now."""
    pushed = server.push_manifest("team/app", "1", "pinned")
    pinned = image(server, f"team/app:1@sha256:{'0' * 64}")
    assert registry.digest(pinned) == Digest(pushed)


def test_a_name_without_a_tag_has_nothing_to_look_up(
    server: Registry, registry: ImageRegistry
) -> None:
    """``name@digest`` never moves: asking for it is the caller's mistake."""
    with pytest.raises(InvalidReference, match="no tag"):
        registry.digest(image(server, f"team/app@sha256:{'0' * 64}"))


@pytest.mark.parametrize("name", ["team/app:gone", "team/nowhere:main"])
def test_what_is_not_there_is_said_so(server: Registry, registry: ImageRegistry, name: str) -> None:
    """A missing tag and a missing repository are not found; the message names the image."""
    server.push_manifest("team/app", "main", "there")
    with pytest.raises(RevisionNotFound, match=name):
        registry.digest(image(server, name))


def test_a_digest_is_there_or_it_is_not(server: Registry, registry: ImageRegistry) -> None:
    """Looked up by itself: no tag needs to name it, and one of another repository is none."""
    pushed = server.push_manifest("team/held", "moving", "first")
    server.push_manifest("team/held", "moving", "second")
    server.push_manifest("team/other", "main", "other")

    def held(name: str, digest: str) -> bool:
        return registry.holds(image(server, f"{name}@{digest}"))

    assert held("team/held", pushed)
    assert held("team/held:never-pushed", pushed)
    assert not held("team/held", f"sha256:{'0' * 64}")
    assert not held("team/other", pushed)
    assert not held("team/nowhere", pushed)
    with pytest.raises(InvalidReference, match="no digest"):
        registry.holds(image(server, "team/held:moving"))
    away = f"localhost:{free_port()}/team/held@{pushed}"
    with pytest.raises(SourceUnreachable):
        registry.holds(ImageReference.parse(away))


def test_many_at_once_get_each_their_own(server: Registry, registry: ImageRegistry) -> None:
    """Threads share it, and no answer or token of one repository lands at another."""
    pushed = {
        f"team/many{number}:main": server.push_manifest(f"team/many{number}", "main", f"{number}")
        for number in range(12)
    }
    names = [*pushed] * 4
    with ThreadPoolExecutor(16) as pool:
        digests = list(pool.map(lambda name: registry.digest(image(server, name)), names))
    assert [str(digest) for digest in digests] == [pushed[name] for name in names]


@pytest.mark.parametrize(
    ("username", "password"), [(USERNAME, "wrong"), ("stranger", PASSWORD), ("", "")]
)
def test_wrong_credentials_are_denied(server: Registry, username: str, password: str) -> None:
    """The error says so and holds no password; a registry that is open lets everyone in."""
    pushed = server.push_manifest("team/app", "main", "guarded")
    asked = connect(server, password, username)
    if server.auth == "none":
        assert asked.digest(image(server, "team/app:main")) == Digest(pushed)
        return
    with pytest.raises(SourceDenied) as error:
        asked.digest(image(server, "team/app:main"))
    assert "wrong" not in str(error.value)
    assert PASSWORD not in f"{error.value} {error.value.evidence}"


def test_a_registry_that_answers_is_reachable(server: Registry, registry: ImageRegistry) -> None:
    """200 and 401 both mean that somebody is there."""
    assert registry.probe(server.host) is None


def test_nobody_listening_is_unreachable(registry: ImageRegistry) -> None:
    """A refused connection is an error that time may heal, and comes at once."""
    host = f"localhost:{free_port()}"
    with pytest.raises(SourceUnreachable, match=host):
        registry.digest(ImageReference.parse(f"{host}/team/app"))
    failure = registry.probe(host)
    assert failure is not None
    assert failure.code == SourceUnreachable.code
