"""What a registry's verified delivery says: a hint at which images to look up.

Sources: distribution, ``notifications/event.go``; Harbor's documentation, "Configure Webhook
Notifications", default payload format; Docker Hub's, "Webhooks"; Quay's, "Repository events";
GitHub's, "Webhook events and payloads": ``package`` and ``registry_package``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.domain.errors import InvalidInput, InvalidReference
from reconciler.domain.payload import Payload, list_at, object_of, text_at, value_at
from reconciler.domain.references import ImageReference
from reconciler.domain.webhook import Provider

#: Of one delivery; more are left to the image watch.
_MOST_IMAGES = 100
_GITHUB_ACTIONS = frozenset({"published", "updated"})
_GITHUB_TYPES = frozenset({"container", "docker"})


@dataclass(frozen=True, slots=True)
class ImageHint:
    """That a tag moved. Which digest it means now, the registry itself is asked."""

    registry: str  #: as the webhook was declared
    repository: str
    tag: str | None  #: None: the payload does not say; it may be any

    def concerns(self, image: ImageReference) -> bool:
        """Tell whether ``image`` may have moved."""
        where = (image.registry, image.repository)
        return where == (self.registry, self.repository) and self.tag in {None, image.tag}

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}" + (f":{self.tag}" if self.tag else "")


@dataclass(frozen=True, slots=True)
class ImagesHint:
    """All that one delivery says that moved."""

    images: tuple[ImageHint, ...]  #: each once; never empty

    def concerns(self, image: ImageReference) -> bool:
        """Tell whether ``image`` may have moved."""
        return any(one.concerns(image) for one in self.images)

    def __str__(self) -> str:
        more = f" and {len(self.images) - 1} more" if len(self.images) > 1 else ""
        return f"{self.images[0]}{more}"


@dataclass(frozen=True, slots=True)
class RegistryEvent:
    """A registry's delivery, read."""

    name: str  #: as the registry calls it
    hint: ImagesHint | None = None  #: None: no tag was pushed
    note: str = ""  #: what is not looked into, and why


def read_registry_event(provider: Provider, registry: str, payload: Payload) -> RegistryEvent:
    """Return what a payload of ``provider`` says; its images are those of the host ``registry``.

    Raises:
        InvalidInput: naming what is not there, or not what it should be.
    """
    return _READERS[provider](registry, payload)


def make_image_push(provider: Provider, image: ImageReference) -> Payload:
    """Return a payload that is read as a push of ``image``, to try the way with."""
    name, tag = image.repository, image.tag or "latest"
    match provider:
        case Provider.HARBOR:
            data = {"resources": [{"tag": tag}], "repository": {"repo_full_name": name}}
            return {"type": "PUSH_ARTIFACT", "event_data": data}
        case Provider.DOCKER_HUB:
            return {"push_data": {"tag": tag}, "repository": {"repo_name": name}}
        case Provider.QUAY:
            return {"repository": name, "updated_tags": [tag]}
        case Provider.GITHUB_PACKAGES:
            owner, _, rest = name.partition("/")
            version = {"container_metadata": {"tag": {"name": tag}}}
            package = {"namespace": owner, "name": rest, "package_type": "CONTAINER"}
            return {"action": "published", "package": {**package, "package_version": version}}
    return {"events": [{"action": "push", "target": {"repository": name, "tag": tag}}]}


def _read_distribution(registry: str, payload: Payload) -> RegistryEvent:
    """Pulls, deletions, and pushes of layers and of what has no tag are no news.

    An event that can't be read is passed over: refused, the registry would send it again for ever
    and keep back all that come after it.
    """
    events = list_at(payload, "events")
    images = [image for event in events if (image := _find_pushed(registry, event))]
    return _event("push", images, "it holds no push of a tag")


