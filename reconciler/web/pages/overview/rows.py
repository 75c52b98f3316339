"""The rows of the overview: what is shown of one project, and each kept as long as it is so."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, partial

from reconciler.domain.deployment import Built, Deployment, Pin, Release, Stage
from reconciler.domain.durations import UsualDurations
from reconciler.domain.project import Project, ProjectKind
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.overview.listing import hosts_of, since_of
from reconciler.web.pages.overview.sentences import Sentence, sentence_of
from reconciler.web.pages.rendering import render
from reconciler.web.pages.words import GROUP_OF, OF_STANDING, Badge, Group

_POLICIES = ("trigger", "config")
#: Of one project: for readers in other time zones, or who may do other things.
_MOST_KEPT = 8
_MOST_LOOKS = 4000


@dataclass(frozen=True, slots=True)
class ImageRun:
    """An image that runs, and the one that is to take its place."""

    name: str  #: without its registry
    full: str
    digest: str
    after: str = ""  #: digest of the one that comes


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a deployment is."""

    deployment: int
    stage: Stage
    since: datetime
    usual: timedelta | None  #: None: nobody knows

    @property
    def usual_seconds(self) -> int:
        """For the bar."""
        return round(self.usual.total_seconds()) if self.usual else 0


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of one project."""

    name: str
    badge: Badge
    group: Group
    since: datetime | None
    hosts: str
    how: str
    commit: str = ""
    comes: str = ""  #: the commit that is to take its place
    headline: str = ""
    images: tuple[ImageRun, ...] = ()
    release: str = ""
    sentence: Sentence | None = None
    meter: Meter | None = None
    auto: bool | None = None  #: None: there is nothing to deploy

    @classmethod
    def of(
        cls,
        one: ProjectSummary,
        rights: frozenset[str],
        usual: UsualDurations | None = None,
    ) -> "Row":
        """Return what is shown of ``one`` to somebody with some ``rights`` on it."""
        project, state = one.project, one.state
        live, running = state.live, state.running
        shown = running or live
        comes = _commit(running) if running and _commit(running) != _commit(live) else ""
        return cls(
            name=str(project.name),
            badge=OF_STANDING[one.standing],
            group=GROUP_OF[one.standing],
            since=since_of(one),
            hosts=", ".join(hosts_of(one)),
            how=_how(project),
            commit=_commit(live),
            comes=comes,
            headline=_headline(project, shown),
            images=tuple(_images(live, running)),
            release=_release(live or running),
            sentence=sentence_of(one, rights),
            meter=_meter(running, usual) if running else None,
            auto=project.auto_deploy if project.kind.deployable else None,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """When a project's source, or its images, were looked at, and are again."""

    at: datetime | None = None
    next: datetime | None = None
    trouble: str = ""
    times: int = 0  #: how often in a row there was trouble


@dataclass(frozen=True)
class Onlooker:
    """Who gets a page, as far as that makes a row another one."""

    frame: Frame

    @cached_property
    def place(self) -> tuple[str, date]:
        """The time zone, and the day that it is there: the same time reads otherwise elsewhere."""
        reader = self.frame.reader
        return reader.zone, self.frame.now.astimezone(reader.zone_info).date()

    @cached_property
    def everywhere(self) -> frozenset[str]:
        """What they may do on all projects."""
        return frozenset(policy for policy in _POLICIES if self.frame.may(policy))

    def rights_on(self, name: str) -> frozenset[str]:
        """Return what they may do on one."""
        if len(self.everywhere) == len(_POLICIES):
            return self.everywhere
        return frozenset(policy for policy in _POLICIES if self.frame.may(policy, name))


@dataclass
class _Kept:
    """The rows of one project, as it was when they were made."""

    one: ProjectSummary
    made: dict[tuple[object, ...], str] = field(default_factory=dict)

    def is_of(self, one: ProjectSummary) -> bool:
        if self.one is not one and self.one.news != one.news:
            return False
        self.one = one  # which is told by a glance next time
        return True


