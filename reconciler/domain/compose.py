"""What we read in a compose file: its services and the images they follow."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum

from reconciler.domain.errors import InvalidReference
from reconciler.domain.foreign_labels import DECIDING_LABELS, ForeignLabels, read_foreign_labels
from reconciler.domain.interpolation import Unresolved, interpolate
from reconciler.domain.references import ImageReference, ServiceName

#: A service so labelled is never pinned: ``reconciler.stateful: "true"``.
STATEFUL_LABEL = "reconciler.stateful"

# Why an image is left alone on purpose, not for want of something.
BUILT_HERE = "it is built here"
PINNED_BY_DIGEST = "it is pinned by digest"
OF_STATEFUL_SERVICE = "its service is stateful"
#: ``pull_policy`` of a service that is built although its image has a name.
BUILD_POLICY = "build"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port that a service is said to listen on."""

    number: int  #: in its container
    published: int | None = None  #: on the host; None: nowhere, or the file does not say which


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service, as far as it matters to us."""

    name: ServiceName
    image: str | None  #: as written, variables unresolved; None where it is only built
    builds: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()  #: a service with profiles is not started by a plain ``up``
    pull_policy: str = ""  #: as written; compose's own word
    ports: tuple[ServicePort, ...] = ()  #: those of ``ports`` and ``expose`` that are plain numbers

    @property
    def is_built(self) -> bool:
        """Whether its image is built here: without a name for it, or where the file insists.

        Source: Compose specification, ``05-services.md``, "pull_policy".
        """
        return self.builds and (self.image is None or self.pull_policy == BUILD_POLICY)

    def is_stateful(self, declared: tuple[ServiceName, ...]) -> bool:
        """Tell whether it keeps data: by its label, or by the project's own list."""
        return self.name in declared or self.labels.get(STATEFUL_LABEL, "").lower() == "true"


class ReachKind(StrEnum):
    """What compose does with a path that it finds in a file."""

    COMPOSE = "compose"  #: reads it as another compose file
    ENVIRONMENT = "environment"  #: reads variables from it
    FILE = "file"  #: hands its content to a container
    MOUNT = "mount"  #: mounts it into a container
    FOLDER = "folder"  #: resolves other paths against it


@dataclass(frozen=True, slots=True)
class Reach:
    """A path outside the file itself that compose would open."""

    kind: ReachKind
    path: str  #: as written, variables unresolved, relative to the file's folder
    where: str  #: e.g. ``services.web.env_file``
    optional: bool = False  #: compose goes on without it


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """A compose file that passed its limits."""

    services: tuple[ComposeService, ...]  #: in file order; empty only where all is included
    reaches: tuple[Reach, ...] = ()  #: in file order


def merged(files: Iterable[ComposeFile]) -> ComposeFile:
    """Return what main files say together: of each service the last image that is named."""
    services: dict[ServiceName, ComposeService] = {}
    reaches: list[Reach] = []
    for file in files:
        reaches += file.reaches
        for service in file.services:
            earlier = services.get(service.name, service)
            services[service.name] = replace(
                earlier if service.image is None else service,
                builds=earlier.builds or service.builds,
                pull_policy=service.pull_policy or earlier.pull_policy,
            )
    return ComposeFile(tuple(services.values()), tuple(reaches))


@dataclass(frozen=True, slots=True)
class FollowedImage:
    """An image that services follow by tag; or why its text can't be followed."""

    text: str  #: ``ImageReference`` in full, or the file's own text where it is not followed
    services: tuple[ServiceName, ...]
    reference: ImageReference | None
    unwatched_because: str = ""
    notes: tuple[str, ...] = ()  #: what its services ask for besides, and don't get


def followed_images(
    file: ComposeFile, environment: Mapping[str, str], stateful: tuple[ServiceName, ...] = ()
) -> tuple[FollowedImage, ...]:
    """Return each distinct image once, in file order.

    Not followed, with the reason: a variable that ``environment`` can't resolve, an image pinned
    by digest (with or without a tag beside it), a stateful service's, one that is built here, one
    that a label of another image watcher leaves alone. A service that could be built as well is
    followed like any other, and its image is pulled.
    """
    found: dict[str, FollowedImage] = {}
    for service in file.services:
        image = _follow(service, environment, stateful)
        if image is None:
            continue
        earlier = found.get(image.text)
        found[image.text] = _together(earlier, image) if earlier else image
    return tuple(found.values())


def _together(earlier: FollowedImage, image: FollowedImage) -> FollowedImage:
    """Return both as one; who follows it is named, and of who only uses it there is a note."""
    notes = (*earlier.notes, *image.notes)
    if (earlier.reference is None) is (image.reference is None):
        services = (*earlier.services, *image.services)
        return replace(earlier, services=services, notes=tuple(dict.fromkeys(notes)))
    follows, left = (earlier, image) if earlier.reference else (image, earlier)
    note = f"{', '.join(left.services)} is left alone: {left.unwatched_because}"
    return replace(follows, notes=(*notes, note))


def _follow(
    service: ComposeService, environment: Mapping[str, str], stateful: tuple[ServiceName, ...]
) -> FollowedImage | None:
    if service.image is None:
        return None
    names = (service.name,)
    try:
        reference = ImageReference.parse(interpolate(service.image, environment))
    except Unresolved as unresolved:
        return FollowedImage(service.image, names, None, f"variable {unresolved.what} is not set")
    except InvalidReference:
        return FollowedImage(service.image, names, None, "it is not an image name")
    asked = read_foreign_labels(_resolved(service.labels, environment))
    if why := _why_left_alone(service, reference, stateful, asked):
        return FollowedImage(str(reference), names, None, why)
    return FollowedImage(str(reference), names, reference, notes=asked.notes)


def _resolved(labels: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the labels, those that decide as compose sets them where they can be resolved."""
    values = dict(labels)
    for label in DECIDING_LABELS & labels.keys():
        with suppress(Unresolved):
            values[label] = interpolate(labels[label], environment, missing="")
    return values


def _why_left_alone(
    service: ComposeService,
    reference: ImageReference,
    stateful: tuple[ServiceName, ...],
    asked: ForeignLabels,
) -> str:
    if service.is_built:
        return BUILT_HERE
    if reference.digest:
        return PINNED_BY_DIGEST
    return OF_STATEFUL_SERVICE if service.is_stateful(stateful) else asked.reason
