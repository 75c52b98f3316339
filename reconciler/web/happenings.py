"""What is to be seen of the daemon at one moment, and what differs a moment later."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from reconciler.app import Application
from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import NotFound
from reconciler.domain.promotion import Promotion, PromotionStatus
from reconciler.pipeline.explain import ProjectSummary, is_out_of_sight
from reconciler.web.bodies import body_of
from reconciler.web.schemas.daemon import SwitchBody
from reconciler.web.schemas.project_summary import SummaryBody
from reconciler.web.schemas.promotions import PromotionBody

_UNDER_WAY = (Status.QUEUED, Status.RUNNING)
_MOST = 1000

_Key = tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, before it has a number."""

    kind: str
    project: str  #: whose; empty: everybody's
    data: str  #: JSON

    def is_of(self, projects: Collection[str] | None) -> bool:
        """Tell whether it is of one of them, or everybody's; None: all."""
        return projects is None or not self.project or self.project in projects


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is to be seen, and how it is told."""

    fact: object  #: equal to the one of a moment later where there is nothing to tell
    told: Happening


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is to be seen."""

    things: Mapping[_Key, Thing] = field(default_factory=dict)
    newest: int = 0  #: number of the newest deployment
    summaries: Sequence[ProjectSummary] = ()  #: of all projects, by name

    def snapshot(self, projects: Collection[str] | None = None) -> str:
        """Return what there is of these projects, as JSON; None: all of it."""
        seen = [one.told for one in self.things.values() if one.told.is_of(projects)]
        (daemon,) = _of(seen, "daemon")
        (switch,) = _of(seen, "switch")
        lists = (
            f'"{kind}s":[{",".join(_of(seen, kind))}]'
            for kind in ("project", "deployment", "promotion")
        )
        return f'{{"daemon":{daemon},"switch":{switch},{",".join(lists)}}}'

    def changes_since(self, before: "Scene") -> Iterator[Happening]:
        """Yield what is to be told to those who know ``before``."""
        for kind, key in before.things.keys() - self.things.keys():
            if kind == "project":
                yield Happening("project-removed", str(key), json.dumps({"name": key}))
        for place, thing in self.things.items():
            known = before.things.get(place)
            if known is None or known.fact != thing.fact:
                yield thing.told


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at the daemon and its store. Reads only; to be called in a thread."""

    application: Application

    def mark(self) -> str:
        """Return text that is another once anything is to be told; it costs little."""
        application = self.application
        return (
            f"{application.daemon.state} {application.switch()} {self._out_of_sight()} "
            f"{application.store.change_mark()}"
        )

    def _out_of_sight(self) -> Sequence[str]:
        explainer = self.application.explainer
        now = explainer.clock.now()
        troubles = explainer.troubles()
        return sorted(name for name, one in troubles.items() if is_out_of_sight(one, now))

    def look(self, before: Scene) -> Scene:
        """Return what is to be seen now; what is as it was ``before`` is not told anew."""
        application = self.application
        state, switch = application.daemon.state, application.switch()
        newest = self._newest()
        deployments = self._deployments(before, newest)
        told = json.dumps({"state": state})
        things: dict[_Key, Thing] = {
            ("daemon", ""): Thing(state, Happening("daemon", "", told)),
            ("switch", ""): Thing(
                switch, Happening("switch", "", SwitchBody.of(switch).model_dump_json())
            ),
        }
        summaries = application.summaries(before.summaries)
        for summary in summaries:
            place = ("project", summary.project.name)
            things[place] = _project(summary, before.things.get(place))
        for one in deployments:
            things["deployment", one.id] = self._deployment(one, before)
        for promotion in self._promotions(before):
            told = PromotionBody.of(promotion).model_dump_json()
            happening = Happening("promotion", promotion.project, told)
            things["promotion", promotion.id] = Thing(promotion, happening)
        return Scene(things, newest, summaries)

    def _promotions(self, before: Scene) -> Iterator[Promotion]:
        """Yield those that wait, and those that did before."""
        store = self.application.store
        waiting = {one.id: one for one in store.list_waiting()}
        facts = [thing.fact for thing in before.things.values()]
        for one in facts:
            if not isinstance(one, Promotion) or one.id in waiting:
                continue
            if one.status is PromotionStatus.WAITING:
                with suppress(NotFound):  # it went with its project
                    yield store.get_promotion(one.id)
        yield from waiting.values()

    def _deployments(self, before: Scene, newest: int) -> Sequence[Deployment]:
        """Return those under way, those that were so before, and those that came and went since."""
        store = self.application.store
        found = {one.id: one for one in store.list_deployments(statuses=_UNDER_WAY, limit=_MOST)}
        if before.things and (came := min(newest - before.newest, _MOST)) > 0:
            newer = store.list_deployments(before=DeploymentId(newest + 1), limit=came)
            found |= {one.id: one for one in newer if one.id > before.newest}
        for number in _under_way(before) - found.keys():
            try:
                found[number] = store.get_deployment(number)
            except NotFound:  # it went with its project
                continue
        return [found[number] for number in sorted(found)]

    def _deployment(self, one: Deployment, before: Scene) -> Thing:
        known = before.things.get(("deployment", one.id))
        if known is not None and known.fact == one:
            return known
        data = body_of(self.application.store, one).model_dump_json()
        return Thing(one, Happening("deployment", one.project, data))

    def _newest(self) -> int:
        return next((one.id for one in self.application.store.list_deployments(limit=1)), 0)


def _project(summary: ProjectSummary, known: Thing | None) -> Thing:
    fact = summary.news
    if known is not None and known.fact == fact:
        return known
    name = summary.project.name
    return Thing(fact, Happening("project", name, SummaryBody.of(summary).model_dump_json()))


def _under_way(scene: Scene) -> set[DeploymentId]:
    facts = (thing.fact for thing in scene.things.values())
    return {one.id for one in facts if isinstance(one, Deployment) and not one.status.final}


def _of(seen: Iterable[Happening], kind: str) -> list[str]:
    return [one.data for one in seen if one.kind == kind]
