"""Whether the newest commit of a branch concerns a project: asked before it is deployed by itself.

It is decided by how that commit differs from what runs, whatever lies between the two and whatever
was announced. What a person asks for is not decided here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.selection import commits_to_compare, is_selective, reason_to_pass_over
from reconciler.domain.state import PassedOver
from reconciler.ports import Clock, Comparison, Store

#: Returns how the second commit differs from the first one, in a project's own repository.
Compare = Callable[[Project, CommitSha, CommitSha], Comparison]


@dataclass(frozen=True, slots=True)
class Concerned:
    """It concerns the project."""

    remark: str = ""  #: what made it so although it might not; goes on from a sentence


@dataclass(frozen=True, slots=True)
class Selection:
    """Decides which commits are passed over, and records those."""

    store: Store
    clock: Clock
    compare: Compare

    def judge(self, name: ProjectName, tip: CommitSha) -> Concerned | PassedOver:
        """Tell whether ``tip`` concerns the project. The first commit of all does.

        Raises:
            NotFound: there is no such project.
            SourceError: the commits can't be compared now; the next look tries again.
        """
        project, state = self.store.get_project(name), self.store.get_state(name)
        tracked, known = state.tracked_commit, state.passed_over_at(tip)
        bases = commits_to_compare(project, state)
        if not is_selective(project) or tracked is None or not bases or tip in bases:
            return Concerned()
        if known is not None and known.base in bases:
            return known
        verdict = self._compare_with(bases, project, tip)
        if isinstance(verdict, Concerned) or self.store.pass_over(project, tracked, verdict):
            return verdict
        return self.judge(name, tip)  # it was decided of what is there no more

    def _compare_with(
        self, bases: Sequence[CommitSha], project: Project, tip: CommitSha
    ) -> Concerned | PassedOver:
        remark = ""
        for base in bases:
            # Where no path counts, the message is all that is needed.
            found = self.compare(project, base if project.watch_paths else tip, tip)
            if reason := reason_to_pass_over(project, base, found.paths, found.message):
                return PassedOver(tip, reason.code, reason.text, self.clock.now(), base)
            remark = remark or _untold(found)
            if not project.watch_paths:
                break
        return Concerned(remark)


def _untold(found: Comparison) -> str:
    if found.paths is not None:
        return ""
    return f"; which paths changed can't be told: {found.untold_because}"
