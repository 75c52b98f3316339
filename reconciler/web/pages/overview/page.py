"""Every project at a glance: what runs, why, and what needs a person."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.responses import HTMLResponse

from reconciler.domain.project import ProjectKind
from reconciler.domain.references import ProjectName
from reconciler.domain.settings import IMAGE_WATCH_INTERVAL
from reconciler.domain.state import SourceHealth
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.overview.listing import Listing, Sort, count, hosts_of, in_order
from reconciler.web.pages.overview.rows import LOOK, Look, Onlooker, RowCache
from reconciler.web.pages.rendering import page
from reconciler.web.pages.words import GROUP_OF, Group
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.subjects import About

if TYPE_CHECKING:
    from markupsafe import Markup

listing = router_for(Policy.KNOWN, "pages", About.NOTHING)

#: What a look that failed is called, by the error's code.
_TROUBLES = {"source-unreachable": "no answer", "source-denied": "refused"}


@dataclass(frozen=True, slots=True)
class Section:
    """Projects beneath one heading, or beneath none."""

    group: Group | None
    rows: Sequence["Markup"]


@listing.get("/", include_in_schema=False)
def show_overview(request: Request, frame: Framed) -> HTMLResponse:
    """All projects that one may see, or those that are asked for."""
    wanted = Listing.of(request.query_params)
    fitting = [one for one in frame.summaries if wanted.fits(one)]
    found = [one for one in fitting if wanted.has(one)]
    ordered = in_order(found, wanted.sort, frame.switch, frame.now)
    shown, more = wanted.part_of(ordered)
    if wanted.rows:
        shown, more = wanted.rows_of(frame.summaries), False
    return page(
        frame,
        "overview.html",
        wanted=wanted,
        counts=count(fitting),
        sections=list(_sections(shown, wanted, _Rows(request, frame, shown))),
        last=shown[-1].project.name if more else "",
        hosts=sorted({host for one in frame.summaries for host in hosts_of(one)}),
        kinds=sorted({one.project.kind for one in frame.summaries}),
        sorts=_SORTS,
        out=[one.project.name for one in shown if not wanted.has(one)],
        in_sync=_in_sync(frame.groups),
    )


_SORTS: Mapping[Sort, str] = {
    Sort.ATTENTION: "Needs you first",
    Sort.NAME: "Name",
    Sort.CHANGED: "Last change",
    Sort.HOST: "Host",
}


def _sections(shown: Sequence[ProjectSummary], wanted: Listing, made: "_Rows") -> Iterator[Section]:
    if wanted.sort is not Sort.ATTENTION:
        some: Iterable[tuple[Group | None, Iterable[ProjectSummary]]] = [(None, shown)]
    else:
        some = groupby(shown, key=lambda one: GROUP_OF[one.standing])
    for group, ones in some:
        if rows := [made.html(one) for one in ones]:
            yield Section(group, rows)


class _Rows:
    """The rows of one page."""

    def __init__(self, request: Request, frame: Frame, shown: Sequence[ProjectSummary]) -> None:
        store = frame.application.store
        self._onlooker = Onlooker(frame)
        self._cache: RowCache = request.app.state.rows
        if frame.sight.is_whole:
            self._cache.forget_others(one.project.name for one in frame.summaries)
        self._health = store.list_health()
        self._images = _image_looks(frame, shown)
        running = [one.project.name for one in shown if one.state.running]
        self._usual = store.list_usual_durations(running)

    def html(self, one: ProjectSummary) -> "Markup":
        """Return one."""
        from markupsafe import Markup

        name = one.project.name
        row = self._cache.row(one, self._onlooker, self._usual.get(name))
        look = self._images.get(name) or _look(self._health.get(name), one)
        cell = self._cache.look(look, self._onlooker)
        return Markup(row.replace(LOOK, cell, 1))  # noqa: S704  both were made by templates


def _look(health: SourceHealth | None, one: ProjectSummary) -> Look:
    if health is None or one.project.source is None:
        return Look()
    if health.error:
        trouble = _TROUBLES.get(health.error.code, "trouble")
        return Look(health.looked_at, health.next_look_at, trouble, health.failures)
    return Look(health.looked_at, health.next_look_at)


def _image_looks(frame: Frame, shown: Sequence[ProjectSummary]) -> Mapping[ProjectName, Look]:
    """Return when projects without a source had their images looked at."""
    sourceless = [one.project for one in shown if one.project.kind is ProjectKind.IMAGE]
    if not sourceless:
        return {}
    store = frame.application.store
    pause = timedelta(seconds=int(store.get_settings()[IMAGE_WATCH_INTERVAL].value))
    looked: Mapping[ProjectName, datetime] = store.images_looked_at()
    return {
        project.name: Look(looked[project.name], looked[project.name] + pause)
        for project in sourceless
        if project.name in looked
    }


def _in_sync(groups: Counter[Group]) -> str:
    every, calm = groups.total(), groups[Group.IN_SYNC]
    return f"{every} project{'' if every == 1 else 's'}, {calm} in sync."
