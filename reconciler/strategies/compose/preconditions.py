"""What has to be so before a revision is made ready."""

from reconciler.domain.errors import InvalidComposeFile, NameTaken
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import ServiceName
from reconciler.domain.stack import ComposeContainer, group_stacks
from reconciler.ports import Engine, Work
from reconciler.strategies.compose.as_it_runs import run_by_hand
from reconciler.strategies.compose.checkout import Checkout
from reconciler.strategies.compose.migrating.file import MigrationFile, service_of
from reconciler.strategies.compose.rendering import Rendering


def require_free_name(work: Work, engine: Engine) -> None:
    """Refuse to touch containers that somebody else brought up under the project's name."""
    if work.may_take_over or _is_adopted(work, engine):
        return
    if found := engine.containers(work.project.name):
        raise NameTaken(
            f"a compose project {work.project.name} is there already, with {len(found)} "
            f"container{'' if len(found) == 1 else 's'}, and no deployment of ours started it",
            containers=", ".join(sorted(sample.id[:12] for sample in found)[:20]),
        )


def require_possible(work: Work, engine: Engine, checkout: Checkout, rendering: Rendering) -> None:
    """Refuse files that are in order, and none the less not what can be deployed here.

    Raises:
        InvalidComposeFile: they are.
    """
    _require_exposed(work, rendering)
    _require_runs_in_base(work, rendering)
    _require_all_that_runs(work, engine, rendering)
    _require_migration(work, checkout, rendering)


def _is_adopted(work: Work, engine: Engine) -> bool:
    """Tell whether all that runs under the name was brought up from the target's own base."""
    base = work.target.base
    stacks = group_stacks(engine.compose_containers()) if base else ()
    return any(one.name == work.project.name and one.folders == (base,) for one in stacks)


def _require_all_that_runs(work: Work, engine: Engine, rendering: Rendering) -> None:
    """Refuse to take away what an adopted project runs, e.g. by a profile, as the first thing."""
    running = run_by_hand(work, engine)
    for one in running:
        _require_same_mounts(one, rendering)
    started = {service.name for service in rendering.services if service.replicas > 0}
    if lost := sorted({one.service for one in running} - started):
        raise InvalidComposeFile(
            f"{', '.join(lost)} runs, and the files do not start it: end it with "
            "`docker compose rm --stop`, or have a plain `docker compose up` start it"
        )


def _require_same_mounts(container: ComposeContainer, rendering: Rendering) -> None:
    """Refuse to mount something else where data is, e.g. by a variable that only a shell had."""
    services = {service.name for service in rendering.services}
    if (name := ServiceName(container.service)) not in services:
        return
    mounted = container.mounts
    for path, source in rendering.mounts(name).items():
        if source and mounted.get(path, source) != source:
            raise InvalidComposeFile(
                f"{name} has {mounted[path]} at {path}, and by the files it would be {source}: "
                "a variable that is missing goes into the .env of the folder"
            )


def _require_exposed(work: Work, rendering: Rendering) -> None:
    """Refuse files without the service that faces users."""
    exposed = work.project.expose_service
    names = [service.name for service in rendering.services if service.replicas > 0]
    if exposed is not None and work.project.kind is ProjectKind.COMPOSE and exposed not in names:
        raise InvalidComposeFile(
            f"expose_service: {exposed!r} is not one of the services that would be started: "
            f"{', '.join(names)}"
        )


def _require_runs_in_base(work: Work, rendering: Rendering) -> None:
    """Refuse what needs more files of the commit than compose files, where there is a base."""
    if not work.target.base:
        return
    if work.project.migration:
        raise InvalidComposeFile(
            f"a migration can't be run where the target has a base ({work.target.base}): "
            "remove one of them"
        )
    if built := [one.name for one in rendering.services if one.build is not None]:
        raise InvalidComposeFile(
            f"{', '.join(built)} can't be built where the target has a base "
            f"({work.target.base}): name an image that a registry has"
        )


def _require_migration(work: Work, checkout: Checkout, rendering: Rendering) -> None:
    """Refuse files by which the declared migration can't run."""
    if migration := work.project.migration:
        name = service_of(work.project, migration)
        MigrationFile(rendering, name, checkout.root).require_possible()
