"""What holds a project back on purpose, and what its declaration lacks."""

from collections.abc import Iterator

from reconciler.domain.gate import reasons_to_refuse
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_brakes(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield the brakes that are on, quarantines, and what was passed over."""
    yield from (reason(one.code, one.text) for one in reasons_to_refuse(facts.project))
    if facts.project.kind.deployable:
        yield from _holds(facts)
        yield from _quarantines(facts)
        yield from _passed_over(facts)
        yield from _declaration(facts)


def _holds(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield each brake with who put it on, when, and what waits for its release."""
    state, switch, freeze, waits = facts.state, facts.switch, facts.state.freeze, facts.waits
    by_code = {
        ReasonCode.EMERGENCY_FILE: (None, {"file": switch.emergency_file}),
        ReasonCode.MASTER_SWITCH_OFF: (
            switch.changed_at,
            {"by": switch.changed_by, "reason": switch.reason},
        ),
        ReasonCode.AUTO_DEPLOY_OFF: (state.toggled_at, {"by": state.toggled_by}),
        ReasonCode.WINDOW_CLOSED: (None, {"windows": _windows(facts)}),
    }
    if freeze:
        by_code[ReasonCode.FROZEN] = freeze.at, {"by": freeze.by, "reason": freeze.reason}
    for one in facts.holds:
        if one.code is ReasonCode.AUTO_DEPLOY_OFF and facts.promoting and facts.promoting.is_asked:
            continue  # who asks for it, or approves it, does so whatever the toggle says
        at, evidence = by_code[one.code]
        text = one.text
        if one.code is ReasonCode.AUTO_DEPLOY_OFF and state.toggled_by:
            how = "declared" if state.toggled_at == facts.project.created_at else "switched"
            text += f"; {state.toggled_by} {how} it so"
        text += f"; {waits} waits for that" if waits else ""
        yield reason(one.code, text, at, {**evidence, "until": one.until, "waits": waits})


def _windows(facts: Facts) -> str:
    return ", ".join(map(str, facts.project.rules.windows))


def _quarantines(facts: Facts) -> Iterator[ExplainedReason]:
    for one in facts.state.quarantined:
        text = (
            f"{one.revision} is {one.story}; a newer commit or digest lifts that, "
            f"or `reconciler quarantine lift {facts.project.name}`"
        )
        evidence = {
            "deployment": one.deployment,
            "commit": one.revision.commit,
            **one.revision.images,
            "because": one.reason,
        }
        yield reason(ReasonCode.QUARANTINED, text, one.since, evidence)


def _passed_over(facts: Facts) -> Iterator[ExplainedReason]:
    passed, name = facts.state.passed_over_at(facts.health.observed), facts.project.name
    if passed is None:
        return
    text = (
        f"{passed.commit.short} was passed over: {passed.text}; a newer commit that concerns "
        f"{name} brings it along, or `reconciler deploy {name}` deploys it now"
    )
    evidence = {"commit": passed.commit, "compared_with": passed.base}
    yield reason(ReasonCode(passed.code), text, passed.at, evidence)


def _declaration(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield that what runs is from before the last edit, where nothing newer was tried."""
    live, latest, project = facts.state.live, facts.state.latest, facts.project
    if live is None or latest is None:
        return
    deployed, declared = live.target_revision.generation, project.generation
    if declared not in {deployed, latest.revision.generation}:
        text = (
            f"deployment {live.id} is from before the last change of its declaration or variables; "
            f"`reconciler {'promote' if project.promoted_from else 'deploy'} {project.name}` "
            "applies that"
        )
        evidence = {"deployed": deployed, "declared": declared, "deployment": live.id}
        yield reason(ReasonCode.DECLARATION_CHANGED, text, project.updated_at, evidence)
