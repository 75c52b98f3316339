"""Fleet files, planned and applied: a file's difference from what is declared, made to vanish.

Everything is checked before the first write, and each entry is written whole, in one transaction.
So a kill leaves some entries as they were, never half of one; applying again goes on from there.
"""

import logging
import threading
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.domain.document import DocumentForm
from reconciler.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from reconciler.domain.host import HostName
from reconciler.domain.problems import Problems
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.log import fields
from reconciler.pipeline.declaring.fleet.difference import (
    Action,
    Difference,
    difference,
)
from reconciler.pipeline.declaring.fleet.document import parse_fleet, raise_all
from reconciler.pipeline.declaring.fleet.present import Present, document_of
from reconciler.pipeline.declaring.fleet.writing import write
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.hosts import Hosts
from reconciler.pipeline.declaring.projects import keep_change, notes_on, remove_project
from reconciler.pipeline.declaring.repositories import make_repository
from reconciler.pipeline.declaring.settings import change_settings
from reconciler.pipeline.declaring.targets import refuse_to_migrate
from reconciler.ports import (
    Checkouts,
    Clock,
    DocumentReader,
    Repositories,
    Store,
    acting_for,
    who_acts,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FleetParts:
    """What fleet files are applied to."""

    store: Store
    repositories: Repositories
    checkouts: Checkouts
    hosts: Hosts
    reader: DocumentReader
    clock: Clock


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and what an operator should know of it."""

    difference: Difference
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  #: what could not be taken away now, and why


@dataclass(frozen=True, slots=True)
class Fleets:
    """Plans, applies and exports. Threads may share it; one applies at a time."""

    parts: FleetParts
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def plan(self, content: bytes, form: DocumentForm, *, prune: bool = False) -> Difference:
        """Return what applying would change. Nothing is written.

        Raises:
            InvalidInput: something is wrong with the file, or the result could not be.
            SeveralInvalid: more is; every one is named.
        """
        fleet = parse_fleet(self.parts.reader.read(content, form), self.parts.clock.now())
        wanted = difference(fleet, self._present(), prune=prune)
        self._refuse_to_migrate(wanted)
        return wanted

    def apply(
        self, content: bytes, form: DocumentForm, *, actor: str, prune: bool = False
    ) -> Applied:
        """Make it so. Safe to repeat; applied twice, the second time changes nothing.

        Raises:
            InvalidInput: as ``plan``, and nothing was changed. ``SeveralInvalid``: likewise.
            Conflict: somebody changed an entry meanwhile; applying again goes on from there.
        """
        with self._turn:
            wanted = self.plan(content, form, prune=prune)
            applying = _Applying(self.parts, wanted, actor)
            try:
                with acting_for(replace(who_acts(), actor=actor)):
                    applying.run()
            except (AlreadyExists, NotFound) as meanwhile:
                raise Conflict(f"{meanwhile.message}; apply the file again") from None
        return Applied(wanted, tuple(applying.notes), tuple(applying.left))

    def export(self, form: DocumentForm) -> str:
        """Return a file that declares what is declared now. Secrets are not in it."""
        return write(document_of(self._present()), form)

    def _present(self) -> Present:
        store = self.parts.store
        return Present(
            {key: record.value for key, record in store.get_settings().items()},
            {host.name: host for host in store.list_hosts()},
            {project.name: project for project in store.list_projects()},
            frozenset(self.parts.repositories.names()),
            frozenset(one.name for one in store.list_clusters()),
        )

    def _refuse_to_migrate(self, wanted: Difference) -> None:
        problems = Problems()
        for step in wanted.projects:
            if step.before is not None and step.after is not None:
                problems.collect(partial(self._check_migration, step.before, step.after))
        raise_all(problems.found)

    def _check_migration(self, before: Project, after: Project) -> None:
        try:
            refuse_to_migrate(self.parts.store, before, after)
        except Conflict as refused:
            problem = f"{refused.message}; {refused.remedy}"
            raise InvalidInput(f"projects.{before.name}.targets", None, problem) from None


class _Applying:
    """One file being applied: what others need first, and what is taken away last."""

    def __init__(self, parts: FleetParts, wanted: Difference, actor: str) -> None:
        self.notes: list[str] = []
        self.left: list[str] = []
        self._parts = parts
        self._wanted = wanted
        self._actor = actor
        self._told = {(entry.kind, entry.name): entry for entry in wanted.entries()}

    def run(self) -> None:
        if self._wanted.settings:
            self._change_settings()
            self._log("settings", "")
        for repository in self._wanted.repositories:
            make_repository(self._parts.store, self._parts.repositories, repository)
            self._log("repository", repository)
        for host in self._wanted.hosts:
            if host.after is not None:
                self._keep_host(host.before, host.after)
        for project in self._wanted.projects:
            if project.after is not None:
                self._keep_project(project.before, project.after)
        self._take_away()

    def _change_settings(self) -> None:
        values = {key: after for key, (_, after) in self._wanted.settings.items()}
        change_settings(
            self._parts.store,
            values,
            reason="fleet file",
            actor=self._actor,
            now=self._parts.clock.now(),
        )

    def _keep_host(self, before: HostDraft | None, after: HostDraft) -> None:
        hosts = self._parts.hosts
        if before is None:
            host = hosts.declare(after)
        elif after.alias:
            host = hosts.change(HostName(after.name), {"alias": after.alias})
        else:
            place = {"address": after.address, "user": after.user, "port": after.port}
            host = hosts.change(HostName(after.name), place)
        if not host.confirmed:
            remedy = f"`reconciler host trust {host.name}`"
            self.notes.append(f"{host.name}: nobody confirmed its key yet; {remedy}")
        self._log("host", host.name)

    def _keep_project(self, before: Project | None, after: Project) -> None:
        store = self._parts.store
        if before is None:
            store.create_project(after)
            notes = notes_on(after)
        elif store.get_project(after.name) != before:
            raise Conflict(f"somebody changed {after.name} meanwhile; apply the file again")
        else:
            notes = keep_change(store, before, after).notes
        self.notes.extend(f"{after.name}: {note}" for note in notes)
        self._log("project", after.name)

    def _take_away(self) -> None:
        """Remove what has to go, projects before the hosts that they are on."""
        for project in self._wanted.projects:
            if project.after is None:
                self._remove("project", project.name)
        for host in self._wanted.hosts:
            if host.after is None:
                self._remove("host", host.name)

    def _remove(self, kind: str, name: str) -> None:
        """Remove one; what is in use is left as it is."""
        parts = self._parts
        try:
            if kind == "host":
                parts.hosts.remove(HostName(name))
            else:
                remove_project(parts.store, parts.checkouts, ProjectName(name))
        except NotFound:
            return
        except Conflict as in_use:
            self.left.append(in_use.message)
            return
        self._log(kind, name)

    def _log(self, kind: str, name: str) -> None:
        told = self._told[kind, name]
        which = ", ".join(one.field for one in told.fields)
        _log.info(
            "fleet file: %s %s%s",
            _DONE[told.action],
            f"{kind} {name}".rstrip(),
            f" ({which})" if which and told.action is Action.CHANGE else "",
            extra=fields(by=self._actor),
        )


_DONE = {Action.ADD: "added", Action.CHANGE: "changed", Action.REMOVE: "removed"}
