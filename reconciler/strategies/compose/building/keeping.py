"""What was built stays as long as one can go back to it, under the name that was given."""

from collections.abc import Collection, Iterable

from reconciler.domain.deployment import Built, PlannedService, PreparedTarget
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.references import ProjectName
from reconciler.ports import Engine, LineSink
from reconciler.strategies.compose.building.definition import KEY_LABEL, names_of_ours


def restore_names(engine: Engine, services: Iterable[PlannedService], log: LineSink) -> None:
    """Make each name mean what was built, whoever moved or dropped it.

    Raises:
        PreconditionFailed: what was built is gone.
    """
    for service in services:
        if not isinstance(service.pin, Built):
            continue
        wanted, named = service.pin.digest, engine.find_image(str(service.pin))
        if named and named.id == wanted:
            continue
        if engine.find_image(wanted.text) is None:
            raise PreconditionFailed(
                f"{service.name}: the image {service.pin} that was built for it is gone; deploy "
                "its commit again, and it is built anew; where it was promoted, promote it again",
                image=wanted.text,
            )
        engine.give_name(wanted, str(service.pin))
        log(f"note: {service.pin} meant another image, or nothing; it means what was built again")


def drop_built(engine: Engine, project: ProjectName, kept: Collection[PreparedTarget]) -> None:
    """Drop what ``project`` was built or given and none of ``kept`` runs, failed attempts, too.

    A container that still uses one keeps it.
    """
    wanted = {service.pin.digest for one in kept for service in one.services if service.pin}
    for image in engine.images({KEY_LABEL: ""}):
        if image.id not in wanted and not image.digests & wanted:
            for name in names_of_ours(image, project):
                engine.drop_name(name)
