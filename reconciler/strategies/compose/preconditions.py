"""What has to be so before a revision is made ready."""

from reconciler.domain.errors import InvalidComposeFile, NameTaken
from reconciler.domain.project import ProjectKind
from reconciler.ports import Engine, Work
from reconciler.strategies.compose.checkout import Checkout
from reconciler.strategies.compose.migrating.file import MigrationFile, service_of
from reconciler.strategies.compose.rendering import Rendering


def require_free_name(work: Work, engine: Engine) -> None:
    """Refuse to touch containers that somebody else brought up under the project's name."""
    if work.may_take_over:
        return
    if found := engine.containers(work.project.name):
        raise NameTaken(
            f"a compose project {work.project.name} is there already, with {len(found)} "
            f"container{'' if len(found) == 1 else 's'}, and no deployment of ours started it",
            containers=", ".join(sorted(sample.id[:12] for sample in found)[:20]),
        )


def require_exposed(work: Work, rendering: Rendering) -> None:
    """Refuse files without the service that faces users."""
    exposed = work.project.expose_service
    names = [service.name for service in rendering.services if service.replicas > 0]
    if exposed is not None and work.project.kind is ProjectKind.COMPOSE and exposed not in names:
        raise InvalidComposeFile(
            f"expose_service: {exposed!r} is not one of the services that would be started: "
            f"{', '.join(names)}"
        )


def require_migration(work: Work, checkout: Checkout, rendering: Rendering) -> None:
    """Refuse files by which the declared migration can't run."""
    if migration := work.project.migration:
        name = service_of(work.project, migration)
        MigrationFile(rendering, name, checkout.root).require_possible()
