"""``Strategy`` for compose projects, and for ``image`` projects, which become one.

``prepare`` works on an export of exactly the commit, in a folder of the deployment's own: it
follows all that the files reach, has compose render them in a bare environment, judges the result,
resolves each digest once and pulls. ``apply`` repeats the judgement where compose will run, writes
the override and brings the project up. Nothing of a deployment outlives it but ``.deploy/``.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.deployment import (
    DeploymentId,
    Failure,
    Pin,
    PlannedService,
    PreparedRevision,
)
from reconciler.domain.errors import InvalidComposeFile, NameTaken, ReconcilerError
from reconciler.domain.project import ProjectKind
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.verification import ContainerSample, ContainerState, Health
from reconciler.ports import (
    Checkouts,
    CommandRunner,
    ComposeReader,
    Engine,
    ImageRegistry,
    LineSink,
    RegistryCredentials,
    Work,
)
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER, Checkout, Examined
from reconciler.strategies.compose.cli import (
    ComposeCall,
    ComposeCli,
    ComposeOptions,
    private_folder,
    write_docker_config,
    write_variables,
)
from reconciler.strategies.compose.deploy_folder import (
    DeployFolder,
    generated_path,
    generated_text,
    override_path,
)
from reconciler.strategies.compose.policy import Policy
from reconciler.strategies.compose.rendering import RenderedService, Rendering, parse_rendering

_DIAGNOSED_LINES = 20


@dataclass(frozen=True, slots=True)
class _Look:
    """A checkout that was followed, rendered and judged, and how compose is called on it."""

    checkout: Checkout
    examined: Examined
    rendering: Rendering
    grants: tuple[str, ...]
    call: ComposeCall


@dataclass(frozen=True, slots=True)
class ComposeStrategy:
    """``Strategy`` on one Docker engine. Safe to use from any thread."""

    runner: CommandRunner
    checkouts: Checkouts
    registry: ImageRegistry
    reader: ComposeReader
    engine: Engine
    options: ComposeOptions
    #: Registry host and project → what the engine shows that registry when it pulls.
    credentials_for: Callable[[str, ProjectName], RegistryCredentials | None]

    # ── Prepare ───────────────────────────────────────────────────────────────────────────────

    def prepare(self, work: Work) -> PreparedRevision:
        """Render, judge, pin and pull one revision; see ``Strategy``."""
        self._require_free_name(work)
        own = self.options.own_folder(work.project.name, work.deployment)
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True, mode=0o700)
        try:
            checkout = self._export(work, own.resolve() / "checkout")
            with self._look(work, checkout) as look:
                for grant in look.grants:
                    work.log(f"note: {grant}")
                self._require_exposed(work, look.rendering)
                services, images = self._pin(work, look.rendering)
                prepared = PreparedRevision(
                    revision=Revision(work.revision.commit, images, work.revision.generation),
                    services=services,
                    compose_file=checkout.compose_path,
                    override_file=override_path(work.deployment),
                    rendered_sha256=look.rendering.sha256(checkout.root, work.variables),
                )
                self._pull(work, look, prepared)
            return prepared
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def _require_free_name(self, work: Work) -> None:
        """Refuse to touch containers that somebody else brought up under the project's name."""
        if work.may_take_over:
            return
        if found := self.engine.containers(work.project.name):
            raise NameTaken(
                f"{len(found)} containers of a compose project {work.project.name} run here, and "
                "no deployment of ours started them",
                containers=", ".join(sorted(sample.id[:12] for sample in found)[:20]),
            )

    def _export(self, work: Work, into: Path) -> Checkout:
        """Write the files of exactly the commit into the deployment's own folder."""
        project, commit = work.project, work.revision.commit
        into.mkdir()
        if project.kind is ProjectKind.IMAGE:
            return self._generate(work, into, generated_path(work.deployment))
        if project.source is None or commit is None:
            raise InvalidComposeFile(f"project {project.name} has no commit to deploy")
        self.checkouts.fetch(project.name, project.source, commit, work.credentials)
        self.checkouts.export(project.name, commit, into)
        checkout = Checkout(into, project.compose_path, self.reader)
        deploy = into / DEPLOY_FOLDER
        if deploy.is_symlink() or deploy.exists():
            raise InvalidComposeFile(
                f"the repository has a {DEPLOY_FOLDER} of its own; that name is ours: rename it"
            )
        variables = {name: secret.reveal() for name, secret in work.variables.items()}
        checkout.borrow_untracked(self._tree(project.name), variables)
        return checkout

    def _generate(self, work: Work, root: Path, path: str) -> Checkout:
        text = generated_text(work.project, work.variables)
        DeployFolder(root).write(Path(path).name, text)
        return Checkout(root, path, self.reader)

    def _require_exposed(self, work: Work, rendering: Rendering) -> None:
        exposed = work.project.expose_service
        names = [service.name for service in rendering.services if service.replicas > 0]
        if (
            exposed is not None
            and work.project.kind is ProjectKind.COMPOSE
            and exposed not in names
        ):
            raise InvalidComposeFile(
                f"expose_service: {exposed!r} is not one of the services that would be started: "
                f"{', '.join(names)}"
            )

    def _pin(
        self, work: Work, rendering: Rendering
    ) -> tuple[tuple[PlannedService, ...], dict[str, Digest]]:
        """Resolve each followed image once; what a trigger saw wins over a new look."""
        followed: dict[str, Digest] = {}
        planned = []
        for service in rendering.services:
            pin = self._find_pin(work, service, followed)
            exposed = service.name == work.project.expose_service
            finishes = service.finishes and not exposed
            planned.append(PlannedService(service.name, pin, service.replicas, finishes))
            work.log(f"{service.name}: {pin or f'{service.image}, not pinned: it is stateful'}")
        return tuple(planned), followed

    def _find_pin(
        self, work: Work, service: RenderedService, followed: dict[str, Digest]
    ) -> Pin | None:
        image = service.image
        if image.digest:
            return Pin(replace(image, digest=None), image.digest)
        if service.is_stateful(work.project.stateful_services):
            return None
        name = str(image)
        if name not in followed:
            seen = work.revision.images.get(name)
            followed[name] = seen or self.registry.digest(image, work.project.name)
        return Pin(image, followed[name])

    def _pull(self, work: Work, look: _Look, prepared: PreparedRevision) -> None:
        """Pull what is not there yet, so that applying needs no network."""
        images = {service.name: service.image for service in look.rendering.services}
        missing = [
            service.name
            for service in prepared.services
            if not self.engine.has_image(_exact(service, images[service.name]))
        ]
        if not missing:
            work.log("every image is there already")
            return
        override = DeployFolder(look.checkout.root).record(prepared)
        self._cli(work).pull(
            self._with_override(work, look, override), missing, work.log, work.cancel
        )

    # ── Apply ─────────────────────────────────────────────────────────────────────────────────

    def apply(self, work: Work, prepared: PreparedRevision) -> None:
        """Make the engine run ``prepared``; see ``Strategy``."""
        checkout = self._switch(work, prepared)
        with self._look(work, checkout) as look:
            override = DeployFolder(checkout.root).record(prepared)
            call = self._with_override(work, look, override)
            self._cli(work).up(call, work.log, work.cancel)

    def _switch(self, work: Work, prepared: PreparedRevision) -> Checkout:
        """Make the work tree hold what was prepared."""
        tree, commit = self._tree(work.project.name), prepared.revision.commit
        if commit is not None:
            self.checkouts.switch(work.project.name, commit)
        elif not (tree / prepared.compose_file).is_file():
            # Kept per deployment, so that going back brings its ports and volumes back too.
            return self._generate(work, tree, prepared.compose_file)
        return Checkout(tree, prepared.compose_file, self.reader)

    # ── Looking ───────────────────────────────────────────────────────────────────────────────

    def observe(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return what runs for ``project`` now; see ``Strategy``."""
        return self.engine.containers(project)

    def diagnose(self, project: ProjectName, log: LineSink) -> None:
        """Write the last lines of containers in trouble into ``log``; see ``Strategy``."""
        try:
            for sample in self.engine.containers(project):
                if _in_trouble(sample):
                    log(f"{sample.service}: last lines of container {sample.id[:12]}:")
                    lines = self.engine.last_lines(sample.id, _DIAGNOSED_LINES)
                    for line in lines or ["(it wrote nothing)"]:
                        log(f"  {line}")
        except ReconcilerError as error:
            log(f"the containers' output can't be had: {error.message}")

    def forget(self, project: ProjectName, deployment: DeploymentId) -> None:
        """Drop what is kept for a deployment; see ``Strategy``."""
        shutil.rmtree(self.options.own_folder(project, deployment), ignore_errors=True)
        DeployFolder(self._tree(project)).forget(deployment)

    def forget_secrets(self) -> None:
        """Delete what a killed daemon left for compose to read; nothing may be under way."""
        shutil.rmtree(self.options.secrets_folder, ignore_errors=True)

    def ping(self) -> str | Failure:
        """Return the engine's version, or why nothing can be deployed here. Never raises."""
        return self.engine.ping()

    # ── Shared ────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _look(self, work: Work, checkout: Checkout) -> Iterator[_Look]:
        """Follow, render and judge a checkout. Secrets are on disk as long as the block lasts."""
        project = work.project.name
        variables = {name: secret.reveal() for name, secret in work.variables.items()}
        with private_folder(self.options.secrets_folder.resolve() / project) as private:
            examined = checkout.examine(variables)
            policy = Policy(checkout.root, self.options.data_folder, self.options.own_paths)
            # Before compose reads them: what it can't parse it quotes.
            readings = policy.readings(examined.host_files)
            # As we read ``.env``, so that there is one reading of it.
            environment = {name: Secret.of(v) for name, v in examined.environment.items()}
            environment_file = write_variables(private, environment)
            files = (checkout.compose_file,)
            call = ComposeCall(project, checkout.folder, files, environment_file, private)
            rendering = parse_rendering(self._cli(work).render(call, work.cancel), examined)
            grants = (*readings, *policy.grants(rendering))
            yield _Look(checkout, examined, rendering, grants, call)

    def _with_override(self, work: Work, look: _Look, override: Path) -> ComposeCall:
        hosts = dict.fromkeys(service.image.registry for service in look.rendering.services)
        known = [self.credentials_for(host, work.project.name) for host in hosts]
        config = write_docker_config(look.call.docker_config, [one for one in known if one])
        return replace(look.call, files=(*look.call.files, override), docker_config=config)

    def _cli(self, work: Work) -> ComposeCli:
        return ComposeCli(self.runner, self.options, work.variables)

    def _tree(self, project: ProjectName) -> Path:
        return self.checkouts.tree(project).resolve()


def _exact(service: PlannedService, image: ImageReference) -> ImageReference:
    return replace(service.pin.image, digest=service.pin.digest) if service.pin else image


def _in_trouble(sample: ContainerSample) -> bool:
    ended_badly = sample.state is ContainerState.EXITED and sample.exit_status != 0
    stuck = sample.state in {ContainerState.RESTARTING, ContainerState.DEAD}
    return ended_badly or stuck or sample.restarts > 0 or sample.health is Health.UNHEALTHY
