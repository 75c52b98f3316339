"""D3, D5: what was verified on test goes to production, and nothing else; on a real engine."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.domain.deployment import Deployment, Status, Trigger
from reconciler.domain.host import Host, HostName
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.secret import Secret
from reconciler.domain.target import implied_target
from tests.parts.child import free_port
from tests.parts.compose_rig import CREATED_AT, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.hosts import Hosts
from tests.parts.pipeline_rig import PipelineRig
from tests.parts.promotion_rig import OTHER_COMMIT, PromotionRig, open_promotion
from tests.parts.registry import Registry
from tests.parts.ssh_keys import make_key, public_key

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.timeout(180),
]

#: How a version fails, and what is said of it.
WAYS = {
    "crashes": "exit status 3",
    "is-unhealthy": "unhealthy (health: answered 404, expected 200 to 399)",
    "is-not-ready": "unhealthy (ready: answered 404, expected 200 to 399)",
    "tells-another": f"/told tells '{OTHER_COMMIT}', expected is commit",
}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with Hosts(tmp_path) as declared:
        yield declared


@pytest.fixture
def app(
    engine: DockerEngine, registry: Registry, tmp_path: Path, hosts: Hosts
) -> Iterator[PromotionRig]:
    with (
        open_rig(engine, registry, tmp_path, hosts=hosts) as rig,
        open_promotion(rig) as made,
    ):
        yield made


def probed(pipeline: PipelineRig, deployed: Deployment) -> dict[str, dict[str, object]]:
    """Return the last answer to each check, by its name, as the receipt has it."""
    receipt = pipeline.store.get_receipt(deployed.id)
    (target,) = json.loads(receipt.text)["targets"]
    found = target["evidence"]["verify"]
    return {one["check"]: one for one in [*found["probes"], *found["versions"]]}


def deploy(app: PromotionRig, note: str) -> tuple[str, Deployment]:
    """Release a version, and deploy it on test; return its commit, and what became of it."""
    commit = app.release(note)
    return commit, app.test.deploy()


# ── What is promised, on what runs already ────────────────────────────────────────────────────


def promoted_as_verified(app: PromotionRig, note: str) -> str:
    """See a version verified on test, and then in production, though the tag moved meanwhile."""
    commit, verified = deploy(app, note)
    assert verified.status is Status.DEPLOYED, app.test.output(verified)
    app.push_image(OTHER_COMMIT)
    promoted = app.promote()
    assert promoted is not None
    assert promoted.status is Status.DEPLOYED, app.test.output(promoted)
    assert promoted.promotes == verified.id
    assert [cause.trigger for cause in promoted.causes] == [Trigger.PROMOTION]
    for pipeline, deployed in ((app.test, verified), (app.production, promoted)):
        answers = probed(pipeline, deployed)
        assert {name: one["status"] for name, one in answers.items()} == {
            "health": 200,
            "ready": 200,
            "version": 200,
        }
        assert answers["version"]["told"] == commit
    runs = [one.rig.running("web") for one in (app.test, app.production)]
    assert runs[0]["image"] == runs[1]["image"]
    assert runs[0]["id"] != runs[1]["id"]
    assert app.promote() is None, "once is enough"
    assert app.waiting() == []
    return commit


def fails_on_test(app: PromotionRig, way: str) -> None:
    """See production left as it is, and say why it stays so."""
    before = app.production.rig.running("web")
    app.fail(app.test, way, app.release(f"{way} on test"))
    failed = app.test.deploy()
    assert failed.status is Status.ROLLED_BACK, app.test.output(failed)
    assert failed.error is not None
    assert WAYS[way] in failed.error.message
    assert_untouched(app, before, WAYS[way])


def assert_untouched(app: PromotionRig, before: dict[str, str], because: str) -> None:
    """See that nothing goes to production, and that it tells that, and ``because``."""
    assert app.promote() is None
    assert app.production.rig.running("web") == before
    told = [one for one in app.why().reasons if one.code is ReasonCode.NOT_VERIFIED_UPSTREAM]
    assert because in told[0].text


def fails_in_production(app: PromotionRig, way: str, good: str) -> None:
    """See it go back to the digest of ``good``, verified; test keeps what it has."""
    before = app.production.rig.running("web")["image"]
    bad, verified = deploy(app, f"{way} in production")
    assert verified.status is Status.DEPLOYED, app.test.output(verified)
    app.fail(app.production, way, bad)
    failed = app.promote()
    assert failed is not None
    assert failed.status is Status.ROLLED_BACK, app.test.output(failed)
    assert failed.error is not None
    assert WAYS[way] in failed.error.message
    assert app.production.rig.running("web")["image"] == before
    evidence: dict[str, Any] = dict(failed.targets[0].evidence or {})["roll-back"]  # type: ignore[assignment]
    assert (evidence["problem"], evidence["versions"][-1]["told"]) == ("", good)
    in_test, in_production = (
        app.test.store.get_state(one.rig.name) for one in (app.test, app.production)
    )
    assert bad in {str(one.revision.commit) for one in in_production.quarantined}
    assert bad not in {str(one.revision.commit) for one in in_test.quarantined}
    assert app.promote() is None, "nothing tries it once more"
    assert app.waiting() == []
    assert ReasonCode.QUARANTINED in {one.code for one in app.why().reasons}


def can_not_be_pulled_on_test(app: PromotionRig) -> None:
    """See that what the registry has not is not verified, and goes nowhere."""
    before = app.production.rig.running("web")
    rig = app.test.rig
    app.release("gone from the registry")
    lose(app, str(rig.digest(app.image)))
    failed = app.test.deploy()
    assert failed.status is not Status.DEPLOYED
    assert_untouched(app, before, "is failed")


def can_not_be_pulled_in_production(app: PromotionRig) -> None:
    """See that what was verified and is gone since changes nothing, and is named."""
    before = app.production.rig.running("web")
    rig = app.test.rig
    _, verified = deploy(app, "gone since it was verified")
    assert verified.status is Status.DEPLOYED, app.test.output(verified)
    digest = str(rig.digest(app.image))
    rig.engine.remove_project(rig.name)
    lose(app, digest)
    failed = app.promote()
    assert failed is not None
    assert failed.status is Status.FAILED, app.test.output(failed)
    assert failed.error is not None
    assert failed.error.code == "not-handed-on"
    assert app.production.rig.running("web") == before


def is_out_of_reach(app: PromotionRig, hosts: Hosts) -> None:
    """See that a host of test that is away keeps what is new from going further."""
    before = app.production.rig.running("web")
    key = make_key(hosts.folder.parent / "key")
    away = Host(HostName("away"), CREATED_AT, address="127.0.0.1", port=free_port())
    app.test.store.create_host(away)
    hosts.put(replace(away, host_keys=(public_key(key),)))
    hosts.keys[away.name] = Secret.of(key.read_text())
    app.test.declare(targets=(replace(implied_target(app.test.rig.name), host=away.name),))
    _, waiting = deploy(app, "for a host that is away")
    assert waiting.status is Status.QUEUED, app.test.output(waiting)
    assert_untouched(app, before, "is queued")


def lose(app: PromotionRig, digest: str) -> None:
    """Have the registry and the engine forget an image."""
    rig = app.test.rig
    rig.registry.delete("app", digest)
    listing = ("images", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Digest}}")
    found = {line.split()[0] for line in rig.engine.docker(*listing).splitlines() if digest in line}
    for image in found:
        rig.engine.docker("rmi", "--force", image)


def test_d3_test_first_then_the_same_digest_to_production(app: PromotionRig, hosts: Hosts) -> None:
    """What test verified goes on, with the same probes; what failed, or can't be had, does not."""
    good = promoted_as_verified(app, "one")
    fails_on_test(app, "tells-another")
    fails_in_production(app, "is-not-ready", good)
    can_not_be_pulled_on_test(app)
    can_not_be_pulled_in_production(app)
    is_out_of_reach(app, hosts)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_d3_every_way_to_fail(app: PromotionRig, way: str) -> None:
    """On test it leaves production untouched; in production it brings the last good one back."""
    good = promoted_as_verified(app, "one")
    fails_on_test(app, way)
    fails_in_production(app, way, good)
    promoted_as_verified(app, "two")
