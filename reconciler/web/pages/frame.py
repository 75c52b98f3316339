"""What stands around every page: who looks at it, the master switch, what needs a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from reconciler import __version__
from reconciler.app import Application
from reconciler.app.installation import built_of
from reconciler.domain.access import Scope
from reconciler.domain.gate import MasterSwitch
from reconciler.pipeline.explain import ProjectSummary
from reconciler.pipeline.people.sessions import form_token
from reconciler.web.cookies import session_cookie
from reconciler.web.feed import Feed
from reconciler.web.pages.loops import late_loops
from reconciler.web.pages.reader import Reader
from reconciler.web.pages.words import GROUP_OF, Group
from reconciler.web.principal import Policy, Principal, Sight, principal_of


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page is given."""

    application: Application
    principal: Principal
    reader: Reader
    now: datetime
    origin: str  #: by which they reach the daemon, like ``http://127.0.0.1:8484``
    path: str  #: of the page itself
    query: Mapping[str, str]  #: of its address
    form_token: str
    switch: MasterSwitch
    summaries: Sequence[ProjectSummary]  #: that they may see, by name
    groups: Counter[Group]  #: how many of them ask for what
    position: str  #: of the newest thing that this page knows; what follows is told after it
    state: str  #: of the daemon: ready, draining …
    version: str = __version__
    commit: str = ""

    @property
    def sight(self) -> Sight:
        """What they get to see."""
        return Sight(self.principal.name, self.principal.grants.projects_for(Scope.READ))

    @property
    def is_without_role(self) -> bool:
        """Whether nobody has said yet what they may see."""
        return not self.principal.may_somewhere(Policy.READ)

    @property
    def next_look(self) -> datetime | None:
        """When a source is looked at next; None: none is to be."""
        return self.application.store.next_poll(self.now, self.sight.projects)

    @property
    def held(self) -> int:
        """How many projects have moved and wait."""
        return self.groups[Group.WAITING]

    @property
    def up(self) -> timedelta:
        """How long the daemon has been up."""
        return self.now - self.application.started_at

    @property
    def late(self) -> Sequence[str]:
        """Which of its loops are late, in words."""
        return late_loops(self.application.daemon.loops())

    def may(self, policy: str, project: str | None = None) -> bool:
        """Tell whether whoever looks may do this, on ``project`` or on the whole daemon."""
        return self.principal.may(Policy(policy), project)


async def _frame(request: Request) -> Frame:
    application: Application = request.app.state.application
    feed: Feed = request.app.state.feed
    scene, position = await feed.now()
    principal = principal_of(request)
    sight = Sight(principal.name, principal.grants.projects_for(Scope.READ))
    seen = [one for one in scene.summaries if sight.has(one.project.name)]
    switch = await run_in_threadpool(application.switch)
    cookie = session_cookie(request.scope)
    return Frame(
        application,
        principal,
        Reader.of(request),
        application.clock.now(),
        str(request.base_url).rstrip("/"),
        request.url.path,
        request.query_params,
        form_token(cookie) if cookie else "",
        switch,
        seen,
        Counter(GROUP_OF[one.standing] for one in seen),
        position,
        application.daemon.state,
        commit=built_of(),
    )


#: What every page is given.
Framed = Annotated[Frame, Depends(_frame)]