class RowCache:
    """Rows as HTML, each made once for all who see the same: then a page is a join.

    Threads may share it: what two of them make at once is the same.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._looks: dict[tuple[object, ...], str] = {}

    def row(
        self, one: ProjectSummary, onlooker: Onlooker, usual: UsualDurations | None = None
    ) -> str:
        """Return its row, where ``LOOK`` stands for when it was looked at: that never stays."""
        name = str(one.project.name)
        rights = onlooker.rights_on(name)
        if one.state.running:  # how long that usually takes is no part of its facts
            return _made(Row.of(one, rights, usual), onlooker.frame)
        kept = self._kept.get(name)
        if kept is None or not kept.is_of(one):
            kept = self._kept[name] = _Kept(one)
        key = (rights, onlooker.place)
        return _find(kept.made, key, lambda: _made(Row.of(one, rights), onlooker.frame), _MOST_KEPT)

    def look(self, look: Look, onlooker: Onlooker) -> str:
        """Return the cell that tells when it was looked at, and will be."""
        make = partial(_filled, "overview/look.html", onlooker.frame, look=look)
        return _find(self._looks, (look, onlooker.place), make, _MOST_LOOKS)

    def forget_others(self, names: Iterable[str]) -> None:
        """Forget projects that are there no more."""
        for gone in self._kept.keys() - set(names):
            self._kept.pop(gone, None)


#: In a row, in place of the cell that tells when it was looked at. No text of others can be that.
LOOK = "<!--look-->"


def _find(
    kept: dict[tuple[object, ...], str], key: tuple[object, ...], make: Callable[[], str], most: int
) -> str:
    found = kept.get(key)
    if found is None:
        if len(kept) >= most:
            kept.clear()
        found = kept[key] = make()
    return found


def _made(row: Row, frame: Frame) -> str:
    version = hashlib.blake2s(repr(row).encode(), digest_size=6).hexdigest()
    return _filled("overview/row.html", frame, row=row, version=version)


def _filled(template: str, frame: Frame, **values: object) -> str:
    return render(template, reader=frame.reader, now=frame.now, **values).strip()


# ── What is shown of a project ────────────────────────────────────────────────────────────────


def _commit(deployment: Deployment | None) -> str:
    commit = deployment.target_revision.commit if deployment else None
    return commit.text if commit else ""


def _headline(project: Project, deployment: Deployment | None) -> str:
    if deployment and deployment.headline:
        return deployment.headline.subject
    if deployment and project.kind is ProjectKind.IMAGE and project.image:
        return f"Follows the tag {project.image.tag}" if project.image.tag else ""
    return ""


def _how(project: Project) -> str:
    strategies = dict.fromkeys(str(target.strategy) for target in project.where)
    alone = project.kind is ProjectKind.IMAGE or not strategies
    how = str(project.kind).replace("_", " ") if alone else ", ".join(strategies)
    environment = project.environment
    return f"{how} · {environment.name}" if environment else how


def _release(deployment: Deployment | None) -> str:
    pins = (pin for pin in _pins(deployment) if isinstance(pin, Release))
    return next((pin.name for pin in pins), "")


def _images(live: Deployment | None, running: Deployment | None) -> Iterator[ImageRun]:
    """Yield each image once, in file order; those that move first."""
    comes = dict(_digests(running))
    now = dict(_digests(live)) or comes
    moved = {name for name, digest in comes.items() if digest != now.get(name, digest)}
    for name in sorted(now, key=lambda one: one not in moved):
        after = comes[name] if name in moved else ""
        yield ImageRun(_short(name), name, now[name], after)


def _digests(deployment: Deployment | None) -> Iterator[tuple[str, str]]:
    for pin in _pins(deployment):
        if isinstance(pin, Pin | Built):
            yield str(pin.image), str(pin.digest)
    if deployment and not deployment.prepared:
        for image, digest in deployment.revision.images.items():
            yield image, str(digest)


def _pins(deployment: Deployment | None) -> list[Pin | Built | Release]:
    prepared = deployment.prepared if deployment else None
    services = prepared.targets[0].services if prepared else ()
    return [service.pin for service in services if service.pin]


def _short(image: str) -> str:
    """Return an image's name without its registry."""
    registry, _, rest = image.partition("/")
    is_registry = "." in registry or ":" in registry or registry == "localhost"
    return (rest if is_registry and rest else image).removeprefix("library/")


def _meter(running: Deployment, usual: UsualDurations | None) -> Meter:
    took = [one for stage, one in (usual or {}).items() if stage is not Stage.ROLL_BACK]
    since = running.started_at or running.created_at
    return Meter(running.id, running.stage, since, sum(took, timedelta()) or None)
