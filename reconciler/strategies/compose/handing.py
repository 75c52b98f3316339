"""What a promotion runs: exactly what the environment before verified.

Nothing is looked up and nothing is built. A service gets what the service of the same name was
verified with; where there was none of that name, the image that was verified under the name and
tag that its compose file says. What was built is known by the image's id, and is brought from
where it was verified; all else is pulled by its digest.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from reconciler.domain.deployment import Built, Pin
from reconciler.domain.errors import (
    NotFound,
    NotHandedOn,
    RevisionNotFound,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.handing_on import HandedOn, Handover
from reconciler.domain.host import HostName
from reconciler.domain.references import ServiceName
from reconciler.ports import Engine, Image, Machines, Work
from reconciler.strategies.compose.building.definition import handed_on_as
from reconciler.strategies.compose.building.moving import ImageMover
from reconciler.strategies.compose.place import Place
from reconciler.strategies.compose.rendering import RenderedService


def choose(
    work: Work, handover: Handover, services: Sequence[RenderedService]
) -> Mapping[ServiceName, HandedOn]:
    """Return what was verified for each service; none for what keeps data and is not built.

    Raises:
        NotHandedOn: something was not verified.
    """
    declared = work.project.stateful_services
    return {
        one.name: _choose(work, handover, one)
        for one in services
        if one.build is not None or not one.is_stateful(declared)
    }


def _choose(work: Work, handover: Handover, service: RenderedService) -> HandedOn:
    handed = handover.find_of_service(service.name)
    if handed is None and service.build is None:
        handed = handover.find_of_image(str(replace(service.image, digest=None)))
    fixed = service.image.digest
    if handed is None or not isinstance(handed.pin, Pin | Built):
        raise _refused(work, service, f"has nothing verified for it, {service.image}")
    if fixed and fixed != handed.pin.digest:
        text = f"is fixed to {fixed} in its compose file, and {handed.pin.digest} was verified"
        raise _refused(work, service, text)
    return handed


def _refused(work: Work, service: RenderedService, text: str) -> NotHandedOn:
    origin = _origin_of(work)
    return NotHandedOn(
        f"{origin} did not hand on what {service.name} runs: the service {text}",
        f"have {origin} run it as well, under the same service name, and promote what "
        "that deploys; or, if it keeps data, say so (stateful_services)",
        service=service.name,
        image=str(service.image),
    )


def _origin_of(work: Work) -> str:
    return work.project.promoted_from or "the environment before"


@dataclass(frozen=True, slots=True)
class Handing:
    """Gives the services of a promotion their images, on the engine of one place."""

    work: Work
    handover: Handover
    place: Place
    machines: Machines
    mover: ImageMover

    def take(self, services: Sequence[RenderedService]) -> Mapping[ServiceName, Pin | Built]:
        """Return what each service runs; those that keep data and are not built get nothing.

        What was built is here afterwards; what has to be pulled is not yet.

        Raises:
            NotHandedOn: something was not verified, or is not to be had any more.
            SourceUnreachable: there is no way now to where it was verified.
        """
        # The first one is moved once it is known that there is all that is needed.
        chosen = choose(self.work, self.handover, services)
        wanted = [(one, chosen[one.name]) for one in services if one.name in chosen]
        taken = {one.name: self._have(one, handed) for one, handed in wanted}
        for name, pin in taken.items():
            self.work.log(f"{name}: {pin}, as {self._origin} has it")
        return taken

    @property
    def _origin(self) -> str:
        return _origin_of(self.work)

    def _have(self, service: RenderedService, handed: HandedOn) -> Pin | Built:
        pin = handed.pin
        if isinstance(pin, Built):
            image = self._bring(service, pin, handed.hosts)
            name = handed_on_as(service.image, image, self.work.project.name)
            if str(name) not in image.tags:
                self.place.engine.give_name(image.id, str(name))
            return name
        assert isinstance(pin, Pin)  # noqa: S101  for the type checker: it was chosen
        # From where the file says, a mirror it may be: the digest tells if it is the same.
        where = service.image if service.has_own_name else pin.image
        return Pin(replace(where, tag=pin.image.tag, digest=None), pin.digest)

    # ── What was built ────────────────────────────────────────────────────────────────────────

    def _bring(self, service: RenderedService, pin: Built, hosts: Sequence[HostName]) -> Image:
        """Have the image here that was verified, from wherever it is."""
        if image := self.place.engine.find_image(pin.digest.text):
            return image
        elsewhere = self.work.elsewhere
        origins = dict.fromkeys((*([elsewhere.host] if elsewhere else ()), *hosts))
        away: list[str] = []
        for host in origins:
            try:
                if self._bring_from(host, service, pin):
                    break
            except SourceUnreachable as error:
                away.append(error.message)
        image = self.place.engine.find_image(pin.digest.text)
        if image is None and away:
            raise SourceUnreachable(f"{pin}, built for {service.name}: {'; '.join(away)}")
        if image is None:
            raise self._gone(service, pin, hosts)
        return image

    def _bring_from(self, host: HostName, service: RenderedService, pin: Built) -> bool:
        """Move the image here from ``host``; tell whether that had it."""
        with ExitStack() as stack:
            with as_a_source(f"{host} has it"):
                origin = self._engine_of(host)
                image = origin.find_image(pin.digest.text) if origin else None
            if origin is None or image is None:
                return False
            self._require_fit(service, pin, image)
            self.work.log(f"moving {pin} from {host}")
            with as_a_source(f"{host} has it"):
                archive = stack.enter_context(self.mover.saved(pin.digest, origin))
            self.mover.images_of(self.place.engine).load(archive)
        return True

    def _engine_of(self, host: HostName) -> Engine | None:
        try:
            return self.machines.get(host).engine()
        except NotFound:  # it is declared no longer
            return None

    def _require_fit(self, service: RenderedService, pin: Built, image: Image) -> None:
        platform = self.place.engine.platform()
        if image.platform != platform:
            raise NotHandedOn(
                f"{pin}, built for {service.name} in {self._origin}, is for {image.platform}, and "
                f"{self.place.name} is {platform}",
                f"have {self._origin} run on {platform} as well",
                service=service.name,
                image=str(pin),
            )

    def _gone(self, service: RenderedService, pin: Built, hosts: Sequence[HostName]) -> NotHandedOn:
        return NotHandedOn(
            f"the image {pin} that {self._origin} built for {service.name} is not on "
            f"{', '.join(hosts)} any more",
            f"deploy {self._origin} again, with --force, and promote that; with push_images it "
            "would be in a registry",
            service=service.name,
            image=str(pin),
            digest=pin.digest.text,
        )


@contextmanager
def as_a_source(what: str) -> Iterator[None]:
    """Say within the block that a machine is no target: none is left out because it is away.

    Raises:
        SourceUnreachable: it is; ``what`` tells why that matters.
    """
    try:
        yield
    except TargetUnreachable as error:
        raise SourceUnreachable(f"{what}: {error.message}", **error.evidence) from error


@contextmanager
def pulled_as_handed_on(work: Work) -> Iterator[None]:
    """Say of what a registry lost that it is not handed on.

    Raises:
        NotHandedOn: a registry does not have what is pulled within the block.
    """
    try:
        yield
    except RevisionNotFound as error:
        origin = work.project.promoted_from
        raise NotHandedOn(
            f"what {origin} verified is not to be had any more: {error.message}",
            f"push the image again, or deploy {origin} anew and promote that",
            **error.evidence,
        ) from error
