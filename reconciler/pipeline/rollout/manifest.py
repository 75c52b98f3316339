"""The manifest that an app's repository carries, read at the very commit."""

from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import PreparedRevision
from reconciler.domain.errors import InvalidComposeFile, InvalidManifest, ManifestRefused
from reconciler.domain.manifest import (
    MANIFEST_PATH,
    Overlay,
    decode_manifest,
    overlaid,
    parse_manifest,
)
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha
from reconciler.pipeline.rollout.targets import RolloutTargets
from reconciler.pipeline.rollout.work import WorkOrders
from reconciler.ports import Commits, LineSink


@dataclass(frozen=True, slots=True)
class ManifestText:
    """What there was to read."""

    text: str = ""  #: empty: none, or not allowed
    ignored: bool = False  #: whether there was one that is not allowed

    def within(self, prepared: PreparedRevision) -> PreparedRevision:
        """Return ``prepared`` with it, so that nobody has to read it again."""
        return replace(prepared, manifest=self.text, manifest_ignored=self.ignored)


@dataclass(slots=True)
class Declaration:
    """What a deployment goes by: what the operator declared, and what the manifest adds to it."""

    declared: Project
    orders: WorkOrders
    targets: RolloutTargets
    say: LineSink
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what was declared."""
        self.project = self.declared

    def read(self, commits: Commits, commit: CommitSha | None) -> ManifestText:
        """Go on by the manifest at ``commit``, and return it.

        Raises:
            SourceError: the commit could not be fetched.
            InvalidManifest: it can't be used as it stands.
            ManifestRefused: it says what is not its to say.
        """
        if self.declared.source is None or commit is None:
            return ManifestText()
        credentials = self.orders.credentials()
        commits.fetch(self.declared.name, self.declared.source, commit, credentials)
        content = read_manifest(commits, self.declared, commit)
        if content is None:
            return ManifestText()
        if not self.declared.allow_manifest:
            how = f"`reconciler project set {self.declared.name} --allow-manifest` lets it count"
            self.say(f"note: {MANIFEST_PATH} is in the repository, and not allowed; {how}")
            return ManifestText(ignored=True)
        text = decode_manifest(content)
        self._say_what_it_does(self.go_by(text))
        return ManifestText(text)

    def go_by(self, manifest: str) -> Overlay:
        """Take each further step by ``manifest``, too, where it is allowed.

        Raises:
            InvalidManifest, ManifestRefused: as ``read``; all goes on by what held before.
        """
        project, overlay = self.declared, Overlay(self.declared)
        if manifest and project.allow_manifest:
            overlay = overlaid(project, parse_manifest(manifest, project.kind))
        self._take(overlay.project)
        return overlay

    def go_back_by(self, earlier: PreparedRevision) -> None:
        """Go on by what held for ``earlier``: its manifest, and where its app tells its version.

        A manifest that is refused by now keeps nobody there. An endpoint that was declared since
        is not asked for: the earlier version may not have it.
        """
        try:
            self.go_by(earlier.manifest)
        except (InvalidManifest, ManifestRefused) as error:
            self.say(f"note: going back without its manifest: {error.message}")
            self.go_by("")
        self._take(replace(self.project, version=earlier.version))

    def _take(self, project: Project) -> None:
        self.project = project
        self.orders = replace(self.orders, project=project)
        self.targets.go_by(project, self.orders)

    def _say_what_it_does(self, overlay: Overlay) -> None:
        if overlay.added:
            self.say(f"{MANIFEST_PATH} says: {', '.join(overlay.added)}")
        if overlay.overruled:
            fields = ", ".join(overlay.overruled)
            self.say(f"note: {MANIFEST_PATH} is overruled by what is declared: {fields}")


def read_manifest(commits: Commits, project: Project, commit: CommitSha) -> bytes | None:
    """Return what is in the manifest at ``commit``; None where there is none.

    Raises:
        InvalidManifest: it is allowed, and no file that could be read.
    """
    try:
        return commits.read_files(project.name, commit, (MANIFEST_PATH,)).get(MANIFEST_PATH)
    except InvalidComposeFile as error:  # a link, or far too large
        if project.allow_manifest:
            raise InvalidManifest(error.message) from error
        return b""
