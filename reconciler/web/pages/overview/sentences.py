"""What needs a person, or why something waits: one sentence a project, and one link."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from reconciler.domain.deployment import AS_BEFORE, Deployment, Status
from reconciler.domain.project import ProjectKind
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.pages.sentences import sentence

_COMMAND = "`reconciler "
_NOTHING = {
    ProjectKind.TUNNEL: "A tunnel. There is nothing to deploy.",
    ProjectKind.DOMAIN_ONLY: "A name only. There is nothing to deploy.",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a row."""

    text: str
    link: str = ""  #: the words of its link; empty: it has none
    address: str = ""
    dialog: bool = False  #: whether the link asks before anything is done
    narrow: bool = False  #: said only where there is no room for a column that says it


def sentence_of(one: ProjectSummary, rights: Collection[str]) -> Sentence | None:
    """Return what a row says beside what runs, to somebody with some ``rights``; None: nothing."""
    say = _SAYS.get(one.standing)
    return say(_Teller(one, rights)) if say else None


def without_commands(text: str) -> str:
    """Return a sentence of the API without the parts that tell a command: links do that here."""
    return "; ".join(part for part in text.split("; ") if _COMMAND not in part).rstrip(" .:;,")


@dataclass(frozen=True, slots=True)
class _Teller:
    one: ProjectSummary
    rights: Collection[str]

    def failed(self) -> Sentence:
        latest = self.one.state.latest
        number = latest.id if latest else ""
        text = self.one.text
        for how in ("failed", "needs a person"):
            text = text.removeprefix(f"deployment {number} {how}: ")
        said = f"{self._said(text)}{_still(latest, self.one.state.live)}"
        return Sentence(said, f"Read #{number}", f"/deployments/{number}")

    def quarantined(self) -> Sentence:
        last = self.one.state.quarantined[-1]
        commit = last.revision.commit
        what = commit.short if commit else "What came last"
        text = f"{what} was rolled back: {last.reason.rstrip('.')}. "
        text += "A newer one deploys; this one waits for you."
        return Sentence(text, f"See #{last.deployment}", f"/deployments/{last.deployment}")

    def drifted(self) -> Sentence:
        return Sentence(self._said(), "Compare", self._at())

    def unknown(self) -> Sentence:
        where = self.one.project.where
        return Sentence(self._said(), "See the host", f"/hosts/{where[0].host}" if where else "")

    def branch_gone(self) -> Sentence:
        if "config" in self.rights:
            return Sentence(self._said(), "Follow another", self._at("/settings"))
        return self.held_somehow()

    def needs_approval(self) -> Sentence:
        latest = self.one.state.latest
        text = self.one.text
        if latest and latest.status is Status.NEEDS_OPERATOR:
            before = f"deployment {latest.id} waits for a person to approve its migration: "
            text = text.removeprefix(before)
        if "trigger" in self.rights:
            return Sentence(self._said(text), "Approve…", self._at("/approve"), dialog=True)
        return Sentence(self._said(text), "Why", self._at())

    def held(self) -> Sentence:
        if self.one.state.freeze and " froze " in self.one.text and "trigger" in self.rights:
            return Sentence(self._said(), "Resume…", self._at("/pause"), dialog=True)
        return self.held_somehow()

    def held_somehow(self) -> Sentence:
        return Sentence(self._said(), "Why", self._at())

    def queued(self) -> Sentence:
        queued = self.one.state.queued
        number = queued.id if queued else ""
        text = self.one.text.removeprefix(f"deployment {number} ")
        return Sentence(self._said(text), f"#{number}", f"/deployments/{number}")

    def off(self) -> Sentence:
        state, project = self.one.state, self.one.project
        by = f"was switched off by {state.toggled_by}" if state.toggled_by else "is off"
        wanted = state.newest_wanted(self.one.health.observed)
        live = state.live.target_revision.commit if state.live else None
        if wanted is None or wanted == live:
            return Sentence(f"Auto-deploy {by}.")
        text = f"Auto-deploy {by}; {project.followed_branch} is at {wanted.short}."
        return self._with_plan(text)

    def never(self) -> Sentence:
        return self._with_plan(self._said())

    def in_sync(self) -> Sentence | None:
        state, health = self.one.state, self.one.health
        live, generation = state.live, self.one.project.generation
        outdated = live is not None and live.target_revision.generation != generation
        if outdated or state.passed_over_at(health.observed):
            return self.held_somehow()
        if _moved(self.one):
            return Sentence(self._said())
        return Sentence(self._said(), narrow=True) if health.error else None

    def not_deployable(self) -> Sentence:
        return Sentence(_NOTHING.get(self.one.project.kind, self._said()))

    def _with_plan(self, text: str) -> Sentence:
        if "trigger" in self.rights:
            return Sentence(text, "See the plan", self._at("/deploy"))
        return Sentence(text)

    def _said(self, text: str = "") -> str:
        project, freeze = self.one.project, self.one.state.freeze
        names = [project.name, str(project.followed_branch), freeze.by if freeze else ""]
        names += [str(target.host) for target in project.where]
        return sentence(without_commands(text or self.one.text), names)

    def _at(self, path: str = "") -> str:
        return f"/projects/{self.one.project.name}{path}"


def _moved(one: ProjectSummary) -> bool:
    """Tell whether the next look takes up what was held until just now."""
    live = one.state.live.target_revision.commit if one.state.live else None
    return one.state.newest_wanted(one.health.observed) not in {
        None,
        one.state.tracked_commit,
        live,
    }


def _still(latest: Deployment | None, live: Deployment | None) -> str:
    """Return what serves after a deployment that changed nothing, or went back; empty: unknown."""
    if live is None or latest is None or not latest.targets:
        return ""
    if any(target.status not in AS_BEFORE for target in latest.targets):
        return ""
    commit = live.target_revision.commit
    return f" {commit.short if commit else f'Deployment {live.id}'} still serves."


_SAYS: Mapping[StandingCode, Callable[[_Teller], Sentence | None]] = {
    StandingCode.FAILED: _Teller.failed,
    StandingCode.QUARANTINED: _Teller.quarantined,
    StandingCode.DRIFTED: _Teller.drifted,
    StandingCode.UNKNOWN: _Teller.unknown,
    StandingCode.BRANCH_GONE: _Teller.branch_gone,
    StandingCode.NEEDS_APPROVAL: _Teller.needs_approval,
    StandingCode.HELD: _Teller.held,
    StandingCode.QUEUED: _Teller.queued,
    StandingCode.OFF: _Teller.off,
    StandingCode.NEVER_DEPLOYED: _Teller.never,
    StandingCode.IN_SYNC: _Teller.in_sync,
    StandingCode.NOTHING_TO_DEPLOY: _Teller.not_deployable,
}
