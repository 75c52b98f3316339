"""Has images built once: found where they are, moved where they are needed, else made."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.domain.deployment import Built, Pin, PreparedTarget, Stage
from reconciler.domain.errors import BuildFailed, InvalidComposeFile, TargetUnreachable
from reconciler.domain.host import LOCAL
from reconciler.domain.references import Digest, ServiceName
from reconciler.ports import Engine, Image, Machines, Work
from reconciler.strategies.compose.assessment import Assessment
from reconciler.strategies.compose.building.definition import (
    KEY_LABEL,
    PROJECT_LABEL,
    Definition,
    base_registries,
    build_text,
    secret_arguments,
    secrets_of,
)
from reconciler.strategies.compose.building.moving import ImageMover, exact_name
from reconciler.strategies.compose.checkout import LIMIT_BYTES
from reconciler.strategies.compose.cli import ComposeCall, ComposeCli, ComposeOptions
from reconciler.strategies.compose.place import Place
from reconciler.strategies.compose.private import (
    CredentialsFor,
    Private,
    docker_config,
    write_text,
    write_variables,
)

Pins = dict[ServiceName, Pin | Built]


@dataclass(frozen=True, slots=True)
class Builder:
    """Gives the services that are built their images, on the engine of one place."""

    work: Work
    place: Place
    here: Place  #: the files that it is built from: exactly those of the commit
    machines: Machines
    options: ComposeOptions
    credentials_for: CredentialsFor
    mover: ImageMover

    # ── What is there already ─────────────────────────────────────────────────────────────────

    def take_over(self, definitions: Sequence[Definition]) -> Pins:
        """Return what the first host of the deployment has, and was brought here or is pushed."""
        first = self.work.elsewhere
        if first is None:
            return {}
        pins = {one.name: one.pin for one in first.services}
        taken: Pins = {}
        for one in definitions:
            pin = pins.get(one.service)
            if isinstance(pin, Pin | Built) and self._may_take(one, pin, first):
                self.work.log(f"{one.service}: {pin}, as on {first.host}")
                taken[one.service] = pin
        return taken

    def _may_take(self, one: Definition, pin: Pin | Built, first: PreparedTarget) -> bool:
        """Have the image of ``first`` here as well, if it is what would be built here."""
        origin = self.machines.get(first.host).engine()
        try:
            image = origin.find_image(exact_name(pin))
            platform = self.place.engine.platform()
            if image is None or image.labels.get(KEY_LABEL) != one.key:
                self._say_built_here(one, f"it is built from something else on {first.host}")
            elif image.platform != platform:
                self._say_built_here(one, f"{first.host} has it for {image.platform}")
            else:
                if isinstance(pin, Built):
                    self._have_here(pin, origin, first)
                return True
        except TargetUnreachable as error:
            self._say_built_here(one, error.message)
        return False

    def _say_built_here(self, one: Definition, why: str) -> None:
        self.work.log(f"{one.service} is built on {self.place.name} itself: {why}")

    def _have_here(self, pin: Built, origin: Engine, first: PreparedTarget) -> None:
        if self.place.engine.find_image(pin.digest.text) is None:
            self._move(pin, origin, first)
        self.place.engine.give_name(pin.digest, str(pin))

    def _move(self, pin: Built, origin: Engine, first: PreparedTarget) -> None:
        self.work.enter(Stage.BUILD)
        self.work.log(f"moving {pin} from {first.host}")
        self.mover.move(pin.digest, origin, self.place.engine)

    def _find(self, one: Definition) -> Image | None:
        labels = {KEY_LABEL: one.key, PROJECT_LABEL: str(self.work.project.name)}
        return next(filter(one.came_of_it, self.place.engine.images(labels)), None)

    # ── Making it ─────────────────────────────────────────────────────────────────────────────

    def make(self, definitions: Sequence[Definition], assessed: Assessment) -> Pins:
        """Build what is not there yet, or all of it if a person insists, and return the pins.

        Raises:
            BuildFailed: an image can't be built.
            ReconcilerError: the engine, a registry or a file is missing.
        """
        if not definitions:
            return {}
        found: dict[str, Image | None] = {}
        for one in () if self.work.forced else definitions:
            found[one.key] = found.get(one.key) or self._find(one)
        ready = {key: image for key, image in found.items() if image}
        # What several services are built from in the same way is built once.
        to_build = {one.key: one for one in reversed(definitions) if one.key not in ready}
        if to_build:
            self.work.enter(Stage.BUILD)
            ready |= self._build(tuple(to_build.values()), assessed)
        else:
            self.work.log("nothing to build: it was built before")
        pins: Pins = {one.service: self._name(one, ready[one.key]) for one in definitions}
        if self._pushes:
            self.work.enter(Stage.BUILD)
            pins |= self._push(definitions, pins)
        for service, pin in pins.items():
            self.work.log(f"{service}: {pin}")
        return pins

    @property
    def _pushes(self) -> bool:
        # One host's is enough; another platform's would take its place.
        return self.work.project.push_images and self.work.elsewhere is None

    def _build(self, definitions: Sequence[Definition], assessed: Assessment) -> dict[str, Image]:
        for one in definitions:
            for name in secret_arguments(one, self.work.variables):
                self.work.log(
                    f"note: {one.service}: the build argument {name} has a secret in it, which "
                    "can be read in the image's history; hand it over by `build.secrets`"
                )
        with self.here.private() as private:
            secrets = self._secrets(definitions, assessed.rendering.document, private)
            self._note_missing(secrets, assessed.environment)
            call = ComposeCall(
                project=self.work.project.name,
                folder=private.folder,
                files=(write_text(private, "build.yaml", build_text(definitions, secrets)),),
                environment_file=write_variables(private, assessed.environment),
                docker_config=self._docker_config(private, base_registries(definitions)),
            )
            names = [one.service for one in definitions]
            self._compose.build(call, names, self.work.log, self.work.cancel)
        return {one.key: self._built(one) for one in definitions}

    def _built(self, one: Definition) -> Image:
        """Return what came of a build: an exit status proves nothing."""
        image = self.place.engine.find_image(one.working_name)
        if image is None or any(image.labels.get(k) != v for k, v in one.labels.items()):
            raise BuildFailed(f"the build of {one.service} ended well, and left no such image")
        self._name(one, image)
        self.place.engine.drop_name(one.working_name)
        return image

    def _name(self, one: Definition, image: Image) -> Built:
        pin = one.name_of(image)
        if str(pin) not in image.tags:
            self.place.engine.give_name(image.id, str(pin))
        return pin

    def _push(self, definitions: Sequence[Definition], pins: Mapping[ServiceName, Any]) -> Pins:
        images, pushed = self.mover.images_of(self.place.engine), Pins()
        with self.here.private() as private:
            config = self._docker_config(private, [one.image.registry for one in definitions])
            for one in definitions:
                name = one.image.familiar
                with self._lent(name, pins[one.service].digest):
                    digest = images.push(name, config, self.work.log)
                self._require_pushed(name, pins[one.service].digest, digest)
                pushed[one.service] = Pin(one.image, digest)
        return pushed

    def _require_pushed(self, name: str, image: Digest, pushed: Digest) -> None:
        """Refuse what somebody else had ``name`` mean while it was pushed."""
        found = self.place.engine.find_image(image.text)
        if found is None or pushed not in found.digests:
            raise BuildFailed(
                f"{name} meant another image while it was pushed: something else is pushed, or "
                "pulled, under that name as well"
            )

    @contextmanager
    def _lent(self, name: str, image: Digest) -> Iterator[None]:
        """Have ``name`` mean ``image`` until the block ends: other projects may run it by name."""
        engine = self.place.engine
        before = engine.find_image(name)
        engine.give_name(image, name)
        try:
            yield
        finally:
            if before:
                engine.give_name(before.id, name)
            else:
                engine.drop_name(name)

    # ── What it takes ─────────────────────────────────────────────────────────────────────────

    def _secrets(
        self, definitions: Sequence[Definition], document: Mapping[str, Any], private: Private
    ) -> dict[str, Any]:
        """Return the secrets that the builds read; files of the work tree are lent to them."""
        declared = document.get("secrets") or {}
        wanted = {name: dict(declared.get(name) or {}) for name in secrets_of(definitions)}
        for name, body in wanted.items():
            if path := body.get("file"):
                body["file"] = str(self._secret_file(name, Path(path), private))
        return wanted

    def _note_missing(self, secrets: Mapping[str, Any], known: Collection[str]) -> None:
        for name, body in secrets.items():
            variable = body.get("environment")
            if variable and variable not in known:
                self.work.log(
                    f"note: the build goes without its secret {name}: {variable} has no value; "
                    f"`reconciler secret set {self.work.project.name} variable:{variable}` sets it"
                )

    def _secret_file(self, name: str, path: Path, private: Private) -> Path:
        where = f"secrets.{name}.file"
        if not path.is_relative_to(self.here.root):
            if not self.place.is_here:
                raise InvalidComposeFile(
                    f"{where}: {str(path)!r} would be read on another machine than "
                    f"{self.place.name}; name a file beside the compose file"
                )
            return path
        if path.exists():
            return path
        inside = str(path.relative_to(self.here.root))
        content = self.place.read((inside,)).get(inside)
        if content is None or len(content) > LIMIT_BYTES:
            raise InvalidComposeFile(f"{where}: {inside} is not there, or larger than 1 MiB")
        try:
            return write_text(private, f"secret-{name}", content.decode())
        except UnicodeDecodeError:
            raise InvalidComposeFile(f"{where}: {inside} is not UTF-8 text") from None

    def _docker_config(self, private: Private, registries: Sequence[str]) -> Path:
        return docker_config(private, registries, self.work.project.name, self.credentials_for)

    @property
    def _compose(self) -> ComposeCli:
        """Compose of this machine, speaking to the engine of the place: the files are here."""
        options = replace(self.options, docker_host=self.place.engine.address())
        return ComposeCli(self.machines.get(LOCAL), options, self.work.variables)
