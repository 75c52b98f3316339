"""The project as compose itself understands it: `docker compose config --format json`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.domain.compose import ComposeService
from reconciler.domain.errors import InvalidComposeFile, InvalidReference
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.domain.references import ImageReference, ServiceName, parse_service_name
from reconciler.domain.secret import Secret
from reconciler.strategies.compose.checkout import Examined
from reconciler.strategies.compose.cli import masked


@dataclass(frozen=True, slots=True)
class RenderedService:
    """One service that a plain `up` starts."""

    name: ServiceName
    image: ImageReference
    labels: Mapping[str, str]
    replicas: int
    finishes: bool  #: its restart policy lets it end with status 0

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
        plain = _without(self.document, str(root), secrets)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


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
    services = tuple(_service(name, bodies[name]) for name in names)
    if all(service.replicas < 1 for service in services):
        # Nothing would run, and nothing is proved well in no time.
        raise InvalidComposeFile("no service would be started: each has 0 replicas")
    _require_agreement(services, examined)
    return Rendering(services, document)


def _service(name: str, body: Mapping[str, Any]) -> RenderedService:
    image = body.get("image")
    if not image and body.get("build") is not None:
        raise InvalidComposeFile(
            f"service {name} is only built (`build:` without `image:`), and nothing is built here: "
            "push its image to a registry and name it with `image:`"
        )
    try:
        reference = ImageReference.parse(image or "", f"services.{name}.image")
        service_name = parse_service_name(name)
    except InvalidReference as error:
        raise InvalidComposeFile(error.message) from None
    return RenderedService(
        service_name, reference, body.get("labels") or {}, _replicas(body), _finishes(body)
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


def _without(node: Any, root: str, secrets: Mapping[str, Secret]) -> Any:
    match node:
        case str():
            return masked(node.replace("$$", "$").replace(root, "."), secrets, shortest=1)
        case dict():
            return {key: _without(value, root, secrets) for key, value in node.items()}
        case list():
            return [_without(value, root, secrets) for value in node]
    return node
