"""The manifest of a revision, from the commit to the way back."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from reconciler.domain.deployment import Stage, Status, Trigger
from reconciler.domain.errors import (
    CommandFailed,
    Interrupted,
    InvalidComposeFile,
    SourceUnreachable,
)
from reconciler.domain.manifest import MANIFEST_PATH
from reconciler.domain.references import CommitSha
from reconciler.pipeline.explain import Explainer
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World

HEALTH = """
[health]
kind = "http"
port = 80
path = "{}"
successes = 1
retries = 1
start_period_seconds = 0
"""


def says(world: World, commit: CommitSha, text: str) -> None:
    world.commits.files[commit] = {MANIFEST_PATH: text.encode()}


def allow(world: World, *, allowed: bool = True, **changes: Any) -> None:
    project = replace(world.store.get_project(WEB), allow_manifest=allowed)
    world.store.update_project(replace(project, **changes))


def asked_paths(world: World) -> list[str]:
    """Return the paths of the health checks that were asked, in order, each once."""
    paths = [target.health.path for target, _ in world.prober.asked if target.health]
    return list(dict.fromkeys(paths))


def test_what_it_says_holds_and_is_kept(world: World) -> None:
    """The health check is asked, and the text stays with the deployment."""
    allow(world)
    says(world, A, HEALTH.format("/a"))
    done = world.deploy(A)
    assert done.status is Status.DEPLOYED
    assert asked_paths(world) == ["/a"]
    assert done.prepared is not None
    assert (done.prepared.manifest, done.prepared.manifest_ignored) == (HEALTH.format("/a"), False)
    assert ".reconciler.toml says: health" in world.output(done.id)


def test_it_is_ignored_and_said_where_it_is_not_allowed(world: World) -> None:
    """Whatever is in it; `why` says so, too."""
    says(world, A, "nonsense")
    done = world.deploy(A)
    assert done.status is Status.DEPLOYED
    assert done.prepared is not None
    assert (done.prepared.manifest, done.prepared.manifest_ignored) == ("", True)
    assert "--allow-manifest" in world.output(done.id)
    reasons = Explainer(world.store, world.clock, world.brakes).why(WEB).reasons
    assert "manifest-ignored" in [reason.code for reason in reasons]


def test_a_link_counts_only_where_a_manifest_would(world: World) -> None:
    """A symlink is never followed; where manifests are not allowed it stops nobody."""
    world.commits.failures.append(InvalidComposeFile(".reconciler.toml is a symlink"))
    assert world.deploy(A).status is Status.DEPLOYED
    allow(world)
    world.commits.failures.append(InvalidComposeFile(".reconciler.toml is a symlink"))
    done = world.deploy(B)
    assert done.error is not None
    assert (done.status, done.error.code) == (Status.FAILED, "invalid-manifest")


@pytest.mark.parametrize(
    ("text", "code"), [('hosts = ["x"]', "manifest-refused"), ("hosts", "invalid-manifest")]
)
def test_one_that_can_not_be_used_stops_the_deployment(world: World, text: str, code: str) -> None:
    """In prepare, before anything was changed; what runs goes on."""
    allow(world)
    world.deploy(A)
    says(world, B, text)
    world.strategy.calls.clear()
    done = world.deploy(B)
    assert done.error is not None
    assert (done.status, done.error.code, done.stage) == (Status.FAILED, code, Stage.PREPARE)
    assert world.strategy.calls == []
    assert world.store.get_state(WEB).quarantined == ()


def test_going_back_is_judged_by_the_manifest_of_that_revision(world: World) -> None:
    """Each revision by its own; nothing is read again for it."""
    allow(world)
    says(world, A, HEALTH.format("/a"))
    says(world, B, HEALTH.format("/b"))
    world.deploy(A)
    del world.commits.files[A]
    world.prober.asked.clear()
    world.prober.problems = ["answered 500"]
    done = world.deploy(B)
    assert done.status is Status.ROLLED_BACK
    assert asked_paths(world) == ["/b", "/a"]


@pytest.mark.parametrize(
    "since", [{"allowed": False}, {"expose_port": 81}], ids=["forbidden", "refused"]
)
def test_a_manifest_that_does_not_count_any_more_keeps_nobody_from_going_back(
    world: World, since: dict[str, Any]
) -> None:
    """It is left out: what the operator says now is what holds."""
    allow(world)
    says(world, A, HEALTH.format("/a"))
    world.deploy(A)
    allow(world, **since)
    world.prober.asked.clear()
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.failures["apply"] = [CommandFailed("compose ended with 1")]
    assert world.deploy(B).status is Status.ROLLED_BACK
    assert asked_paths(world) == []


def test_a_worker_that_takes_over_goes_by_the_recorded_text(world: World) -> None:
    """Killed between apply and verify: the health check is asked all the same, from the record."""
    allow(world)
    says(world, A, HEALTH.format("/a"))
    world.trigger(A)
    world.strategy.on_call = lambda name: world.cancel.set() if name == "observe" else None
    with pytest.raises(Interrupted):
        world.roll_out()
    world.commits.files.clear()
    world.cancel = threading.Event()
    world.strategy.on_call = lambda _: None
    world.store.release_all("me")
    world.prober.asked.clear()
    assert world.roll_out().status is Status.DEPLOYED
    assert asked_paths(world) == ["/a"]


def test_going_back_to_a_manifest_that_is_refused_by_now_outlives_its_worker(world: World) -> None:
    """A person went back to it; that a worker was killed meanwhile does not undo that."""
    allow(world)
    says(world, A, HEALTH.format("/a"))
    first = world.deploy(A)
    world.deploy(B)
    allow(world, expose_port=81)
    world.trigger(A, Trigger.ROLLBACK, revision=first.target_revision, restores=first.id)
    world.strategy.on_call = lambda name: world.cancel.set() if name == "observe" else None
    with pytest.raises(Interrupted):
        world.roll_out()
    world.cancel = threading.Event()
    world.strategy.on_call = lambda _: None
    world.store.release_all("me")
    assert world.roll_out().status is Status.DEPLOYED


def test_a_commit_that_can_not_be_had_is_tried_again(world: World) -> None:
    allow(world)
    world.commits.failures.append(SourceUnreachable("git.example: 503"))
    assert world.deploy(A).status is Status.QUEUED


def test_the_commit_is_kept_as_people_know_it(world: World) -> None:
    """Without the project's secrets; going back shows what was gone back to."""
    world.deploy(A)
    told = world.deploy(B).headline
    assert told is not None
    assert (told.commit, told.subject) == (B, f"Change {B.short}")
    live = world.store.get_state(WEB).live
    assert live is not None
    assert live.headline == told
