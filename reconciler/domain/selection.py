"""Which moves of a branch concern a project. Pure."""

import re
from collections.abc import Sequence

from reconciler.domain.gate import Reason
from reconciler.domain.path_patterns import any_fits
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha
from reconciler.domain.state import ProjectState

#: Source: what people write for CI systems, and for those that deploy.
_MARKER = re.compile(
    r"\[(?:skip (?:cd|ci|actions)|(?:cd|ci|actions) skip|no ci)\]", re.IGNORECASE | re.ASCII
)


def is_selective(project: Project) -> bool:
    """Tell whether some moves of its branch may not concern ``project``."""
    return project.source is not None and (bool(project.watch_paths) or project.skip_markers)


def commits_to_compare(project: Project, state: ProjectState) -> tuple[CommitSha, ...]:
    """Return the commits of which a newer one has to differ to be deployed; none: it may be any.

    That is what runs once what is under way has ended well, and what was given up for it: rolled
    back, or left by a person. Else every commit to another app would try that again.
    """
    if state.live is None or state.tracked_commit is None:
        return ()
    newest = state.queued or state.running or state.live
    found = [newest.target_revision.commit]
    found += [
        one.revision.commit
        for one in state.quarantined[-1:]
        if one.revision.generation == project.generation
    ]
    if newest.restores is not None:
        found.append(state.tracked_commit)
    return tuple(dict.fromkeys(commit for commit in found if commit is not None))


def reason_to_pass_over(
    project: Project, base: CommitSha, paths: Sequence[str] | None, message: str
) -> Reason | None:
    """Return why a commit does not concern ``project``; None: it does.

    Args:
        project: with its ``watch_paths`` and ``skip_markers``.
        base: what the commit was compared with.
        paths: that differ; None: it can't be told which, so that any of them may.
        message: of the commit.
    """
    if project.skip_markers and (marker := _MARKER.search(message)):
        return Reason(ReasonCode.SKIP_MARKER, f"its message says {marker[0]}")
    if project.watch_paths and paths is not None and not any_fits(project.watch_paths, paths):
        count = f"{len(paths)} path{'' if len(paths) == 1 else 's'}"
        text = f"{count} differ{'s' if len(paths) == 1 else ''} from {base.short}, none is watched"
        return Reason(ReasonCode.PATH_UNTOUCHED, text)
    return None
