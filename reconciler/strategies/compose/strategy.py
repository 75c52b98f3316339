"""``Strategy`` for compose projects, and for ``image`` projects, which become one.

``prepare`` works on an export of exactly the commit, in a folder of the deployment's own: it
follows all that the files reach, has compose render them in a bare environment, judges the result,
resolves each digest once, and has the commit and the images brought to where they are to run.
``apply`` repeats the judgement where compose will run, writes the override and brings the project
up. Nothing of a deployment outlives it but ``.deploy/``, and the commit in the host's repository.
"""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.deployment import PlannedService, PreparedTarget
from reconciler.domain.errors import InvalidComposeFile, NameTaken
from reconciler.domain.host import LOCAL
from reconciler.domain.project import ProjectKind
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample
from reconciler.ports import (
    Checkouts,
    ComposeReader,
    Engine,
    ImageRegistry,
    LineSink,
    Machines,
    TargetReport,
    Work,
)
from reconciler.strategies.compose.assessment import Assessment, Site, assess, variables_of
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER, Checkout
from reconciler.strategies.compose.cli import ComposeCall, ComposeOptions
from reconciler.strategies.compose.deploy_folder import (
    DeployFolderHere,
    generated_path,
    generated_text,
    override_path,
)
from reconciler.strategies.compose.on_host.place import PlaceOnHost
from reconciler.strategies.compose.pinning import Pinning, missing_images, pull_text
from reconciler.strategies.compose.place import Place, PlaceHere
from reconciler.strategies.compose.policy import Policy, RealPaths
from reconciler.strategies.compose.private import (
    CredentialsFor,
    Private,
    write_docker_config,
    write_text,
)
from reconciler.strategies.compose.rendering import Rendering
from reconciler.strategies.compose.reporting import log_trouble, report_of


