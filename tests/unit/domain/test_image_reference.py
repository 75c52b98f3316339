"""Image names resolve as Docker resolves them, or are refused with the field they stood in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import Digest, ImageReference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"

#: What people write → (registry, repository, tag, digest). Checked against distribution/reference.
ACCEPTED = {
    "nginx": ("docker.io", "library/nginx", "latest", None),
    "nginx:1.27": ("docker.io", "library/nginx", "1.27", None),
    "team/app": ("docker.io", "team/app", "latest", None),
    "docker.io/nginx": ("docker.io", "library/nginx", "latest", None),
    "docker.io/team/app:1": ("docker.io", "team/app", "1", None),
    "index.docker.io/nginx": ("docker.io", "library/nginx", "latest", None),
    "registry-1.docker.io/library/nginx": ("docker.io", "library/nginx", "latest", None),
    "DOCKER.IO/nginx": ("docker.io", "library/nginx", "latest", None),
    "ghcr.io/team/app:main": ("ghcr.io", "team/app", "main", None),
    "registry.example/app": ("registry.example", "app", "latest", None),
    "Registry.Example/app": ("registry.example", "app", "latest", None),
    "registry.example:5000/a/b/c:x": ("registry.example:5000", "a/b/c", "x", None),
    "registry:5000/app": ("registry:5000", "app", "latest", None),
    "localhost/app": ("localhost", "app", "latest", None),
    "localhost:5000/app": ("localhost:5000", "app", "latest", None),
    "127.0.0.1:5000/app": ("127.0.0.1:5000", "app", "latest", None),
    "[::1]:5000/app:2": ("[::1]:5000", "app", "2", None),
    "a/b_c/d__e/f-g.h": ("docker.io", "a/b_c/d__e/f-g.h", "latest", None),
    f"nginx@{DIGEST}": ("docker.io", "library/nginx", None, DIGEST),
    f"nginx:1@{DIGEST}": ("docker.io", "library/nginx", "1", DIGEST),
    "app:Tag_1.2-3": ("docker.io", "library/app", "Tag_1.2-3", None),
    f"app:{'t' * 128}": ("docker.io", "library/app", "t" * 128, None),
    f"r.example/{HEX}/app": ("r.example", f"{HEX}/app", "latest", None),
}

REFUSED = {
    "empty": "",
    "blank": " ",
    "option": "-v",
    "option-in-path": "registry.example/--flag",
    "upper-case-repository": "registry.example/App",
    "upper-case-hub-repository": "team/App",
    "upper-case-word-for-a-host": "Registry/app",  # lower-cased it would be another image
    "newline": "nginx\n",
    "inner-newline": "nginx\n:1",
    "nul": "nginx\0",
    "space": "my app",
    "shell": "nginx;id",
    "substitution": "nginx:$(id)",
    "variable": "nginx:${TAG}",
    "dot-dot": "registry.example/../app",
    "dot-dot-tag": "nginx:..",
    "dash-tag": "nginx:-x",
    "empty-tag": "nginx:",
    "long-tag": f"app:{'t' * 129}",
    "two-tags": "nginx:1:2",
    "url": "https://registry.example/app",
    "no-repository": "registry.example/",
    "no-registry": "/app",
    "double-slash": "registry.example//app",
    "trailing-slash": "team/app/",
    "three-underscores": "team/a___b",
    "ends-with-dash": "team/app-",
    "port-zero": "registry.example:0/app",
    "port-too-high": "registry.example:65536/app",
    "port-of-letters": "registry.example:http/app",
    "empty-label": "registry..example/app",
    "dash-label": "-registry.example/app",
    "label-ends-with-dash": "registry-.example/app",
    "user-name": "user@registry.example/app",
    "empty-digest": "nginx@",
    "short-digest": "nginx@sha256:abc",
    "other-digest": f"nginx@sha512:{HEX}{HEX}",
    "upper-case-digest": f"nginx@sha256:{HEX.upper()}",
    "two-digests": f"nginx@{DIGEST}@{DIGEST}",
    "image-id": HEX,
    "unicode": "nginх",  # the last letter is Cyrillic
    "unicode-digits": "registry.example:٥٠٠٠/app",
    "long-path": f"registry.example/{'a' * 256}",
    "ten-kilobytes": "a" * 10_000,
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_names_resolve_as_docker_resolves_them(text: str) -> None:
    """Every part of the name lands where Docker would look for it."""
    image = ImageReference.parse(text)
    registry, repository, tag, digest = ACCEPTED[text]
    assert (image.registry, image.repository, image.tag) == (registry, repository, tag)
    assert image.digest == (Digest(digest) if digest else None)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_other_text_is_refused_with_its_field(text: str) -> None:
    """The error names the field, and shows no more of the text than fits a line."""
    with pytest.raises(InvalidReference) as refusal:
        ImageReference.parse(text, "services.web.image")
    assert refusal.value.field == "services.web.image"
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("text", ACCEPTED)
def test_written_out_it_is_the_same_image(text: str) -> None:
    """The canonical form parses to the same value, so it may be stored and compared."""
    image = ImageReference.parse(text)
    assert ImageReference.parse(str(image)) == image


def test_pinning_keeps_the_tag_readable() -> None:
    """A pinned name runs exactly one digest, and still tells which tag was followed."""
    other = Digest(f"sha256:{'f' * 64}")
    assert (
        ImageReference.parse("ghcr.io/team/app:main").pinned_to(other)
        == f"ghcr.io/team/app:main@{other}"
    )
    assert (
        ImageReference.parse(f"app@{DIGEST}").pinned_to(other) == f"docker.io/library/app@{other}"
    )


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No text raises anything else, and what is accepted can stand in a URL as it is."""
    try:
        image = ImageReference.parse(text)
    except InvalidReference:
        return
    assert image.name.isascii()
    assert not set(image.name) & set(" \t\r\n?#%@\\")
    assert ".." not in image.repository.split("/")
