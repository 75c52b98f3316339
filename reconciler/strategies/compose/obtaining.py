"""The images of one deployment: pinned, pulled, built, or handed on by the environment before."""

import os
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.deployment import PlannedService
from reconciler.domain.errors import NotHandedOn
from reconciler.domain.handing_on import Handover
from reconciler.domain.references import Digest
from reconciler.ports import ImageRegistry, Work
from reconciler.strategies.compose.assessment import Assessment
from reconciler.strategies.compose.building.builder import Builder
from reconciler.strategies.compose.building.definition import define
from reconciler.strategies.compose.cli import ComposeCall
from reconciler.strategies.compose.handing import Handing, pulled_as_handed_on
from reconciler.strategies.compose.pinning import Pinning, missing_images, pull_text
from reconciler.strategies.compose.place import Place
from reconciler.strategies.compose.private import docker_config, write_text
from reconciler.strategies.compose.rendering import Rendering

#: What each service runs, and the digest of each image that was followed.
Obtained = tuple[tuple[PlannedService, ...], Mapping[str, Digest]]


@dataclass(frozen=True, slots=True)
class Obtaining:
    """Has all images where they are to run, so that applying needs no network and no build."""

    work: Work
    place: Place
    builder: Builder
    registry: ImageRegistry

    def obtain(self, assessed: Assessment, root: Path) -> Obtained:
        """Return what each service runs; its image is there.

        Args:
            assessed: what the files amount to.
            root: where they are here, exactly those of the commit.
        """
        if handover := self.work.find_handover():
            return self._take(assessed.rendering, handover)
        return self._make(assessed, root)

    def _take(self, rendering: Rendering, handover: Handover) -> Obtained:
        work, builder = self.work, self.builder
        if beside := next(rendering.looked_up_beside(), None):
            raise NotHandedOn(
                f"{beside} would be looked up, and nothing is for what is promoted",
                "name it by its digest, NAME@sha256:…, or have a service of its own bring it",
            )
        handing = Handing(work, handover, self.place, builder.machines, builder.mover)
        taken = handing.take(rendering.services)
        pinning = Pinning(work, self.registry)
        services = tuple(pinning.plan(one, taken) for one in rendering.services)
        self._pull(rendering, services)
        return services, work.revision.images

    def _make(self, assessed: Assessment, root: Path) -> Obtained:
        rendering, pinning = assessed.rendering, Pinning(self.work, self.registry)
        definitions = define(self.work, rendering, root)
        built = self.builder.take_over(definitions)
        services = tuple(pinning.plan(one, built) for one in rendering.services)
        self._pull(rendering, services)
        to_build = [one for one in definitions if one.service not in built]
        built |= self.builder.make(to_build, assessed)
        pinned = tuple(replace(one, pin=built.get(one.name, one.pin)) for one in services)
        return pinned, pinning.followed

    def _pull(self, rendering: Rendering, services: Collection[PlannedService]) -> None:
        """Pull what is not there yet."""
        work, place = self.work, self.place
        missing = missing_images(place.engine, rendering, services)
        if not missing:
            if any(one.build is None for one in rendering.services):
                work.log("every image is there already")
            return
        registries = [image.registry for image in missing.values()]
        with place.private() as private:
            call = ComposeCall(
                project=work.project.name,
                folder=private.folder,
                files=(write_text(private, "pull.yaml", pull_text(rendering, missing)),),
                environment_file=Path(os.devnull),
                docker_config=docker_config(
                    private, registries, work.project.name, self.builder.credentials_for
                ),
            )
            with pulled_as_handed_on(work) if work.handed_on else nullcontext():
                place.cli(work).pull(call, missing, work.log, work.cancel)
