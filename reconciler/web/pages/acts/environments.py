"""Which environment of an app a page's address means."""

from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.web.pages.frame import Frame


def find_environment(frame: Frame, name: ProjectName, wanted: str) -> ProjectName:
    """Return the project that is the environment ``wanted`` of the app of ``name``.

    Raises:
        NotFound: there is none, or none that they may see.
    """
    for place in frame.application.environments.chain(name).places:
        project = place.project.name
        if wanted in {place.name, project} and frame.sight.has(project):
            return project
    raise NotFound(f"{name} has no environment {wanted!r}")


def environments_after(frame: Frame, name: ProjectName) -> list[ProjectName]:
    """Return those that are promoted from ``name``, of which they may see each."""
    return [one.project.name for one in frame.summaries if one.project.promoted_from == name]
