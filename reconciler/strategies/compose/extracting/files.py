"""``ImageFiles`` by way of Docker engines: an image is saved, and its archive read."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.domain.deployment import Built, Pin
from reconciler.domain.errors import (
    NotFound,
    NotHandedOn,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.handing_on import HandedOn
from reconciler.domain.host import LOCAL, HostName, HostPath
from reconciler.domain.references import Digest
from reconciler.ports import Engine, Machines, Work
from reconciler.strategies.compose.building.moving import ImageMover, exact_name
from reconciler.strategies.compose.cli import ComposeOptions
from reconciler.strategies.compose.extracting.archive import ImageArchive
from reconciler.strategies.compose.extracting.folder import ImageFolder
from reconciler.strategies.compose.handing import as_a_source, pulled_as_handed_on
from reconciler.strategies.compose.private import CredentialsFor, docker_config, private_folder

_HERE = "an image is read by this machine's engine"


@dataclass(frozen=True, slots=True)
class EngineImageFiles:
    """Takes files out of images. Safe to use from any thread, once for a project at a time."""

    machines: Machines
    options: ComposeOptions
    credentials_for: CredentialsFor

    def take_out(self, work: Work, image: HandedOn, folder: HostPath, into: Path) -> None:
        """Write all that an image has in ``folder``; see ``ImageFiles``."""
        mover = ImageMover(self.machines, self.options, into.parent, work.cancel)
        with (
            self._found(work, image, mover) as (engine, found),
            mover.saved(found, engine) as archive,
            ImageArchive.open(archive, found) as layers,
        ):
            wanted = ImageFolder(folder, work.cancel)
            for number, layer in enumerate(layers.layers()):
                wanted.add(number, layer)
            plan = wanted.plan()
            plan.write_folders(into)
            for number, layer in enumerate(layers.layers()):
                plan.write_files(number, layer, into)
            plan.write_links(into)

    @contextmanager
    def _found(
        self, work: Work, image: HandedOn, mover: ImageMover
    ) -> Iterator[tuple[Engine, Digest]]:
        """Give an engine that has the image, and its id there."""
        match image.pin:
            case Built(digest=built):
                yield self._engine_with(work, built, image.hosts), built
            case Pin() as pin:
                # No host's word counts for a digest: the engine here compares what it pulls.
                with as_a_source(_HERE):
                    engine = self.machines.get(LOCAL).engine()
                    there = engine.find_image(exact_name(pin))
                if there is not None:
                    yield engine, there.id
                    return
                try:
                    yield engine, self._pull(work, pin, engine, mover)
                finally:
                    with suppress(TargetUnreachable):  # at worst it takes space
                        engine.drop_name(exact_name(pin))
            case other:
                raise NotHandedOn(f"{other} is no image", "name an image as `image`")

    def _pull(self, work: Work, pin: Pin, engine: Engine, mover: ImageMover) -> Digest:
        registry, project = pin.image.registry, work.project.name
        with private_folder(self.options.secrets_folder.resolve() / project / "image") as private:
            config = docker_config(private, [registry], project, self.credentials_for)
            with pulled_as_handed_on(work), as_a_source(_HERE):
                mover.images_of(engine).pull(exact_name(pin), config)
                found = engine.find_image(exact_name(pin))
        if found is None:
            raise SourceUnreachable(f"{pin} was pulled, and is not there")
        return found.id

    def _engine_with(self, work: Work, image: Digest, hosts: tuple[HostName, ...]) -> Engine:
        """Return one that has an image which was built; what it says is compared with its id."""
        away: list[str] = []
        for host in dict.fromkeys((LOCAL, *hosts)):
            try:
                with as_a_source(f"{host} has it"):
                    engine = self.machines.get(host).engine()
                    if engine.find_image(image.text):
                        return engine
            except NotFound:  # it is declared no longer
                continue
            except SourceUnreachable as error:
                if host in hosts:
                    away.append(error.message)
        if away:
            raise SourceUnreachable("; ".join(away))
        origin = work.project.promoted_from
        raise NotHandedOn(
            f"the image {image.short} that {origin} built is not on {', '.join(hosts)} any more",
            f"`reconciler deploy {origin} --force` builds it anew, to be promoted",
            digest=image.text,
        )
