"""``Strategy`` for compose projects, and for ``image`` projects, which become one.

``prepare`` works on an export of exactly the commit, in a folder of the deployment's own: it
follows all that the files reach, has compose render them in a bare environment, judges the result,
resolves each digest once, has the commit and the images brought to where they are to run, and
builds what no registry has.
``apply`` repeats the judgement where compose will run, writes the override and brings the project
up. Nothing of a deployment outlives it but ``.deploy/``, and the commit in the host's repository.
"""

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import TargetUnreachable
from reconciler.domain.host import LOCAL
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample
from reconciler.ports import (
    Checkouts,
    ComposeReader,
    ImageRegistry,
    LineSink,
    Machines,
    TargetReport,
    Work,
)
from reconciler.strategies.compose.as_it_runs import pins_as_it_runs, with_pins
from reconciler.strategies.compose.assessment import (
    Assessment,
    Site,
    assess,
    commit_of,
    compose_paths_of,
    generated_of,
    in_base,
)
from reconciler.strategies.compose.building.builder import Builder
from reconciler.strategies.compose.building.keeping import drop_built, restore_names
from reconciler.strategies.compose.building.moving import ImageMover
from reconciler.strategies.compose.checkout import Checkout
from reconciler.strategies.compose.cli import ComposeCall, ComposeOptions
from reconciler.strategies.compose.deploy_folder import (
    override_path,
)
from reconciler.strategies.compose.exporting import export
from reconciler.strategies.compose.obtaining import Obtaining
from reconciler.strategies.compose.on_host.place import PlaceOnHost
from reconciler.strategies.compose.place import Place, PlaceHere, follow_on_both, own_container
from reconciler.strategies.compose.policy import Policy, RealPaths
from reconciler.strategies.compose.preconditions import require_free_name, require_possible
from reconciler.strategies.compose.private import (
    CredentialsFor,
    Private,
    docker_config,
)
from reconciler.strategies.compose.rendering import Rendering
from reconciler.strategies.compose.reporting import log_trouble, report_of
from reconciler.strategies.compose.self_update import SelfUpdates


