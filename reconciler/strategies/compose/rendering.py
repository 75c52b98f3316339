"""The project as compose itself understands it: `docker compose config --format json`."""

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from reconciler.domain.compose import ComposeService
from reconciler.domain.errors import InvalidComposeFile, InvalidReference
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.domain.references import ImageReference, ServiceName, parse_service_name
from reconciler.domain.secret import Secret
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.failures import masked


@dataclass(frozen=True, slots=True)
class RenderedService:
    """One service that a plain `up` starts."""

    name: ServiceName
    image: ImageReference  #: of one that is built only the name counts
    labels: Mapping[str, str]
    replicas: int
    finishes: bool  #: its restart policy lets it end with status 0
    #: What its image is built from; None where that is pulled.
    build: Mapping[str, Any] | None = None
    platform: str = ""  #: that it asks for
    has_own_name: bool = True  #: whether the file names its image

    def is_stateful(self, declared: tuple[ServiceName, ...]) -> bool:
        """Tell whether it keeps data; see ``ComposeService.is_stateful``."""
        return ComposeService(self.name, None, labels=self.labels).is_stateful(declared)


@dataclass(frozen=True, slots=True)
class Rendering:
    """What compose makes of the files."""

    services: tuple[RenderedService, ...]  #: in file order, never empty
    document: Mapping[str, Any]

    def sha256(self, root: Path, secrets: Mapping[str, Secret]) -> str:
        """Return a hash that changes with the project's meaning, not with its place or secrets."""
        plain = without_place(self.document, root, secrets)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def moved(self, root: Path, to: Path) -> Self:
        """Return the same, rendered as if what is below ``root`` were below ``to``."""
        there = (str(root), str(to))
        services = (replace(one, build=_moved(one.build, *there)) for one in self.services)
        return replace(self, services=tuple(services), document=_moved(self.document, *there))

    def mounts(self, service: ServiceName) -> Mapping[str, str]:
        """Return path in a service's containers → the folder, or the volume, that it mounts."""
        volumes = self.document.get("volumes") or {}
        found = {}
        for mount in self.document["services"][service].get("volumes") or ():
            source = mount.get("source") or ""
            if mount.get("type") == "volume":
                source = (volumes.get(source) or {}).get("name") or source
            found[posixpath.normpath(mount["target"])] = source
        return found

    def looked_up_beside(self) -> Iterator[str]:
        """Yield what newer versions of compose look up by a tag, beside the services' images.

        Source: Compose specification, ``05-services.md``, "volumes", and ``14-models.md``.
        """
        for name, body in self.document["services"].items():
            for mount in body.get("volumes") or ():
                if mount.get("type") == "image" and "@" not in str(mount.get("source")):
                    yield f"services.{name}.volumes: {mount.get('source')}"
        yield from (f"models: {name}" for name in self.document.get("models") or ())


def parse_rendering(text: str, examined: Examined) -> Rendering:
    """Return what compose rendered, its services in the files' own order.

    Raises:
        InvalidComposeFile: a service that can't be deployed, or none; or compose reads another
            image in a file than we do.
    """
    try:
        document = json.loads(text)
        bodies: Mapping[str, Any] = document.get("services") or {}
    except (ValueError, AttributeError):
        raise InvalidComposeFile("compose rendered something that is not a project") from None
    if not bodies:
        raise InvalidComposeFile(
            "no service would be started: all have profiles, or there are none"
        )
    position = {name: at for at, name in enumerate(examined.order)}
    names = sorted(bodies, key=lambda name: (position.get(name, len(position)), name))
    project = str(document.get("name"))
    services = tuple(_service(project, name, bodies[name]) for name in names)
    if all(service.replicas < 1 for service in services):
        # Nothing would run, and nothing is proved well in no time.
        raise InvalidComposeFile("no service would be started: each has 0 replicas")
    _require_agreement(services, examined)
    return Rendering(services, document)


def _service(project: str, name: str, body: Mapping[str, Any]) -> RenderedService:
    image, build, policy = body.get("image"), body.get("build"), body.get("pull_policy")
    said = ComposeService(
        ServiceName(name), image or None, build is not None, pull_policy=policy or ""
    )
    if not said.is_built:
        build = None
    # As compose itself names what it builds.
    wanted = image or (f"{project}-{name}".lower() if build is not None else "")
    try:
        reference = ImageReference.parse(wanted, f"services.{name}.image")
        service_name = parse_service_name(name)
    except InvalidReference as error:
        raise InvalidComposeFile(error.message) from None
    if build is not None and reference.digest:
        raise InvalidComposeFile(
            f"services.{name}.image: {image!r} has a digest, and what is built gets one of its "
            "own: name it without"
        )
    return RenderedService(
        name=service_name,
        image=reference,
        labels=body.get("labels") or {},
        replicas=_replicas(body),
        finishes=_finishes(body),
        build=build,
        platform=body.get("platform") or "",
        has_own_name=bool(image),
    )


def _replicas(body: Mapping[str, Any]) -> int:
    deploy = body.get("deploy") or {}
    return int(body.get("scale", deploy.get("replicas", 1)))


def _finishes(body: Mapping[str, Any]) -> bool:
    """Tell whether the engine leaves a container alone that ended with status 0.

    Source: Compose specification, ``05-services.md``, "restart"; ``deploy.md``, "restart_policy".
    """
    if restart := body.get("restart"):
        return str(restart).split(":")[0] in {"no", "on-failure"}
    policy = (body.get("deploy") or {}).get("restart_policy")
    return policy is None or policy.get("condition", "any") in {"none", "on-failure"}


def _require_agreement(services: Sequence[RenderedService], examined: Examined) -> None:
    """Refuse a file that compose and we read differently: one of us would watch the wrong image."""
    rendered = {service.name: service.image for service in services}
    for service in examined.file.services:
        theirs = rendered.get(service.name)
        if theirs is None or service.image is None:
            continue
        try:
            ours = ImageReference.parse(interpolate(service.image, examined.environment))
        except (Unresolved, InvalidReference):
            continue
        if ours != theirs:
            raise InvalidComposeFile(
                f"services.{service.name}.image: compose reads {theirs}, we read {ours}; "
                "write it so that there is one reading"
            )


def _moved(node: Any, root: str, to: str) -> Any:
    match node:
        case str():
            return to + node[len(root) :] if f"{node}/".startswith(f"{root}/") else node
        case dict():
            return {key: _moved(value, root, to) for key, value in node.items()}
        case list():
            return [_moved(value, root, to) for value in node]
    return node


def without_place(node: Any, root: Path, secrets: Mapping[str, Secret]) -> Any:
    """Return what compose rendered without where it was rendered, and without ``secrets``."""
    match node:
        case str():
            return masked(node.replace("$$", "$").replace(str(root), "."), secrets, shortest=1)
        case dict():
            return {key: without_place(value, root, secrets) for key, value in node.items()}
        case list():
            return [without_place(value, root, secrets) for value in node]
    return node