def _find_pushed(registry: str, event: object) -> ImageHint | None:
    try:
        told = object_of(event)
        if told.get("action") != "push":
            return None
        target = object_of(told.get("target"))
        return _image(registry, text_at(target, "repository"), text_at(target, "tag"))
    except InvalidInput:
        return None


def _read_harbor(registry: str, payload: Payload) -> RegistryEvent:
    kind = text_at(payload, "type")
    if kind != "PUSH_ARTIFACT":
        return RegistryEvent(kind, note=f"{kind} announces no push")
    data = object_of(payload.get("event_data"))
    name = text_at(data, "repository", "repo_full_name")
    tags = [value_at(object_of(one), ("tag",)) for one in list_at(data, "resources")]
    # What was pushed by digest alone has that, or nothing, in the tag's place.
    named = [one for one in tags if isinstance(one, str) and one and ":" not in one]
    return _event(kind, [_image(registry, name, one) for one in named], "it has no tag")


def _read_docker_hub(registry: str, payload: Payload) -> RegistryEvent:
    name = text_at(payload, "repository", "repo_name")
    return _event("push", [_image(registry, name, text_at(payload, "push_data", "tag"))], "")


def _read_quay(registry: str, payload: Payload) -> RegistryEvent:
    """Its tags are a list; they were an object, tag → image, in older ones."""
    name, tags = text_at(payload, "repository"), payload.get("updated_tags")
    listed = list_at(
        {"updated_tags": list(tags) if isinstance(tags, dict) else tags}, "updated_tags"
    )
    return _event("push", [_image(registry, name, tag) for tag in listed], "it has no tag")


def _read_github_packages(registry: str, payload: Payload) -> RegistryEvent:
    """Of an image for several platforms GitHub leaves the tag out: it may be any."""
    kind = "package" if "package" in payload else "registry_package"
    package, action = object_of(payload.get(kind)), text_at(payload, "action")
    if action not in _GITHUB_ACTIONS:
        return RegistryEvent(kind, note=f"{kind} {action} announces no push")
    if str(package.get("package_type")).lower() not in _GITHUB_TYPES:
        return RegistryEvent(kind, note="it is a package of another kind than container")
    name = f"{text_at(package, 'namespace')}/{text_at(package, 'name')}".lower()
    version = value_at(package, ("package_version", "container_metadata", "tag", "name"))
    return _event(kind, [_image(registry, name, version or None)], "")


def _image(registry: str, repository: str, tag: object) -> ImageHint:
    """Return the image as references name it; a tag that is None may be any.

    Raises:
        InvalidInput: it is none.
    """
    try:
        if ":" in repository or "@" in repository:
            raise InvalidReference("repository", repository, "is no repository")
        image = ImageReference.parse(f"{registry}/{repository}:{'any' if tag is None else tag}")
    except InvalidReference:
        raise InvalidInput("body", None, "names no image that can be one") from None
    if image.digest:  # behind the tag
        raise InvalidInput("body", None, "names no image that can be one")
    return ImageHint(image.registry, image.repository, None if tag is None else image.tag)


def _event(name: str, images: Iterable[ImageHint], otherwise: str) -> RegistryEvent:
    """Return the event with each distinct image once; ``otherwise`` is said where there is none."""
    distinct = tuple(dict.fromkeys(images))
    if not distinct:
        return RegistryEvent(name, note=otherwise)
    kept = distinct[:_MOST_IMAGES]
    note = f"only {_MOST_IMAGES} of its {len(distinct)} images are looked up now"
    return RegistryEvent(name, ImagesHint(kept), note if len(distinct) > len(kept) else "")


_READERS: Mapping[Provider, Callable[[str, Payload], RegistryEvent]] = {
    Provider.DISTRIBUTION: _read_distribution,
    Provider.HARBOR: _read_harbor,
    Provider.DOCKER_HUB: _read_docker_hub,
    Provider.QUAY: _read_quay,
    Provider.GITHUB_PACKAGES: _read_github_packages,
}
