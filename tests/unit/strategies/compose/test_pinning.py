"""What is pulled, and nothing else."""

import json
from dataclasses import replace

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.references import Digest, ImageReference
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.pinning import pull_text
from reconciler.strategies.compose.rendering import Rendering, parse_rendering

DIGEST = Digest("sha256:" + "a" * 64)
WEB = {
    "image": "acme/web:1",
    "platform": "linux/arm64",
    "environment": {"TOKEN": "secret"},
    "volumes": [{"type": "bind", "source": "/etc", "target": "/x"}],
}


def rendered() -> Rendering:
    file = RuamelComposeReader().read(b"services: {web: {image: 'acme/web:1'}, db: {image: db}}")
    names = tuple(service.name for service in file.services)
    document = {"services": {"web": WEB, "db": {"image": "db", "pull_policy": "never"}}}
    return parse_rendering(json.dumps(document), Examined(file, {}, names, ()))


def test_what_is_pulled_by_says_nothing_but_what_to_pull() -> None:
    """No variable and no mount: it goes to a host before anything else does."""
    missing = {
        "web": replace(ImageReference.parse("acme/web:1"), digest=DIGEST),
        "db": ImageReference.parse("db"),
    }
    assert json.loads(pull_text(rendered(), missing)) == {
        "services": {
            "web": {"image": f"docker.io/acme/web:1@{DIGEST}", "platform": "linux/arm64"},
            "db": {"image": "docker.io/library/db:latest", "pull_policy": "never"},
        }
    }


def test_what_was_built_and_pushed_elsewhere_is_pulled_all_the_same() -> None:
    """Compose would skip it for its policy."""
    body = {"image": "acme/web:1", "build": {"context": "/x"}, "pull_policy": "build"}
    file = RuamelComposeReader().read(b"services: {web: {image: 'acme/web:1', build: .}}")
    document = {"services": {"web": body}}
    found = parse_rendering(json.dumps(document), Examined(file, {}, ("web",), ()))
    image = replace(ImageReference.parse("acme/web:1"), digest=DIGEST)
    assert json.loads(pull_text(found, {"web": image})) == {
        "services": {"web": {"image": f"docker.io/acme/web:1@{DIGEST}"}}
    }
