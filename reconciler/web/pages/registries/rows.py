"""Registries as the pages show them: what is recorded of each; none of them is asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.domain.errors import InvalidReference, SourceDenied
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ImageReference, ProjectName
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL
from reconciler.domain.state import RegistryTrouble, WatchedImage
from reconciler.ports import RegistryStatus
from reconciler.triggers.registry_probe import RegistryProbe
from reconciler.web.pages import words
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.words import Badge

_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class WatchedHere:
    """An image of a project that is looked up at a registry."""

    project: ProjectName
    image: WatchedImage
    auto: bool  #: whether it is looked up again and again


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """A registry, and what is known of it."""

    host: str
    images: Sequence[WatchedHere] = ()
    users: Mapping[ProjectName, str] = field(default_factory=dict)  #: with their own credentials
    status: RegistryStatus | None = None  #: None: it was not asked since the start
    trouble: RegistryTrouble | None = None  #: why it is not asked now
    probe: RegistryProbe | None = None  #: where it is the configured one
    user: str = ""  #: as whom the configuration says; empty: nobody
    interval: int = _HOUR_SECONDS  #: seconds between two looks

    @property
    def address(self) -> str:
        """Its page."""
        return f"/registries/{self.host}"

    @property
    def cooling_until(self) -> datetime | None:
        """Until when it asked to be left alone."""
        if self.status and self.status.cooling_until:
            return self.status.cooling_until
        return self.trouble.until if self.trouble else None

    @property
    def answers(self) -> bool | None:
        """Whether it answered last; None: it was not asked yet."""
        if self.probe is not None and self.probe.looks:
            return self.probe.failure is None
        return self.status.reachable if self.status else None

    @property
    def refuses(self) -> Sequence[ProjectName]:
        """The projects whose credentials it does not take."""
        denied = {
            one.project
            for one in self.images
            if one.image.error and one.image.error.code == SourceDenied.code
        }
        return sorted(denied)

    @property
    def badge(self) -> Badge:
        """Whether it answers."""
        if self.cooling_until:
            return words.COOLING
        if self.refuses:
            return words.CREDENTIAL_REFUSED
        if self.answers is None:
            return words.NOT_ASKED
        return words.ANSWERS if self.answers else words.SILENT

    @property
    def why(self) -> str:
        """What keeps it from answering; empty: nothing."""
        if self.trouble is not None:
            return self.trouble.message
        if self.probe is not None and self.probe.failure:
            return self.probe.failure.message
        if self.refuses:
            return f"it does not take what {', '.join(self.refuses)} shows it"
        return self.status.error if self.status else ""

    @property
    def asked_at(self) -> datetime | None:
        """When an image was looked up last."""
        return max((at for one in self.images if (at := one.image.looked_at)), default=None)

    @property
    def names(self) -> int:
        """How many images are watched, each counted once whoever follows it."""
        return len({one.image.image for one in self.images})

    @property
    def requests_an_hour(self) -> int:
        """How many look-ups the present interval makes; each with other credentials counts."""
        asked = {
            (one.image.image, one.project if one.project in self.users else "")
            for one in self.images
            if one.auto
        }
        return round(len(asked) * _HOUR_SECONDS / self.interval)


def rows_of_registries(frame: Frame) -> list[RegistryRow]:
    """Return all that are configured, asked or watched, by name; the configured one first."""
    application = frame.application
    store, own = application.store, application.probe.host
    images = _images(frame)
    users = store.list_registry_users()
    status = {one.host: one for one in application.registries()}
    troubles = _troubles(store.list_registry_troubles(), frame.now)
    every = {*images, *users, *status, *troubles} | ({own} if own else set())
    interval = int(store.get_settings()[IMAGE_WATCH_INTERVAL].value)
    return [
        RegistryRow(
            host,
            images.get(host, ()),
            users.get(host, {}),
            status.get(host),
            troubles.get(host),
            application.probe if host == own else None,
            application.config.registry_user if host == own else "",
            interval,
        )
        for host in sorted(every, key=lambda host: (host != own, host))
    ]


def _images(frame: Frame) -> Mapping[str, Sequence[WatchedHere]]:
    projects = {one.project.name: one.project for one in frame.summaries}
    found: dict[str, list[WatchedHere]] = {}
    for name, images in sorted(frame.application.store.list_images().items()):
        project = projects.get(name)
        if project is None:
            continue
        auto = project.auto_deploy and project.follows_its_source
        for image in images:
            if not image.unwatched_because and (host := _host_of(image)):
                found.setdefault(host, []).append(WatchedHere(name, image, auto))
    return found


def _host_of(image: WatchedImage) -> str:
    try:
        return ImageReference.parse(image.image).registry
    except InvalidReference:
        return ""


def _troubles(every: Iterable[RegistryTrouble], now: datetime) -> Mapping[str, RegistryTrouble]:
    """Return what goes on; that one asked to wait says more than that it does not answer."""
    known = sorted(
        (one for one in every if one.goes_on(now)),
        key=lambda one: one.code == ReasonCode.REGISTRY_COOLED,
    )
    return {one.host: one for one in known}
