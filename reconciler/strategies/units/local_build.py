"""``systemd``: built here, or handed on by the environment before, and sent over."""

import copy
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from reconciler.domain.deployment import DeploymentId, PreparedTarget, Release
from reconciler.domain.errors import CommandFailed, PreconditionFailed, ReconcilerError
from reconciler.domain.references import Digest, ProjectName
from reconciler.domain.target import NEEDED_TOOLS, Target, TargetStrategy
from reconciler.ports import Command, CommandRunner, ImageFiles, Work
from reconciler.strategies.units.build_output import BoundedLines
from reconciler.strategies.units.handed_release import HandedReleases, digest_of_image
from reconciler.strategies.units.kept_releases import KeptReleases
from reconciler.strategies.units.local_release import LocalRelease, assemble, disk_errors
from reconciler.strategies.units.release_maker import Bench
from reconciler.strategies.units.site import deployment_of
from reconciler.strategies.units.sources import Sources, commit_of
from reconciler.strategies.units.steps import Step

#: Left free on the host beside a release, for its unit, its environment and the journal.
_SPARE_BYTES = 4 << 20
_COMPLETE_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two builds the same one, and the claim in which a failed one is not repeated."""

    deployment: DeploymentId
    fence: int
    name: str


@dataclass(slots=True)
class LocalBuild:
    """``ReleaseMaker`` that builds on this machine, once for all targets that need the same.

    A deployment's builds lie in a folder of its own below ``folder`` until the project's next one.
    What was verified stays for as long as somebody may go back to it, or have it handed on; and so
    does the project's home, for what compilers and package managers keep there.
    """

    runner: CommandRunner
    sources: Sources
    folder: Path
    timeout: timedelta
    images: ImageFiles
    tools: ClassVar[frozenset[str]] = NEEDED_TOOLS[TargetStrategy.SYSTEMD]
    builds_there: ClassVar[bool] = False
    _failed: dict[ProjectName, tuple[_Key, ReconcilerError]] = field(default_factory=dict)

    @property
    def kept(self) -> KeptReleases:
        """What later environments may get."""
        return KeptReleases(self.folder)

    def keep(self, work: Work, prepared: PreparedTarget) -> None:
        """Keep what was verified, if it was made here; see the protocol."""
        deployment = deployment_of(prepared)
        verified = {service.pin for service in prepared.services}
        try:
            with self.sources.alone(work):
                self._keep(work, deployment, verified)
        except OSError as error:
            work.log(f"note: no other environment can get this release: {error.strerror}")

    def _keep(self, work: Work, deployment: str, verified: Collection[object]) -> None:
        for done in (self.folder / work.project.name / deployment).glob("*/done"):
            built = _recorded(done.parent)
            if built.release in verified:
                self.kept.keep(work.project.name, deployment, built)

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Drop what is kept of old deployments; see the protocol."""
        # What another strategy made ready there has other names.
        numbers = {Path(one.override_file).name for one in kept}
        self.kept.forget(target.project, deployment_of(prepared), numbers)

    def make(self, bench: Bench) -> Release:
        """Build unless that was done, and send what the host does not have; see the protocol."""
        work, site = bench.work, bench.site
        with self.sources.alone(work), disk_errors():
            built = self._build_once(work)
        release = built.release
        if release.name in bench.releases:
            work.log(f"{release} is on {work.target.host} already")
        else:
            self._require_space(bench, built)
            into = site.path(f"releases/{release.name}.partial")
            bench.machine.send(built.folder, into, cancel=work.cancel)
            work.log(f"sent {release} to {work.target.host}: {built.size_bytes} bytes")
        bench.steps.run(
            Step.COMPLETE,
            *bench.claim,
            *(release.name, release.digest.text.removeprefix("sha256:")),
            *(bench.commit.text if bench.commit else "", site.binary, bench.unit_text),
            timeout=_COMPLETE_TIMEOUT,
        )
        return release

    def _build_once(self, work: Work) -> LocalRelease:
        key = _Key(work.deployment, work.fence, _name_of(work))
        own = self._own_folder(work) / key.name
        if (own / "done").exists():
            work.log("it was built already")
            return _recorded(own)
        known, error = self._failed.get(work.project.name, (None, None))
        if known == key and error is not None:
            raise copy.copy(error)
        try:
            return self._build(work, own)
        except (CommandFailed, PreconditionFailed) as failure:
            self._failed[work.project.name] = (key, failure)
            raise

    def _build(self, work: Work, own: Path) -> LocalRelease:
        with _fresh_folder(own):
            if handover := work.find_handover():
                release = HandedReleases(self.kept, self.images).obtain(work, handover, own)
            else:
                release = self._build_anew(work, own)
            shutil.rmtree(own / "source", ignore_errors=True)
            shutil.rmtree(own / "tmp", ignore_errors=True)
            # Named last, and only when all is on the disk: a build that was cut off begins anew.
            new = own / "done.new"
            new.write_text(f"{release.release.name} {release.release.digest}")
            os.sync()
            new.rename(own / "done")
        return release

    def _build_anew(self, work: Work, own: Path) -> LocalRelease:
        source = own / "source"
        self.sources.fetch(work)
        self.sources.export(work, source)
        built = source / (work.target.source_folder or "")
        if not built.is_dir() or not built.resolve().is_relative_to(source.resolve()):
            commit = commit_of(work).short
            raise CommandFailed(f"commit {commit} has no folder {work.target.source_folder}")
        if work.target.build:
            self._run(work, own, built)
        return _assembled(work, own, built)

    def _run(self, work: Work, own: Path, cwd: Path) -> None:
        """Run the build command in a bare environment; what it says goes to the log, bounded."""
        home, temporary = own.parent.parent / "home", own / "tmp"
        home.mkdir(exist_ok=True, mode=0o700)
        temporary.mkdir()
        env = {"HOME": str(home), "TMPDIR": str(temporary), **work.target.environment}
        command = Command(
            work.target.build,
            cwd=cwd,
            env=env,
            timeout=self.timeout,
            confined_to=(temporary, own / "source", home),
        )
        work.log(f"building: {' '.join(work.target.build)}")
        lines = BoundedLines(work.log)
        try:
            result = self.runner.run(command, on_line=lines.take, cancel=work.cancel)
        finally:
            lines.finish()
        if result.timed_out:
            raise CommandFailed(f"the build took longer than {self.timeout}")
        if not result.ok:
            status = str(result.exit_status)
            raise CommandFailed(f"the build ended with exit status {status}", exit_status=status)

    def _own_folder(self, work: Work) -> Path:
        """Return the deployment's folder; those of earlier ones of the project go."""
        project = self.folder / work.project.name
        own = project / str(work.deployment)
        for other in project.glob("[0-9]*"):
            if other != own:
                shutil.rmtree(other, ignore_errors=True)
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        return own.resolve()

    def _require_space(self, bench: Bench, built: LocalRelease) -> None:
        needed = built.size_bytes + _SPARE_BYTES
        if needed > bench.free_bytes:
            raise PreconditionFailed(
                f"host {bench.machine.name} has no space for {built.release}: it needs "
                f"{needed >> 20} MiB below {bench.site.folder}, {bench.free_bytes >> 20} are free",
                host=bench.machine.name,
            )


def _name_of(work: Work) -> str:
    """Return what differs between builds that differ; targets that need the same share it."""
    target = work.target
    what = (
        *(work.revision.commit, digest_of_image(work), work.handed_on is not None),
        target.image_folder,
        *(target.source_folder, target.build, target.binary, target.files),
        sorted(target.environment.items()),
    )
    return sha256(repr(what).encode()).hexdigest()[:16]


@contextmanager
def _fresh_folder(folder: Path) -> Iterator[None]:
    """Give an empty folder, which stays only if the block ends well."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _assembled(work: Work, own: Path, built: Path) -> LocalRelease:
    binary = work.target.binary
    assert binary is not None  # noqa: S101  for the type checker: the site has one
    into = own / "release"
    into.mkdir()
    return assemble(built, binary, work.target.files, into, commit_of(work))


def _recorded(own: Path) -> LocalRelease:
    name, digest = (own / "done").read_text().split()
    return LocalRelease(Release(name, Digest.parse(digest)), own / "release")