@dataclass(frozen=True, slots=True)
class ComposeStrategy:
    """``Strategy`` on the Docker engine of any machine. Safe to use from any thread."""

    machines: Machines
    checkouts: Checkouts
    registry: ImageRegistry
    reader: ComposeReader
    options: ComposeOptions
    credentials_for: CredentialsFor

    # ── Prepare ───────────────────────────────────────────────────────────────────────────────

    def prepare(self, work: Work) -> PreparedTarget:
        """Render, judge, pin and pull one revision; see ``Strategy``."""
        place = self._place(work.target)
        place.require_ready(work)
        _require_free_name(work, place.engine)
        with self._own_folder(work.target) as own:
            checkout = self._export(work, place, own, *_compose_paths(work))
            assessed = self._assess_here(work, place, checkout)
            for grant in assessed.grants:
                work.log(f"note: {grant}" if place.is_here else f"note: on {place.name}: {grant}")
            _require_exposed(work, assessed.rendering)
            prepared = self._plan(work, checkout, assessed)
            if prepared.revision.commit:
                place.receive(prepared.revision.commit)
            self._pull(work, place, assessed.rendering, prepared.services)
        return prepared

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
        """Write the files of exactly the commit into ``own``, and what an operator added to them.

        The folder's name is the host's: hosts are prepared side by side.
        """
        project, commit, into = work.project, work.revision.commit, own / work.target.host
        into.mkdir()
        checkout = Checkout(into, path, self.reader, extra)
        if project.kind is ProjectKind.IMAGE:
            kept = place.read((path,)).get(path)
            text = kept.decode() if kept else _generated(work)
            DeployFolderHere(into).write(Path(path).name, text)
            return checkout
        if project.source is None or commit is None:
            raise InvalidComposeFile(f"project {project.name} has no commit to deploy")
        self.checkouts.fetch(project.name, project.source, commit, work.credentials)
        self.checkouts.export(project.name, commit, into)
        deploy = into / DEPLOY_FOLDER
        if deploy.is_symlink() or deploy.exists():
            raise InvalidComposeFile(
                f"the repository has a {DEPLOY_FOLDER} of its own; that name is ours: rename it"
            )
        checkout.borrow(place.read(checkout.missing_environment(variables_of(work))))
        return checkout

    def _assess_here(self, work: Work, place: Place, checkout: Checkout) -> Assessment:
        """Render and judge an export on this machine; what it mounts is looked up at ``place``."""
        here = self._here(work.target, checkout.root)
        real_paths = _on_both(checkout.root, here, place)
        with here.private() as private:
            policy = self._policy(place, checkout.root, real_paths)
            cli = here.cli(work)
            return assess(work, checkout, Site(checkout.root, private, cli, policy))

    def _plan(self, work: Work, checkout: Checkout, assessed: Assessment) -> PreparedTarget:
        pinning = Pinning(work, self.registry)
        services = tuple(map(pinning.plan, assessed.rendering.services))
        return PreparedTarget(
            revision=replace(work.revision, images=pinning.followed),
            services=services,
            compose_file=checkout.compose_path,
            override_file=override_path(work.deployment),
            rendered_sha256=assessed.sha256,
            host=work.target.host,
            extra_files=checkout.extra_paths,
        )

    def _pull(
        self, work: Work, place: Place, rendering: Rendering, services: Collection[PlannedService]
    ) -> None:
        """Pull what is not there yet, so that applying needs no network."""
        missing = missing_images(place.engine, rendering, services)
        if not missing:
            work.log("every image is there already")
            return
        with place.private() as private:
            call = ComposeCall(
                project=work.project.name,
                folder=private.folder,
                files=(write_text(private, "pull.yaml", pull_text(rendering, missing)),),
                environment_file=Path(os.devnull),
                docker_config=self._docker_config(work, private, rendering),
            )
            place.cli(work).pull(call, missing, work.log, work.cancel)

    # ── Apply ─────────────────────────────────────────────────────────────────────────────────

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Make the engine run ``prepared``; see ``Strategy``."""
        place, work = self._place(work.target), replace(work, revision=prepared.revision)
        with self._switched(work, place, prepared) as checkout, place.private() as private:
            policy = self._policy(place, place.root, place.real_paths)
            cli = place.cli(work)
            assessed = assess(work, checkout, Site(place.root, private, cli, policy))
            if assessed.sha256 != prepared.rendered_sha256:
                work.log(
                    "note: compose makes something else of the files than when it was prepared"
                )
            override = place.deploy.record(prepared)
            call = replace(
                assessed.call,
                files=(*assessed.call.files, override),
                docker_config=self._docker_config(work, private, assessed.rendering),
            )
            place.changing_cli(work).up(call, work.log, work.cancel)

    @contextmanager
    def _switched(self, work: Work, place: Place, prepared: PreparedTarget) -> Iterator[Checkout]:
        """Make the work tree hold what was prepared, and give its files where one can read them."""
        if commit := prepared.revision.commit:
            place.switch(commit, work)
        elif not place.deploy.has(Path(prepared.compose_file).name):
            # Kept per deployment, so that going back brings its ports and volumes back too.
            place.deploy.write(Path(prepared.compose_file).name, _generated(work))
        if place.is_here:
            path, extra = prepared.compose_file, prepared.extra_files
            yield Checkout(place.root, path, self.reader, extra)
            return
        with self._own_folder(work.target) as own:
            yield self._export(work, place, own, prepared.compose_file, *prepared.extra_files)

    # ── The other steps ───────────────────────────────────────────────────────────────────────

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Leave it as it is: no compose project goes back by itself; see ``Strategy``."""

    def set_up(self, work: Work) -> None:
        """Make what is missing on the machine; see ``Strategy``."""
        self._place(work.target).set_up(work.log)

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what runs there now; see ``Strategy``."""
        return self.machines.get(target.host).engine().containers(target.project)

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Write the last lines of containers in trouble into ``log``; see ``Strategy``."""
        log_trouble(self.machines, target, log)

    def forget(self, target: Target, prepared: PreparedTarget) -> None:
        """Drop what is kept for a deployment; see ``Strategy``."""
        self._place(target).deploy.forget(prepared)

    def report(self, target: Target) -> TargetReport:
        """Return what runs there now; see ``Strategy``."""
        place = self._place(target)
        return report_of(place.engine.containers(target.project), place.deploy.facts())

    def forget_secrets(self) -> None:
        """Delete what a killed daemon left for compose to read; nothing may be under way.

        What it left on a host goes when that host is used next.
        """
        shutil.rmtree(self.options.secrets_folder, ignore_errors=True)

    # ── Shared ────────────────────────────────────────────────────────────────────────────────

    def _place(self, target: Target) -> Place:
        if target.host == LOCAL:
            return self._here(target, self.checkouts.tree(target.project).resolve())
        machine = self.machines.get(target.host)
        return PlaceOnHost(target, machine, self.options, self.checkouts)

    def _here(self, target: Target, root: Path) -> PlaceHere:
        secrets = self.options.secrets_folder.resolve() / target.project / target.host
        machine = self.machines.get(LOCAL)
        return PlaceHere(root, secrets, machine, self.options, self.checkouts)

    def _policy(self, place: Place, root: Path, real_paths: RealPaths) -> Policy:
        own_paths = (*self.options.own_paths, *place.own_paths)
        return Policy(root, self.options.data_folder, own_paths, real_paths)

    def _docker_config(self, work: Work, private: Private, rendering: Rendering) -> Path:
        hosts = dict.fromkeys(service.image.registry for service in rendering.services)
        known = [self.credentials_for(host, work.project.name) for host in hosts]
        shown = [one for one in known if one]
        return write_docker_config(private, shown) if shown else private.folder


def _require_free_name(work: Work, engine: Engine) -> None:
    """Refuse to touch containers that somebody else brought up under the project's name."""
    if work.may_take_over:
        return
    if found := engine.containers(work.project.name):
        raise NameTaken(
            f"a compose project {work.project.name} is there already, with {len(found)} "
            f"container{'' if len(found) == 1 else 's'}, and no deployment of ours started it",
            containers=", ".join(sorted(sample.id[:12] for sample in found)[:20]),
        )


def _require_exposed(work: Work, rendering: Rendering) -> None:
    exposed = work.project.expose_service
    names = [service.name for service in rendering.services if service.replicas > 0]
    if exposed is not None and work.project.kind is ProjectKind.COMPOSE and exposed not in names:
        raise InvalidComposeFile(
            f"expose_service: {exposed!r} is not one of the services that would be started: "
            f"{', '.join(names)}"
        )


def _compose_paths(work: Work) -> tuple[str, ...]:
    """Return the compose files, the last of which wins."""
    if work.project.kind is ProjectKind.IMAGE:
        return (generated_path(work.deployment),)
    return (work.project.compose_path, *work.target.compose_files)


def _generated(work: Work) -> str:
    return generated_text(work.project, variables_of(work))


def _on_both(root: Path, here: Place, place: Place) -> RealPaths:
    """Return what follows paths below ``root`` here, and all others at ``place``."""

    def real_paths(paths: Collection[str]) -> Mapping[str, str]:
        inside = [path for path in paths if Path(path).is_relative_to(root)]
        outside = [path for path in paths if path not in inside]
        return {**here.real_paths(inside), **place.real_paths(outside)}

    return here.real_paths if place.is_here else real_paths
