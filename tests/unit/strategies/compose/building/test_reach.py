"""What a build may read, and which powers of it are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.errors import InvalidComposeFile
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.policy import Policy
from reconciler.strategies.compose.rendering import parse_rendering


def judged(root: Path, build: dict[str, Any], **body: Any) -> tuple[str, ...]:
    """Return what is told of a service that is built so, as compose renders it."""
    file = RuamelComposeReader().read(b"services: {web: {build: .}}")
    web = {"build": {"context": str(root), "dockerfile": "Dockerfile", **build}, **body}
    rendering = parse_rendering(
        json.dumps({"name": "app", "services": {"web": web}}), Examined(file, {}, ("web",), ())
    )
    return Policy(root, root.parent / "data").grants(rendering)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "Dockerfile").touch()
    return folder


@pytest.mark.parametrize(
    "body",
    [{"use_api_socket": True}, {"post_start": [{"command": ["id"], "privileged": True}]}],
)
def test_what_newer_versions_of_compose_grant_is_told(root: Path, body: dict[str, Any]) -> None:
    assert [line for line in judged(root, {}, **body) if "controls this machine" in line]


REFUSED = [
    pytest.param({"context": "https://git.example/app.git"}, "not in the repository", id="url"),
    pytest.param({"context": "git@git.example:app"}, "not in the repository", id="scp"),
    pytest.param({"context": "/etc"}, "leaves the repository", id="absolute"),
    pytest.param({"dockerfile": "../x"}, "leaves the repository", id="dockerfile"),
    pytest.param({"dockerfile": "/etc/passwd"}, "leaves the repository", id="dockerfile-absolute"),
    pytest.param({"additional_contexts": {"x": "/etc"}}, "leaves the repository", id="another"),
    pytest.param(
        {"additional_contexts": {"x": "https://a.example/b"}}, "contexts.x", id="another-url"
    ),
    pytest.param({"additional_contexts": {"x": "oci-layout:///x"}}, "contexts.x", id="layout"),
    pytest.param({"ssh": ["default"]}, "SSH key", id="ssh"),
    pytest.param({"cache_to": ["type=local,dest=/x"]}, "cache_to", id="cache-written"),
    pytest.param({"cache_from": ["type=local,src=/etc"]}, "cache_from", id="cache-read"),
    pytest.param({"cache_to": ["dest=/x"]}, "cache_to", id="cache-without-type"),
]


@pytest.mark.parametrize(("build", "problem"), REFUSED)
def test_what_is_not_of_the_commit_is_refused(
    root: Path, build: dict[str, Any], problem: str
) -> None:
    """With the field that says it."""
    with pytest.raises(InvalidComposeFile, match=problem) as caught:
        judged(root, build)
    assert caught.value.message.startswith("services.web.build.")


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore", "sub"])
def test_no_link_leads_out(root: Path, name: str) -> None:
    """Whatever the builder opens by name."""
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to("/etc")
    with pytest.raises(InvalidComposeFile, match="leaves the repository by a symbolic link"):
        judged(root, {"context": str(root / "sub")} if name == "sub" else {})


def test_what_is_of_the_commit_and_what_is_public_is_built_from(root: Path) -> None:
    """Folders of the repository, base images, caches in a registry; nothing of it is told."""
    build = {
        "context": str(root / "web"),
        "dockerfile": "../Dockerfile",
        "additional_contexts": {"shared": str(root / "shared"), "base": "docker-image://alpine"},
        "cache_from": ["acme/app:cache", "type=registry,ref=acme/app:cache"],
        "network": "none",
    }
    assert judged(root, build) == ()


@pytest.mark.parametrize(
    ("build", "told"),
    [
        ({"network": "host"}, "services.web.build uses the network host"),
        ({"privileged": True}, "services.web.build is privileged: it controls the machine"),
        ({"entitlements": ["security.insecure"]}, "build has entitlements: security.insecure"),
    ],
)
def test_a_builds_powers_are_told(root: Path, build: dict[str, Any], told: str) -> None:
    """As those of containers are."""
    (line,) = judged(root, build)
    assert told in line


def test_what_is_pulled_may_say_whatever_it_is_built_from_elsewhere(root: Path) -> None:
    """Nobody here builds it."""
    assert judged(root, {"context": "https://git.example/app.git"}, image="acme/app:1") == ()
