"""Bodies of what runs under compose on a host.

Their texts are told by labels of containers, so by whoever may start one there: they are cut. Other
labels than compose's own are not shown, they may hold secrets.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Self

from reconciler.domain.errors import InvalidInput
from reconciler.domain.stack import ComposeContainer, Exposed, Stack
from reconciler.log import plain, shorten
from reconciler.pipeline.adopting import FoundStack
from reconciler.web.schemas.body import Answer, Asked, next_page, said

_MOST = 100
_LONGEST = 500


class ExposedBody(Answer):
    """What people reach."""

    service: str = said("The service.", "web")
    port: int = said("The port that it listens on in its container.", 8080)


class StackServiceBody(Answer):
    """A service of a stack, as its containers tell it."""

    name: str = said("Its name.", "web")
    image: str = said(
        "What its container was made of; an id where the tag means another image by now.",
        "registry.example/team/shop:1",
    )
    running: bool = said("Whether all of its containers run.", True)
    published: list[int] = said("Ports in its container that the host has, too.", [8080])

    @classmethod
    def of_each(cls, stack: Stack) -> Iterator[Self]:
        """Yield the bodies of the services of ``stack``, by name."""
        for name, found in groupby(stack.containers, key=lambda one: one.service):
            yield cls._of(name, tuple(found))

    @classmethod
    def _of(cls, name: str, containers: tuple[ComposeContainer, ...]) -> Self:
        published = {port for one in containers for port in one.published}
        return cls(
            name=_told(name),
            image=_told(containers[0].image),
            running=all(one.is_running for one in containers),
            published=sorted(published)[:_MOST],
        )


class StackBody(Answer):
    """A compose project as it runs on a host, and what can become of it."""

    name: str = said("The compose project's name, which an adopted project gets.", "shop")
    folder: str | None = said("Where it was brought up from.", "/srv/shop")
    files: list[str] = said("Its compose files, later ones win.", ["/srv/shop/compose.yaml"])
    services: list[StackServiceBody] = said("Its services by name, 100 at most.", [])
    exposed: ExposedBody | None = said(
        "What people reach, where only one port is published; null: it has to be said.", None
    )
    adoptable: bool = said(
        "Whether a project can be made of it, as far as its labels tell: its files are read once "
        "it is adopted.",
        True,
    )
    obstacle: str | None = said(
        "Why none can be made of it.", "its folder /srv belongs to the system"
    )
    project: str | None = said(
        "The project of that name, where there is one; with an `obstacle` if that runs elsewhere.",
        None,
    )

    @classmethod
    def of(cls, found: FoundStack) -> Self:
        """Return the body of ``found``."""
        stack, exposed = found.stack, found.stack.exposed
        services = list(StackServiceBody.of_each(stack))
        return cls(
            name=_told(stack.name),
            folder=_told(stack.folders[0]) if stack.folders else None,
            files=[_told(file) for file in stack.files[:_MOST]],
            services=services[:_MOST],
            exposed=ExposedBody(service=_told(exposed.service), port=exposed.port)
            if exposed
            else None,
            adoptable=found.is_adoptable,
            obstacle=_told(found.obstacle) or None,
            project=found.project,
        )


class StackList(Answer):
    """By name."""

    items: list[StackBody] = said("What runs there.", [])
    next: str | None = next_page()


class Adopt(Asked):
    """What can't be told from the containers; null: as the one published port tells."""

    expose_service: str | None = said("The service that people reach.", "web", default=None)
    expose_port: int | None = said(
        "The port that it listens on in its container.", 8080, default=None
    )

    def exposed(self) -> Exposed | None:
        """Return what was said; None for nothing.

        Raises:
            InvalidInput: one without the other.
        """
        if self.expose_service is None and self.expose_port is None:
            return None
        if self.expose_service is None:
            raise InvalidInput("expose_service", None, "is missing: `expose_port` is a port of it")
        if self.expose_port is None:
            raise InvalidInput("expose_port", None, "is missing: say which port it listens on")
        return Exposed(self.expose_service, self.expose_port)


def _told(text: str) -> str:
    return shorten(plain(text), _LONGEST)
