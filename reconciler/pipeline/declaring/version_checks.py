"""Where a project tells its version: what suits which kind. Pure."""

from collections.abc import Mapping

from reconciler.domain.errors import InvalidInput
from reconciler.domain.problems import Problems
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.version_check import VersionCheck, parse_version_check, require_port


def parse_version(
    declared: Mapping[str, object] | None, kind: ProjectKind, problems: Problems
) -> VersionCheck | None:
    """Return the check; a unit is asked where its target listens, all else needs a port."""
    if declared is None:
        return None
    check = problems.collect(lambda: parse_version_check(declared))
    if check is not None and kind.runs_containers:
        problems.collect(lambda: require_port(check))
    return check


def check_version(project: Project, problems: Problems) -> None:
    """See that the version check means something for such a project."""
    check = project.version
    if check is None:
        return
    if check.service is not None and project.kind is ProjectKind.UNIT:
        problem = "does not belong in a project of kind unit; leave it out"
        problems.found.append(InvalidInput("version.service", check.service, problem))
    if project.kind is ProjectKind.IMAGE and project.promoted_from is None:
        problem = "asks for a commit, and an image project that follows its image has none"
        problems.found.append(InvalidInput("version", None, problem))
