"""The images of a plan: which digests are behind the tags now, and what becomes of each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import Built, Pin, PreparedTarget, Release
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.handing_on import Exact
from reconciler.domain.host import HostName
from reconciler.domain.plan import ExactImage, ImageFate, ImageStep
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.pipeline.planning.budget import Budget
from reconciler.ports import ForeseenService, ImageFacts, ImageRegistry

#: Images of which more than their digest is asked for.
_MOST_DESCRIBED = 40
_NOTES = {
    ImageFate.BUILT: "built from the commit",
    ImageFate.FIXED: "the file names its digest",
    ImageFate.LEFT: "stateful: neither looked up nor pinned",
    ImageFate.GONE: "the service is in the files no more",
}


@dataclass(slots=True)
class Digests:
    """What is behind the tags now."""

    found: dict[str, Digest] = field(default_factory=dict)
    failed: dict[str, ReconcilerError] = field(default_factory=dict)


def look_up(
    budget: Budget,
    registry: ImageRegistry,
    project: ProjectName,
    services: Sequence[ForeseenService],
) -> Digests:
    """Ask once for each image that a deployment would pin to the digest behind its tag."""
    images = {str(one.image): one.image for one in services if one.fate is ImageFate.PINNED}
    looks = {
        name: budget.begin(lambda image=image: registry.digest(image, project))  # type: ignore[misc]
        for name, image in images.items()
    }
    digests = Digests()
    for name, look in looks.items():
        match budget.attempt(look):
            case Digest() as digest:
                digests.found[name] = digest
            case ReconcilerError() as error:
                digests.failed[name] = error
    return digests


def steps_of(
    services: Sequence[ForeseenService],
    by_host: Mapping[HostName, PreparedTarget],
    digests: Digests,
) -> tuple[ImageStep, ...]:
    """Return what becomes of each service's image, in file order; those that leave come last.

    Hosts that run the same of a service share a step.
    """
    steps = []
    for service in services:
        name, after = str(service.image), _after(service, digests)
        for before, hosts in _now(by_host, service.name):
            after = before if service.fate is ImageFate.LEFT else after
            note = service.note or _NOTES.get(service.fate, "")
            steps.append(ImageStep(service.name, name, service.fate, hosts, before, after, note))
    known = {service.name for service in services}
    gone = [one.name for host in by_host.values() for one in host.services]
    for left in dict.fromkeys(one for one in gone if one not in known):
        for before, hosts in _now(by_host, left):
            name = before.name if before else ""
            note = _NOTES[ImageFate.GONE]
            steps.append(ImageStep(left, name, ImageFate.GONE, hosts, before, None, note))
    return tuple(steps)


def _after(service: ForeseenService, digests: Digests) -> ExactImage | None:
    if service.exact:
        return _exact(service.exact)
    name = str(service.image)
    if service.fate is ImageFate.FIXED and service.image.digest:
        return ExactImage(name, service.image.digest)
    found = digests.found.get(name) if service.fate is ImageFate.PINNED else None
    return ExactImage(name, found) if found else None


def _now(
    by_host: Mapping[HostName, PreparedTarget], service: str
) -> Iterator[tuple[ExactImage | None, tuple[HostName, ...]]]:
    """Yield what runs of a service, and on which hosts; nothing, on none, where nothing does."""
    found: dict[ExactImage | None, list[HostName]] = {}
    for host, one in by_host.items():
        runs = next((each for each in one.services if each.name == service), None)
        found.setdefault(_exact(runs.pin if runs else None), []).append(host)
    for before, hosts in found.items() or [(None, [])]:
        yield before, tuple(hosts)


def _exact(pin: Exact | None) -> ExactImage | None:
    match pin:
        case Pin(image, digest):
            return ExactImage(str(image), digest)
        case Built(digest=digest) as built:
            return ExactImage(str(built), digest, built=True)
        case Release(name, digest):
            return ExactImage(name, digest, built=True)
    return None


def described(
    budget: Budget,
    registry: ImageRegistry,
    project: ProjectName,
    steps: Sequence[ImageStep],
    platform: str,
) -> tuple[ImageStep, ...]:
    """Return the steps with size and age of what changes, as far as the registries tell."""
    wanted = list(dict.fromkeys(one for step in steps for one in _to_describe(step)))
    looks = {
        one: budget.begin(lambda one=one: _describe(registry, project, one, platform))  # type: ignore[misc]
        for one in wanted[:_MOST_DESCRIBED]
    }
    facts: dict[ExactImage, ImageFacts] = {}
    for one, look in looks.items():
        with suppress(ReconcilerError):  # what is not known is not shown
            facts[one] = budget.wait(look)
    return tuple(
        replace(step, before=_with(step.before, facts), after=_with(step.after, facts))
        for step in steps
    )


def _to_describe(step: ImageStep) -> Iterator[ExactImage]:
    """Yield what a registry may know of a step: neither what is built here nor what stays."""
    if step.changes and step.fate in {ImageFate.PINNED, ImageFate.FIXED}:
        yield from (one for one in (step.before, step.after) if one and not one.built)


def _describe(
    registry: ImageRegistry, project: ProjectName, image: ExactImage, platform: str
) -> ImageFacts:
    reference = ImageReference.parse(image.name)
    return registry.describe(reference, image.digest, platform, project)


def _with(image: ExactImage | None, facts: Mapping[ExactImage, ImageFacts]) -> ExactImage | None:
    known = facts.get(image) if image else None
    if image is None or known is None:
        return image
    return replace(image, size_bytes=known.size_bytes, created_at=known.created_at)
