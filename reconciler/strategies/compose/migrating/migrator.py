"""``Migrator`` for projects that run containers: a one-off container of one of their services.

It is named after the deployment, so that the engine itself refuses a second one, and whoever comes
later finds it. It is no child of ours: it ends in its own time, and keeps its exit status until
that is on record.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from reconciler.domain.deployment import DeploymentId, PlannedService, PreparedTarget
from reconciler.domain.errors import (
    Interrupted,
    MigrationUnfinished,
    ReconcilerError,
    RevisionNotFound,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.references import CommitSha, ServiceName
from reconciler.domain.verification import RunState
from reconciler.ports import MigrationEnd, MigrationRun, Work
from reconciler.strategies.compose.assessment import commit_of
from reconciler.strategies.compose.building.keeping import restore_names
from reconciler.strategies.compose.cli import ComposeCall
from reconciler.strategies.compose.deploy_folder import COMMIT_FILE
from reconciler.strategies.compose.migrating.dependencies import dependencies_of
from reconciler.strategies.compose.migrating.file import MigrationFile, service_of
from reconciler.strategies.compose.migrating.one_off import ENDED, OneOff
from reconciler.strategies.compose.place import Place
from reconciler.strategies.compose.private import Private, write_text
from reconciler.strategies.compose.strategy import ComposeStrategy

#: How the command learns that what is pending was approved, and by whom.
APPROVED_BY = "RECONCILER_MIGRATION_APPROVED_BY"
#: What the engine says of a command that is not in an image, or can't be executed there.
_NOT_THERE = ("executable file not found", "no such file or directory", "permission denied")
#: Exit statuses of a shell for the same. Source: POSIX, XCU 2.8.2, "Exit Status for Commands".
_CANT_BE_RUN = {126: "a command can't be executed", 127: "a command was not found"}
_LONGEST_DEPENDENCIES = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ComposeMigrator:
    """Runs migrations where ``ComposeStrategy`` deploys. Safe to use from any thread."""

    strategy: ComposeStrategy
    dependencies_timeout: timedelta = _LONGEST_DEPENDENCIES

    def migrate(self, work: Work, prepared: PreparedTarget, run: MigrationRun) -> MigrationEnd:
        """Run it, or take it up; see ``Migrator``."""
        place = self.strategy.place(work.target)
        container = _container(work, place, work.deployment)
        if run.begun and not self._never_began(work, place, container):
            work.log(f"the migration began earlier; {container.name} tells how it ends")
        elif problem := self._begin(work, prepared, run, container):
            return MigrationEnd(None, problem=problem)
        return _end_of(work, prepared, run, container)

    def forget(self, work: Work) -> None:
        """Remove its container, and the files that it had; see ``Migrator``."""
        place = self.strategy.place(work.target)
        _container(work, place, work.deployment).remove()
        place.drop(_name_of(work.deployment))

    def _never_began(self, work: Work, place: Place, container: OneOff) -> bool:
        """Tell whether it was created and never started; it is gone then, and may begin."""
        found = container.find()
        if found is None or found.state is not RunState.CREATED:
            return False
        # Once whoever created it is at its end; what runs by then is not removed.
        return replace(container, cli=place.changing_cli(work)).remove()

    def _begin(
        self, work: Work, prepared: PreparedTarget, run: MigrationRun, container: OneOff
    ) -> str:
        """Start it; return why it could not be started, if that is known for certain."""
        place = self.strategy.place(work.target)
        _require_over(work, place, run.earlier)
        if not container.remove():
            text = f"container {container.name} is in the way, and runs"
            raise MigrationUnfinished(text, work.project.name)
        # A name that means something else by now would have that run on the app's data.
        restore_names(place.engine, prepared.services, work.log)
        with self._ready(work, prepared, run) as call:
            run.on_begin()
            work.log(f"running {_shown(run)} in {container.name}")
            approved = {APPROVED_BY: run.approved_by} if run.approved_by else {}
            service = service_of(work.project, run.migration)
            command = (service, *run.migration.command)
            try:
                place.changing_cli(work).run_once(call, container.name, command, approved)
            except (TargetUnreachable, Interrupted):
                raise
            except ReconcilerError as error:
                found = container.find()
                if found is None or found.state is RunState.CREATED:
                    return _explained(error, run, prepared, service)
        return ""

    @contextmanager
    def _ready(
        self, work: Work, prepared: PreparedTarget, run: MigrationRun
    ) -> Iterator[ComposeCall]:
        """Start what it depends on, and give what compose starts it by."""
        place, service = self.strategy.place(work.target), service_of(work.project, run.migration)
        with self.strategy.exported(work, prepared) as (root, rendering), place.private() as own:
            if commit := commit_of(work.project, prepared.revision):
                _settle(work, commit, place)
            setting = _Setting(work, prepared, place, own, MigrationFile(rendering, service, root))
            setting.start_dependencies(self.dependencies_timeout)
            yield setting.call_for_it()


@dataclass(frozen=True, slots=True)
class _Setting:
    """What there is to start containers with, before anything is switched."""

    work: Work
    prepared: PreparedTarget
    place: Place
    private: Private
    file: MigrationFile

    def start_dependencies(self, timeout: timedelta) -> None:
        """Start what has no container yet, and wait for all that is needed."""
        work, place = self.work, self.place
        needed = dependencies_of(self.file.rendering.document, self.file.name, place.engine)
        if missing := needed.missing(work):
            work.log(f"the migration needs {', '.join(missing)}: starting what is not there yet")
            call = self._call("dependencies.json", self.file.text(self._pinned, place.root))
            place.changing_cli(work).start_missing(call, missing, work.log, work.cancel)
        needed.wait(work, timeout)

    def call_for_it(self) -> ComposeCall:
        """Return what compose starts the migration by."""
        files, commit = self.place.root, self._commit
        if commit and self.file.needs_files:
            files = self.place.lay_out(commit, _name_of(self.work.deployment))
        text = self.file.text(self._pinned, self.place.root, files)
        return self._call("migration.json", text)

    @property
    def _pinned(self) -> tuple[PlannedService, ...]:
        return self.prepared.services

    @property
    def _commit(self) -> CommitSha | None:
        return commit_of(self.work.project, self.prepared.revision)

    def _call(self, name: str, text: str) -> ComposeCall:
        has_tree = self._commit is not None
        return ComposeCall(
            project=self.work.project.name,
            folder=self.place.root if has_tree else self.private.folder,
            files=(write_text(self.private, name, text),),
            environment_file=Path(os.devnull),
            docker_config=self.private.folder,
        )


def _name_of(deployment: DeploymentId) -> str:
    return f"migration-{deployment}"


def _container(work: Work, place: Place, deployment: DeploymentId) -> OneOff:
    project = work.project.name
    # No service's container is called so: compose has a number at the end of those.
    name = f"{project}-{deployment}-migration"
    return OneOff(project, name, place.engine, place.cli(work))


def _settle(work: Work, commit: CommitSha, place: Place) -> None:
    """Refuse a work tree that was changed by hand: to find it later would be too late.

    Where nothing runs, nobody notices that it is switched to what the dependencies need.
    """
    if not place.engine.containers(work.project.name):
        place.switch(commit, work)
    elif current := place.deploy.facts().get(COMMIT_FILE):
        try:
            place.switch(CommitSha.parse(current), work)
        except RevisionNotFound as error:
            raise WorkTreeDirty(
                f"the work tree {place.root} holds {current[:12]}, which the repository of "
                f"{work.project.name} does not have: it is of an earlier project of this name; "
                "move it away, with what it keeps",
                **error.evidence,
            ) from error


def _require_over(work: Work, place: Place, earlier: DeploymentId | None) -> None:
    """Refuse to begin beside an earlier one that is still at it."""
    if earlier is None:
        return
    container = _container(work, place, earlier)
    found = container.find()
    if found is not None and found.state not in ENDED:
        text = f"the migration of deployment {earlier} is still at it, in {container.name}"
        raise MigrationUnfinished(text, work.project.name)


def _end_of(work: Work, prepared: PreparedTarget, run: MigrationRun, one: OneOff) -> MigrationEnd:
    allowed = run.migration.timeout
    ended = one.wait(work, allowed)
    if ended is None:
        work.log(f"it takes longer than {allowed.total_seconds():g} s: it is stopped")
        one.stop()
        problem = f"it took longer than {allowed.total_seconds():g} s, and was stopped"
        return MigrationEnd(None, one.last_lines(), problem)
    status = ended.exit_status
    said = _CANT_BE_RUN.get(status or 0)
    image = _image_of(prepared, service_of(work.project, run.migration))
    problem = f"{said} (exit status {status}): {_shown(run)} in {image}" if said else ""
    return MigrationEnd(status, one.last_lines(), problem)


def _explained(error: ReconcilerError, run: MigrationRun, prepared: PreparedTarget, of: str) -> str:
    """Return why it could not be started; command and image where it is their fault."""
    if any(text in f"{error.message} {error.evidence}" for text in _NOT_THERE):
        program, image = run.migration.command[0], _image_of(prepared, of)
        return f"{program!r} is no program of {image} ({_shown(run)})"
    return error.message


def _image_of(prepared: PreparedTarget, service: str) -> str:
    pins = {one.name: one.pin for one in prepared.services}
    return str(pins.get(ServiceName(service)) or f"the image of {service}")


def _shown(run: MigrationRun) -> str:
    return shlex.join(run.migration.command)
