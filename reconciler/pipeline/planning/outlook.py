"""What the files of a commit amount to, looked at in a folder of their own."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidManifest, ManifestRefused, ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL
from reconciler.domain.manifest import decode_manifest, overlaid, parse_manifest
from reconciler.domain.plan import ChangedFiles
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.planning.standing import Standing
from reconciler.pipeline.rollout.manifest import read_manifest
from reconciler.ports import Foreseen, OpenScratch, Planner, Scratch, Store, Work


@dataclass(frozen=True, slots=True)
class Outlook:
    """What deploying a commit would go by."""

    project: Project  #: as its manifest completes it
    manifest_ignored: bool = False
    files: ChangedFiles | None = None  #: None: there is no other commit, or it is not to be had
    foreseen: Foreseen = field(default_factory=Foreseen)


@dataclass(frozen=True, slots=True)
class Outlooks:
    """Looks at commits, and leaves nothing behind."""

    store: Store
    open_scratch: OpenScratch
    planners: Mapping[TargetStrategy, Planner]

    def look(
        self, standing: Standing, commit: CommitSha | None, cancel: threading.Event
    ) -> Outlook:
        """Return what deploying ``commit`` would go by.

        Raises:
            SourceError: the commit can't be had.
        """
        with self.open_scratch() as scratch:
            self._fetch(scratch, standing.project, commit)
            outlook = self._by_manifest(scratch, standing.project, commit)
            outlook = replace(outlook, files=self._changed(scratch, standing, commit))
            if outlook.foreseen.refusal is not None:
                return outlook
            target = _shown(outlook.project)
            planner = self.planners.get(target.strategy) if target else None
            if target is None or planner is None:
                return outlook
            work = self._work(standing, outlook.project, target, commit, cancel)
            return replace(outlook, foreseen=planner.foresee(work, scratch))

    def _fetch(self, scratch: Scratch, project: Project, commit: CommitSha | None) -> None:
        if project.source is not None and commit is not None:
            credentials = self.store.git_credentials(project.name, project.source)
            scratch.fetch(project.name, project.source, commit, credentials)

    def _by_manifest(self, scratch: Scratch, project: Project, commit: CommitSha | None) -> Outlook:
        """Return the project as the manifest at ``commit`` completes it, or why it can't."""
        if project.source is None or commit is None:
            return Outlook(project)
        try:
            content = read_manifest(scratch, project, commit)
            if content is None:
                return Outlook(project)
            if not project.allow_manifest:
                return Outlook(project, manifest_ignored=True)
            manifest = parse_manifest(decode_manifest(content), project.kind)
            return Outlook(overlaid(project, manifest).project)
        except (InvalidManifest, ManifestRefused) as error:
            return Outlook(project, foreseen=Foreseen(refusal=Failure.of(error)))

    def _changed(
        self, scratch: Scratch, standing: Standing, commit: CommitSha | None
    ) -> ChangedFiles | None:
        before = standing.live_commit
        if before is None or commit is None:
            return None
        if before == commit:
            return ChangedFiles()
        try:
            self._fetch(scratch, standing.project, before)
            return scratch.changed_files(standing.project.name, before, commit)
        except ReconcilerError:  # the commit is gone: the difference says so
            return None

    def _work(
        self,
        standing: Standing,
        project: Project,
        target: Target,
        commit: CommitSha | None,
        cancel: threading.Event,
    ) -> Work:
        """Return what a strategy would be given for the first deployment after this moment."""
        promotion = standing.promotion
        chosen = promotion.chosen if promotion else None
        promoted = promotion.revision(project) if promotion else None
        return Work(
            deployment=DeploymentId(0),
            project=project,
            target=target,
            revision=promoted or Revision(commit, generation=project.generation),
            variables=self.store.variables(project.name),
            credentials=self.store.git_credentials(project.name, project.source),
            log=lambda _: None,
            cancel=cancel,
            may_take_over=target.host in self.store.list_touched_hosts(project.name),
            earlier=standing.by_host.get(target.host),
            handed_on=chosen.prepared if chosen else None,
        )


def _shown(project: Project) -> Target | None:
    """Return the target whose files are rendered: on this machine if there is one."""
    return next(
        (one for one in project.where if one.host == LOCAL), next(iter(project.where), None)
    )
