"""What a service needs before one of its containers can start, by its ``depends_on``."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler.domain.errors import Interrupted, RolloutError
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.ports import Engine, Work

_EVERY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Dependencies:
    """All that one service depends on, also through others."""

    #: Service → what is waited for. Source: Compose specification, ``05-services.md``,
    #: "depends_on", "Long syntax".
    conditions: Mapping[str, str]
    engine: Engine

    def missing(self, work: Work) -> tuple[str, ...]:
        """Return those that have no container yet, not even one that has ended."""
        there = {sample.service for sample in self.engine.containers(work.project.name)}
        return tuple(name for name in self.conditions if name not in there)

    def wait(self, work: Work, most: timedelta) -> None:
        """Wait until each is as its condition says.

        Raises:
            RolloutError: one ended otherwise, or is not so in time.
            Interrupted: the work was cancelled.
        """
        until = time.monotonic() + most.total_seconds()
        while waiting := self._waiting(self.engine.containers(work.project.name)):
            if time.monotonic() >= until:
                text = "; ".join(waiting)
                raise RolloutError(
                    f"what the migration depends on is not up after {most.total_seconds():.0f} s: "
                    f"{text}"
                )
            if work.cancel.wait(_EVERY_SECONDS):
                raise Interrupted("stopped before the migration began")

    def _waiting(self, samples: Sequence[Sample]) -> list[str]:
        """Return what is still waited for. Raises ``RolloutError``: in vain."""
        found = []
        for name, condition in self.conditions.items():
            own = [sample for sample in samples if sample.service == name]
            for sample in own:
                _require_no_failure(sample)
            if not own or not all(_is_so(condition, sample) for sample in own):
                states = ", ".join(f"{one.state} {one.health}" for one in own) or "not there"
                found.append(f"{name} ({states}, needed: {condition})")
        return found


def dependencies_of(document: Mapping[str, Any], service: str, engine: Engine) -> Dependencies:
    """Return what ``service`` of a rendered project depends on."""
    found: dict[str, str] = {}
    pending = [service]
    while pending:
        needs = (document["services"].get(pending.pop()) or {}).get("depends_on") or {}
        for name, need in needs.items():
            if name in document["services"] and name != service:
                pending += [name] if name not in found else []
                condition = str(need.get("condition") or "service_started")
                # Of two that name it, the first one that asks for more than a start counts.
                if found.get(name, "service_started") == "service_started":
                    found[name] = condition
    return Dependencies(found, engine)


def _is_so(condition: str, sample: Sample) -> bool:
    finished = sample.state is RunState.EXITED and sample.exit_status == 0
    if condition == "service_completed_successfully":
        return finished
    if condition == "service_healthy":
        return sample.state is RunState.RUNNING and sample.health is Health.HEALTHY
    return sample.state is RunState.RUNNING or finished


def _require_no_failure(sample: Sample) -> None:
    if sample.state is RunState.EXITED and sample.exit_status:
        raise RolloutError(
            f"{sample.service}, which the migration depends on, ended with exit status "
            f"{sample.exit_status}"
        )
