"""What an image is built from, and the names by which it is found again."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.domain.deployment import Built
from reconciler.domain.errors import InvalidComposeFile, InvalidReference
from reconciler.domain.references import ImageReference, ProjectName, ServiceName
from reconciler.domain.secret import Secret
from reconciler.domain.verification import REVISION_LABEL
from reconciler.ports import Image, Work
from reconciler.strategies.compose.rendering import RenderedService, Rendering, without_place

#: Whose it is. An image that somebody derives from ours inherits it, as it does the next one.
PROJECT_LABEL = "reconciler.project"
#: What it was built from: the same key, the same image.
KEY_LABEL = "reconciler.build"
#: Build argument by which `RUN --mount=type=cache` gets caches that no other name shares.
#: Source: Docker docs, "Dockerfile reference", "BuildKit built-in build args".
_CACHES_OF = "BUILDKIT_CACHE_MOUNT_NS"

_LIMIT_BYTES = 1 << 20
_MOST_REGISTRIES = 20
#: What begins a line is of that line alone: with `\s*` lines without anything would take an hour.
_BASES = re.compile(
    r"^[ \t]*(?:FROM\s+(?:--\S+\s+)*(?P<base>\S+)|ARG\s+\w+=[\"']?(?P<default>[^\s\"']+))"
    r"|\bfrom=(?P<other>[^\s,]+)",
    re.IGNORECASE | re.MULTILINE,
)
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Definition:
    """What the image of one service is built from."""

    service: ServiceName
    image: ImageReference  #: the repository that it gets, and the tag that the file says
    has_own_name: bool  #: whether the file says either
    body: Mapping[str, Any]  #: `build:`, as compose rendered it
    platform: str  #: that it asks for; empty: the engine's own
    labels: Mapping[str, str]  #: that it gets

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.labels[KEY_LABEL]

    @property
    def dockerfile(self) -> Path | None:
        """Where its Dockerfile is; None where the compose file has it."""
        if "dockerfile_inline" in self.body:
            return None
        return Path(self.body["context"], self.body.get("dockerfile", "Dockerfile"))

    @property
    def working_name(self) -> str:
        """Its name until it is known what came of it; the same one each time."""
        return replace(self.image, tag=f"building-{self.key[:16]}").familiar

    def name_of(self, image: Image) -> Built:
        """Return the name that ``image`` has for good, and that no other one ever gets."""
        return Built(replace(self.image, tag=_tag_of(image)), image.id)

    def came_of_it(self, image: Image) -> bool:
        """Tell whether ``image``, labelled so, has the name that what was built of this got.

        Labels are inherited, or written by anybody, also on an image that another project pulls
        under a tag like ours: to foresee that, it takes no more than to see what is built.
        """
        return str(self.name_of(image)) in image.tags


def define(work: Work, rendering: Rendering, root: Path) -> tuple[Definition, ...]:
    """Return what has to be built of ``rendering``, whose files are at ``root``.

    Raises:
        InvalidComposeFile: one has no Dockerfile, or no name to be pushed by; or it would write to
            a registry though nothing is to be pushed.
    """
    found = tuple(
        _definition(work, service, root)
        for service in rendering.services
        if service.build is not None
    )
    for one in found:
        if one.dockerfile is not None and not one.dockerfile.is_file():
            name = one.body.get("dockerfile", "Dockerfile")
            raise InvalidComposeFile(f"services.{one.service}.build: there is no {name}")
        if not work.project.push_images and (written := _written_caches(one)):
            raise InvalidComposeFile(
                f"services.{one.service}.build.cache_to: {written[0][:80]!r} would be written to a "
                "registry, and nothing of this project is pushed (push_images is off)"
            )
        if work.project.push_images and not one.has_own_name:
            raise InvalidComposeFile(
                f"services.{one.service} is built and to be pushed (push_images), and has no name "
                "in a registry: give it `image: REGISTRY/NAME:TAG` and `pull_policy: build`, or "
                "turn push_images off"
            )
    return found


def _written_caches(one: Definition) -> list[str]:
    entries = map(str, one.body.get("cache_to") or ())
    return [entry for entry in entries if "type=inline" not in entry.split(",")]


def _definition(work: Work, service: RenderedService, root: Path) -> Definition:
    body, commit = dict(service.build or {}), str(work.revision.commit)
    # What keeps data is built once: another commit would replace it.
    is_stateful = service.is_stateful(work.project.stateful_services)
    parts = [work.project.name, service.platform, "" if is_stateful else commit]
    # Of another project it is another image, so that each can drop its own.
    text = json.dumps([*parts, without_place(body, root, {})], sort_keys=True)
    labels = {
        REVISION_LABEL: commit,
        PROJECT_LABEL: str(work.project.name),
        KEY_LABEL: hashlib.sha256(text.encode()).hexdigest(),
    }
    return Definition(
        service.name, service.image, service.has_own_name, body, service.platform, labels
    )


def build_text(definitions: Collection[Definition], secrets: Mapping[str, Any]) -> str:
    """Return a compose file that is good for building ``definitions``, and for nothing else.

    Args:
        definitions: what to build. Other tags that it should get are left out: people follow them.
        secrets: what the builds may read, as compose's ``secrets:`` has it.
    """
    services = {
        one.service: {
            "image": one.working_name,
            "build": {
                **{key: value for key, value in one.body.items() if key != "tags"},
                # What one project puts into a cache is not what another one builds from.
                "args": {**(one.body.get("args") or {}), _CACHES_OF: one.labels[PROJECT_LABEL]},
                "labels": {**(one.body.get("labels") or {}), **one.labels},
            },
            **({"platform": one.platform} if one.platform else {}),
        }
        for one in definitions
    }
    return json.dumps({"services": services, "secrets": dict(secrets)})


def secrets_of(definitions: Collection[Definition]) -> set[str]:
    """Return the names of the secrets that the builds read."""
    return {entry["source"] for one in definitions for entry in one.body.get("secrets") or ()}


def secret_arguments(one: Definition, secrets: Mapping[str, Secret]) -> Iterator[str]:
    """Yield each build argument that has a secret variable in it."""
    values = [value.reveal() for value in secrets.values()]
    for name, argument in (one.body.get("args") or {}).items():
        text = str(argument).replace("$$", "$")
        if any(value in text for value in values if len(value) >= _SHORTEST_SECRET):
            yield name


def handed_on_as(image: ImageReference, found: Image, project: ProjectName) -> Built:
    """Return the name by which ``project`` keeps an image that another one built.

    It is its own, so that each of them can drop its one, also on the same engine.
    """
    return Built(replace(image, tag=f"{_tag_of(found)}-{project}", digest=None), found.id)


def names_of_ours(image: Image, project: ProjectName) -> list[str]:
    """Return the names that it was given for ``project``."""
    ours = [f":{_tag_of(image)}-{project}"]
    if image.labels.get(PROJECT_LABEL) == project:
        ours += [f":{_tag_of(image)}", f":building-{image.labels.get(KEY_LABEL, '')[:16]}"]
    return [name for name in image.tags if name.endswith(tuple(ours))]


def _tag_of(image: Image) -> str:
    return f"{image.labels.get(REVISION_LABEL, '')[:12]}-{image.id.text.partition(':')[2][:8]}"


def base_registries(definitions: Sequence[Definition]) -> tuple[str, ...]:
    """Return the registries that the builds may take other images from, each once."""
    images = [image for one in definitions for image in _base_images(one)]
    hosts: dict[str, None] = {}
    for text in images:
        try:
            hosts[ImageReference.parse(text).registry] = None
        except InvalidReference:
            continue  # another stage, a variable, or no image at all
    return tuple(hosts)[:_MOST_REGISTRIES]


def _base_images(one: Definition) -> Iterator[str]:
    text = one.body.get("dockerfile_inline") or ""
    if one.dockerfile is not None:
        with one.dockerfile.open("rb") as file:
            text = file.read(_LIMIT_BYTES).decode(errors="replace")
    for match in _BASES.finditer(text):
        yield match["base"] or match["default"] or match["other"]
    yield from map(str, (one.body.get("args") or {}).values())
    for value in (one.body.get("additional_contexts") or {}).values():
        yield str(value).removeprefix("docker-image://")
