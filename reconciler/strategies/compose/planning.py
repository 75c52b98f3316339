"""What a deployment would make of a project's files, seen beforehand and without secrets.

All happens in a folder that is gone afterwards. What is shown is rendered with variables left as
they are written, and with empty environment files: no value of either reaches it. Those values are
taken out of it none the less, as out of what compose says of files that it can't use.
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.compose import followed_images
from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import (
    Interrupted,
    InvalidComposeFile,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.foreign_labels import read_foreign_labels
from reconciler.domain.handing_on import Exact
from reconciler.domain.plan import Difference, ImageFate
from reconciler.domain.references import ServiceName
from reconciler.domain.secret import Secret
from reconciler.log import Redactor, plain, shorten
from reconciler.ports import Foreseen, ForeseenService, Scratch, Work
from reconciler.strategies.compose.as_it_runs import pins_as_it_runs
from reconciler.strategies.compose.assessment import compose_paths_of, variables_of
from reconciler.strategies.compose.checkout import LIMIT_BYTES, Checkout, Examined
from reconciler.strategies.compose.cli import ComposeCall
from reconciler.strategies.compose.exporting import export
from reconciler.strategies.compose.handing import choose
from reconciler.strategies.compose.pinning import pin_to_keep
from reconciler.strategies.compose.place import Place
from reconciler.strategies.compose.preconditions import require_free_name, require_possible
from reconciler.strategies.compose.private import private_folder
from reconciler.strategies.compose.rendering import RenderedService, Rendering
from reconciler.strategies.compose.strategy import ComposeStrategy

_MOST_LINES = 3000  #: of a rendering that is compared
_MOST_DIFFERING = 1000
_LARGEST = 1 << 19  #: characters of a rendering that is compared
_LONGEST_LINE = 500
#: Words that are nobody's secret; to hide them hides the file.
_WORDS = frozenset({"true", "false", "null", "none"})
_UNREADABLE = "what would be deployed can't be read"


@dataclass(frozen=True, slots=True)
class ComposePlanner:
    """``Planner`` for what ``ComposeStrategy`` deploys. Safe to use from any thread."""

    strategy: ComposeStrategy

    def foresee(self, work: Work, scratch: Scratch) -> Foreseen:
        """Return what would be deployed; see ``Planner``."""
        return _Foresight(self.strategy, work, scratch, Redactor()).look()


#: What a service is pinned to without a look, and why.
_Known = tuple[Exact, str]


@dataclass(frozen=True, slots=True)
class _Foresight:
    strategy: ComposeStrategy
    work: Work
    scratch: Scratch
    redactor: Redactor

    @property
    def _place(self) -> Place:
        return self.strategy.place(self.work.target)

    def look(self) -> Foreseen:
        self._hide(self.work.variables.values())
        try:
            checkout = self._export(self.work, "now", compose_paths_of(self.work))
            examined = checkout.examine(variables_of(self.work))
            self._hide_values(checkout, examined)
        except Interrupted:
            raise
        except ReconcilerError as error:
            return Foreseen(refusal=self._told(error), difference=Difference(note=_UNREADABLE))
        services, refusal = self._judged(checkout, examined)
        return Foreseen(services, self._difference(checkout, examined), refusal, self._platform())

    # ── What it would be ──────────────────────────────────────────────────────────────────────

    def _judged(
        self, checkout: Checkout, examined: Examined
    ) -> tuple[tuple[ForeseenService, ...], Failure | None]:
        try:
            rendering = self._judge(checkout)
            services = rendering.services
            running = pins_as_it_runs(self.work, self._place.engine, rendering)
            handover = self.work.find_handover() if self.work.handed_on else None
            handed_on = choose(self.work, handover, services) if handover else {}
        except Interrupted:
            raise
        except ReconcilerError as error:
            return (), self._told(error)
        known = dict[ServiceName, _Known]()
        known |= {name: (pin, "as it runs") for name, pin in running.items()}
        known |= {name: (one.pin, "handed on") for name, one in handed_on.items()}
        foreseen = (self._service(one, examined, known.get(one.name)) for one in services)
        return tuple(foreseen), None

    def _judge(self, checkout: Checkout) -> Rendering:
        """Render and judge the files as a deployment does. Raises what that would."""
        place, work = self._place, self.work
        require_free_name(work, place.engine)
        with private_folder(self.scratch.folder / "private") as private:
            assessed = self.strategy.assess_here(work, place, checkout, private)
        require_possible(work, place.engine, checkout, assessed.rendering)
        return assessed.rendering

    def _service(
        self, service: RenderedService, examined: Examined, known: _Known | None
    ) -> ForeseenService:
        declared = self.work.project.stateful_services
        fate, note = ImageFate.PINNED, ""
        if service.build is not None:
            fate = ImageFate.BUILT
        elif service.image.digest:
            fate = ImageFate.FIXED
        elif service.is_stateful(declared):
            fate = ImageFate.LEFT
        elif known is None and pin_to_keep(service, self.work):
            fate, note = ImageFate.LEFT, read_foreign_labels(service.labels).reason
        for image in followed_images(examined.file, examined.environment, declared):
            if fate is ImageFate.PINNED and service.name in image.services:
                note = f"not watched: {image.unwatched_because}" if not image.reference else ""
        exact, note = known or (None, note)
        return ForeseenService(service.name, service.image, fate, note, exact)

    def _platform(self) -> str:
        with suppress(TargetUnreachable):
            return self._place.engine.platform()
        return ""

    # ── How it differs ────────────────────────────────────────────────────────────────────────

    def _difference(self, checkout: Checkout, examined: Examined) -> Difference:
        earlier = self.work.earlier
        if earlier is None:
            return Difference(note="nothing is live to compare with")
        try:
            sides = (self._before(earlier), (checkout, examined))
        except Interrupted:
            raise
        except ReconcilerError as error:
            told = self._told(error).message
            return Difference(note=f"what is live can't be read any more: {told}")
        try:
            before, after = (self._outlined(*side) for side in sides)
            note = ""
        except InvalidComposeFile:  # e.g. a variable where compose wants a number
            before, after = (_written(checkout) for checkout, _ in sides)
            note = "compared as written: compose can't render it with its variables left open"
        if max(len(before), len(after)) > _LARGEST:
            return Difference(note=f"not compared: it has over {_LARGEST} characters")
        return _compare(self._shown(before), self._shown(after), note)

    def _before(self, earlier: PreparedTarget) -> tuple[Checkout, Examined]:
        work = replace(self.work, revision=earlier.revision)
        paths = (earlier.compose_file, *earlier.extra_files)
        checkout = self._export(work, "before", paths)
        examined = checkout.examine(variables_of(work))
        self._hide_values(checkout, examined)
        return checkout, examined

    def _outlined(self, checkout: Checkout, examined: Examined) -> str:
        """Return what the files amount to, with no value of any variable."""
        kept = {path: path.read_bytes() for path in _there(checkout, examined)}
        call = ComposeCall(
            project=self.work.project.name,
            folder=checkout.folder,
            files=tuple(
                checkout.root / path for path in (checkout.compose_path, *checkout.extra_paths)
            ),
            environment_file=Path(os.devnull),
            docker_config=self.scratch.folder / "nothing",
        )
        cli = self.strategy.here(self.work.target, checkout.root).cli(self.work)
        try:
            for path in kept:
                path.write_bytes(b"")
            return cli.outline(call, self.work.cancel).replace(str(checkout.root), ".")
        finally:
            for path, content in kept.items():
                path.write_bytes(content)

    def _shown(self, text: str) -> list[str]:
        lines = self.redactor.redact(text).rstrip("\n").split("\n")
        return [shorten(plain(line), _LONGEST_LINE) for line in lines]

    def _export(self, work: Work, name: str, paths: tuple[str, ...]) -> Checkout:
        own = self.scratch.folder / name
        own.mkdir()
        return export(work, self._place, self.scratch, self.strategy.reader, own, paths)

    # ── What nobody may see ───────────────────────────────────────────────────────────────────

    def _hide(self, values: Iterable[Secret]) -> None:
        self.redactor.register(*(one for one in values if one.reveal().lower() not in _WORDS))

    def _hide_values(self, checkout: Checkout, examined: Examined) -> None:
        self._hide([Secret.of(value) for value in examined.environment.values()])
        files = _there(checkout, examined)
        if self._place.is_here:
            files += [Path(path) for _, path in examined.host_files]
        for file in files:
            # What can't be read compose can't read either; what it says of it names no value.
            with suppress(InvalidComposeFile, OSError), file.open("rb") as opened:
                found = self.strategy.reader.read_environment(opened.read(LIMIT_BYTES + 1))
                self._hide([Secret.of(value) for value in found.values()])

    def _told(self, error: ReconcilerError) -> Failure:
        message = self.redactor.clean(error.message.replace(str(self.scratch.folder), ""))
        return Failure(error.code, message, error.recovery, self.redactor.clean(error.remedy))


def _compare(before: Sequence[str], after: Sequence[str], note: str) -> Difference:
    if len(before) > _MOST_LINES or len(after) > _MOST_LINES:
        return Difference(note=f"not compared: it has over {_MOST_LINES} lines")
    found = [*difflib.unified_diff(before, after, "live", "now", lineterm="")]
    if (more := len(found) - _MOST_DIFFERING) > 0:
        note = "; ".join(filter(None, (note, f"{more} more lines are not shown")))
    return Difference(tuple(found[:_MOST_DIFFERING]), note if found else "")


def _written(checkout: Checkout) -> str:
    """Return the compose files as they are; their size was looked at before."""
    files = (checkout.root / path for path in (checkout.compose_path, *checkout.extra_paths))
    return "\n".join(file.read_bytes().decode(errors="replace") for file in files)


def _there(checkout: Checkout, examined: Examined) -> list[Path]:
    """Return the environment and label files that there are; each is inside of the checkout."""
    own = {(checkout.root / path) for path in (checkout.compose_path, *checkout.extra_paths)}
    real = dict.fromkeys((checkout.root / path).resolve() for path in examined.valued)
    return [path for path in real if path.is_file() and path not in own]