@dataclass(frozen=True, slots=True)
class ComposeStrategy:
    """``Strategy`` on the Docker engine of any machine. Safe to use from any thread."""

    machines: Machines
    checkouts: Checkouts
    registry: ImageRegistry
    reader: ComposeReader
    options: ComposeOptions
    credentials_for: CredentialsFor
    self_updates: SelfUpdates

    # ── Prepare ───────────────────────────────────────────────────────────────────────────────

    def prepare(self, work: Work) -> PreparedTarget:
        """Render, judge, pin and pull one revision; see ``Strategy``."""
        place = self.place(work.target)
        place.require_ready(work)
        require_free_name(work, place.engine)
        with self._own_folder(work.target) as own:
            checkout = self._export(work, place, own, *compose_paths_of(work))
            assessed = self._assess_here(work, place, checkout)
            for grant in assessed.grants:
                work.log(f"note: {grant}" if place.is_here else f"note: on {place.name}: {grant}")
            require_possible(work, place.engine, checkout, assessed.rendering)
            work = with_pins(work, pins_as_it_runs(work, place.engine, assessed.rendering))
            return self._get_images(work, place, checkout, assessed)

    def _get_images(
        self, work: Work, place: Place, checkout: Checkout, assessed: Assessment
    ) -> PreparedTarget:
        """Pin, pull and build, or take what is handed on, so that applying needs none of it."""
        checkout.give_back()
        if commit := commit_of(work.project, work.revision):
            place.receive(commit)
        builder = self._builder(work, place, checkout.root)
        obtaining = Obtaining(work, place, builder, self.registry)
        services, images = obtaining.obtain(assessed, checkout.root)
        return PreparedTarget(
            revision=replace(work.revision, images=images),
            services=services,
            compose_file=checkout.compose_path,
            override_file=override_path(work.deployment),
            rendered_sha256=assessed.sha256,
            host=work.target.host,
            extra_files=checkout.extra_paths,
        )

    def _builder(self, work: Work, place: Place, root: Path) -> Builder:
        here = self.here(work.target, root)
        mover = ImageMover(self.machines, self.options, root.parent, work.cancel)
        known = self.credentials_for
        return Builder(work, place, here, self.machines, self.options, known, mover)

    @contextmanager
    def _own_folder(self, target: Target) -> Iterator[Path]:
        """Give a folder of the deployment's own until the block ends.

        A target has one deployment at work: what else is there was left by a killed one.
        """
        own = self.options.own_folder(target.project, target.host)
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True, mode=0o700)
        try:
            yield own.resolve()
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def _export(self, work: Work, place: Place, own: Path, path: str, *extra: str) -> Checkout:
        """Write the files of exactly the commit into ``own``; see ``export``."""
        return export(work, place, self.checkouts, self.reader, own, (path, *extra))

    def _assess_here(self, work: Work, place: Place, checkout: Checkout) -> Assessment:
        """Render and judge an export on this machine; what it mounts is looked up at ``place``."""
        with self.here(work.target, checkout.root).private() as private:
            return self.assess_here(work, place, checkout, private)

    def assess_here(
        self, work: Work, place: Place, checkout: Checkout, private: Private
    ) -> Assessment:
        """Do so with a private folder of this machine; where there is a base, as if in that."""
        root, base = checkout.root, place.base
        here = self.here(work.target, root)
        policy = self.policy(place, work.target, root, follow_on_both(root, here, place))
        assessed = assess(work, checkout, Site(root, private, here.cli(work), policy))
        if base == place.root:
            return assessed
        rendering = assessed.rendering.moved(root, base)
        policy = self.policy(place, work.target, base, place.real_paths)
        grants = tuple(dict.fromkeys((*assessed.grants, *policy.grants(rendering))))
        return replace(assessed, rendering=rendering, grants=grants)

    # ── Apply ─────────────────────────────────────────────────────────────────────────────────

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Make the engine run ``prepared``; see ``Strategy``.

        Where the project is the daemon's own a container beside it does, and the daemon that it
        brings up takes the deployment up.
        """
        place = self.place(work.target)
        restore_names(place.engine, prepared.services, work.log)
        if own := own_container(place, work.target):

            def render(prepared: PreparedTarget) -> str:
                with self._called(work, place, prepared) as call:
                    return place.cli(work).render(call, work.cancel)

            self.self_updates.apply(work, prepared, own, render)
            return
        with self._called(work, place, prepared) as call:
            place.changing_cli(work).up(call, work.log, work.cancel)

    @contextmanager
    def _called(self, work: Work, place: Place, prepared: PreparedTarget) -> Iterator[ComposeCall]:
        """Give what calls compose on what was prepared, with all that it needs until the end."""
        work = replace(work, revision=prepared.revision)
        with self._assessed(work, place, prepared) as (assessed, private):
            if assessed.sha256 != prepared.rendered_sha256:
                work.log(
                    "note: compose makes something else of the files than when it was prepared"
                )
            override = place.deploy.record(prepared)
            yield replace(
                assessed.call,
                files=(*assessed.call.files, override),
                docker_config=docker_config(
                    private,
                    [service.image.registry for service in assessed.rendering.services],
                    work.project.name,
                    self.credentials_for,
                ),
            )

    @contextmanager
    def _assessed(
        self, work: Work, place: Place, prepared: PreparedTarget
    ) -> Iterator[tuple[Assessment, Private]]:
        """Judge what was prepared where compose will run, and give a private folder there."""
        with self._switched(work, place, prepared) as checkout:
            if place.base != place.root:
                assessed = self._assess_here(work, place, checkout)
                with place.private() as private:
                    yield in_base(assessed, place.base / checkout.compose_path, private), private
                return
            with place.private() as private:
                policy = self.policy(place, work.target, place.root, place.real_paths)
                site = Site(place.root, private, place.cli(work), policy)
                yield assess(work, checkout, site), private

    @contextmanager
    def _switched(self, work: Work, place: Place, prepared: PreparedTarget) -> Iterator[Checkout]:
        """Make the work tree hold what was prepared, and give its files where one can read them."""
        if commit := commit_of(work.project, prepared.revision):
            place.switch(commit, work)
        elif not place.deploy.has(Path(prepared.compose_file).name):
            # Kept per deployment, so that going back brings its ports and volumes back too.
            place.deploy.write(Path(prepared.compose_file).name, generated_of(work))
        if place.is_here and place.base == place.root:
            path, extra = prepared.compose_file, prepared.extra_files
            yield Checkout(place.root, path, self.reader, extra)
            return
        with self._own_folder(work.target) as own:
            yield self._export(work, place, own, prepared.compose_file, *prepared.extra_files)

    @contextmanager
    def exported(self, work: Work, prepared: PreparedTarget) -> Iterator[tuple[Path, Rendering]]:
        """Give the files of what was prepared, and what they amount to, with nothing switched."""
        place, work = self.place(work.target), replace(work, revision=prepared.revision)
        with self._own_folder(work.target) as own:
            checkout = self._export(work, place, own, prepared.compose_file, *prepared.extra_files)
            yield checkout.root, self._assess_here(work, place, checkout).rendering

    # ── The other steps ───────────────────────────────────────────────────────────────────────

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Say that the daemon's own new version stays; no other project goes back by itself."""
        self.self_updates.confirm(work, prepared)

    def set_up(self, work: Work) -> None:
        """Make what is missing on the machine; see ``Strategy``."""
        self.place(work.target).set_up(work.log)

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what runs there now; see ``Strategy``."""
        return self.machines.get(target.host).engine().containers(target.project)

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Write the last lines of containers in trouble into ``log``; see ``Strategy``."""
        log_trouble(self.machines, target, log)

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Drop what is kept for a deployment; see ``Strategy``."""
        place = self.place(target)
        place.deploy.forget(prepared)
        with suppress(TargetUnreachable):  # the next one takes along what stays
            drop_built(place.engine, target.project, kept)

    def report(self, target: Target) -> TargetReport:
        """Return what runs there now; see ``Strategy``."""
        place = self.place(target)
        return report_of(place.engine.containers(target.project), place.deploy.facts())

    def forget_secrets(self) -> None:
        """Delete what a killed daemon left for compose to read; nothing may be under way.

        What it left on a host goes when that host is used next.
        """
        shutil.rmtree(self.options.secrets_folder, ignore_errors=True)
        self.self_updates.drop_half_written()

    # ── Shared ────────────────────────────────────────────────────────────────────────────────

    def place(self, target: Target) -> Place:
        """Return where ``target`` is."""
        if target.host == LOCAL:
            here = self.here(target, self.checkouts.tree(target.project).resolve())
            return replace(here, base=Path(target.base)) if target.base else here
        machine = self.machines.get(target.host)
        return PlaceOnHost(target, machine, self.options, self.checkouts)

    def here(self, target: Target, root: Path) -> PlaceHere:
        """Return this machine as a place whose work tree is ``root``."""
        secrets = self.options.secrets_folder.resolve() / target.project / target.host
        machine, options = self.machines.get(LOCAL), self.options
        return PlaceHere(target.project, root, root, secrets, machine, options, self.checkouts)

    def policy(self, place: Place, target: Target, root: Path, real_paths: RealPaths) -> Policy:
        """Return the limits for files at ``root`` that are to run at ``place``."""
        own_paths = (*self.options.own_paths, *place.own_paths)
        own = own_container(place, target)
        has = own.mounts if own else frozenset()
        return Policy(root, self.options.data_folder, own_paths, real_paths, has)
