"""What was read back is kept in a size that can be kept, whatever an app says and does."""

import json
from datetime import timedelta
from typing import Any

import pytest

from reconciler.domain.evidence import MOST_BYTES, Asked, Verification, cleaned, evidence_of
from reconciler.domain.probing import CheckName, Reading
from reconciler.domain.verification import Health, Observation, RunState, Sample
from reconciler.testing import digest_of

AT = "2026-03-01T12:00:00+00:00"


def look(seconds: float, *samples: Sample) -> Observation:
    return Observation(timedelta(seconds=seconds), samples)


def sample(health: Health = Health.HEALTHY, name: str = "web", **more: object) -> Sample:
    digests = frozenset({digest_of(name)})
    return Sample(f"id-{name}", name, RunState.RUNNING, digests, health, **more)  # type: ignore[arg-type]


def test_the_end_and_each_change_on_the_way() -> None:
    """A thousand looks that saw the same are one entry."""
    seen = [look(0, sample(Health.STARTING, health_detail="503"))]
    seen += [look(one, sample()) for one in range(1, 1001)]
    asked = [
        Asked(
            CheckName.VERSION,
            timedelta(seconds=1),
            Reading("http://app/", "", 200, "abc1234"),
            "id-web",
        )
    ]
    kept: dict[str, Any] = dict(evidence_of(Verification(AT, "", seen, asked)))
    assert (kept["looks"], kept["seconds"], kept["problem"]) == (1001, 1000.0, "")
    (running,) = kept["running"]
    assert running["digests"] == [digest_of("web").text]
    assert (running["service"], running["state"], running["health"]) == (
        "web",
        "running",
        "healthy",
    )
    states = [(one["at"], one["samples"][0]["health"]) for one in kept["health"]]
    assert states == [(0.0, "starting"), (1.0, "healthy")]
    assert kept["health"][0]["samples"][0]["detail"] == "503"
    assert kept["versions"] == [
        {
            "check": "version",
            "at": 1.0,
            "container": "id-web",
            "asked": "http://app/",
            "status": 200,
            "told": "abc1234",
            "problem": "",
        }
    ]


def test_nothing_was_seen() -> None:
    """A host that never answered leaves that."""
    kept = evidence_of(Verification(AT, "it hangs", ()))
    assert (kept["problem"], kept["looks"], kept["running"]) == ("it hangs", 0, [])


@pytest.mark.parametrize("services", [1, 40, 400])
def test_however_much_there_was(services: int) -> None:
    """What does not fit is counted."""
    long = "x" * 100_000
    flapping = (Health.HEALTHY, Health.UNHEALTHY)
    seen = [
        look(
            at,
            *(sample(flapping[at % 2], f"s{one}", health_detail=long) for one in range(services)),
        )
        for at in range(30)
    ]
    answers = [
        Asked(check, timedelta(seconds=at), Reading(long, long, 500, long))
        for check in CheckName
        for at in range(300)
    ]
    kept = evidence_of(Verification(AT, long, seen, answers))
    assert len(json.dumps(kept)) <= MOST_BYTES
    assert (kept["running_count"], kept["probe_count"], kept["health_count"]) == (services, 600, 30)
    assert kept["running"]
    assert {one["check"] for one in kept["probes"]} == {"health", "ready"}  # type: ignore[attr-defined]
    assert kept["versions"]


def test_every_text_is_cleaned() -> None:
    """However deep it stands."""
    told = {"verify": {"probes": [{"told": "my secret", "at": 1.5}], "looks": 3, "none": None}}
    assert cleaned(told, lambda text: text.replace("secret", "…")) == {
        "verify": {"probes": [{"told": "my …", "at": 1.5}], "looks": 3, "none": None}
    }
