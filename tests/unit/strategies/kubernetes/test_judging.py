"""What a cluster says of a workload and its pods, and what that amounts to."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.domain.errors import SourceUnreachable
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.domain.workload import Workload, WorkloadKind
from reconciler.ports import ClusterEvent, Condition, ContainerState, PodState, WorkloadState
from reconciler.strategies.kubernetes.progress import refusal_of, timed_out, waiting_for
from reconciler.strategies.kubernetes.samples import samples_of
from reconciler.strategies.kubernetes.trouble import (
    Trouble,
    is_of,
    not_created,
    trouble_of,
    unscheduled,
    with_cause,
)
from reconciler.testing import digest_of

DEPLOYMENT, STATEFUL_SET, DAEMON_SET = WorkloadKind
DONE = WorkloadState(
    DEPLOYMENT,
    "shop",
    "web",
    "uid",
    "7",
    generation=3,
    observed_generation=3,
    wanted=2,
    updated=2,
    ready=2,
    available=2,
    total=2,
    images={"app": "x"},
    selector={},
    revision="new",
)
INDEX, PART = digest_of("index"), digest_of("part")
IMAGE = "registry.example/app"
RUNS = ContainerState(
    "app",
    f"{IMAGE}@{INDEX}",
    f"{IMAGE}@{INDEX}",
    state="running",
    ready=True,
    started_at="2026-01-01T00:00:00Z",
)
POD = PodState("web-new-1", "u1", "new", "Running", ip="10.0.0.1", containers=(RUNS,))
WEB = Workload(DEPLOYMENT, "web", {"app": f"{IMAGE}:1"})
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (DEPLOYMENT, {}, ""),
        (DEPLOYMENT, {"observed_generation": 2}, "its controller has not seen the change yet"),
        (DEPLOYMENT, {"updated": 1}, "1 of 2 pods are updated"),
        (DEPLOYMENT, {"total": 3}, "1 old pods are still to end"),
        (DEPLOYMENT, {"available": 1}, "1 of 2 updated pods are available"),
        (DEPLOYMENT, {"wanted": 0, "updated": 0, "total": 0, "available": 0}, ""),
        (STATEFUL_SET, {"available": 0}, ""),
        (STATEFUL_SET, {"ready": 1}, "1 of 2 updated pods are ready"),
        (DAEMON_SET, {"updated": 0}, "0 of 2 pods are updated"),
        (DAEMON_SET, {"available": 1}, "1 of 2 updated pods are available"),
    ],
)
def test_what_a_roll_out_waits_for(kind: WorkloadKind, changes: dict[str, Any], said: str) -> None:
    """As `kubectl rollout status` sees it."""
    assert waiting_for(replace(DONE, kind=kind, **changes)) == said


def test_the_clusters_own_verdict_is_one() -> None:
    """And no other condition is."""
    late = Condition("Progressing", "False", "ProgressDeadlineExceeded", "it timed out")
    usual = Condition("Progressing", "True", "ReplicaSetUpdated")
    assert timed_out(replace(DONE, conditions=(usual, late))) == late
    assert timed_out(replace(DONE, conditions=(usual,))) is None
    assert refusal_of(DONE) == ("", "")


@pytest.mark.parametrize(("revision", "counts"), [("new", True), ("old", False)])
def test_a_verdict_on_what_is_being_left_is_none(revision: str, counts: bool) -> None:
    """On the way back a deployment keeps it until a pod of what failed has ended."""
    message = f'ReplicaSet "web-{revision}" has timed out progressing.'
    late = Condition("Progressing", "False", "ProgressDeadlineExceeded", message)
    assert (timed_out(replace(DONE, conditions=(late,))) == late) is counts


def waits(reason: str, message: str = "", **more: Any) -> ContainerState:
    waiting = replace(RUNS, state="waiting", ready=False, reason=reason, message=message)
    return replace(waiting, started_at="", **more)


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (RUNS, ""),
        (waits("ContainerCreating"), ""),
        (waits("PodInitializing"), ""),
        (replace(RUNS, ready=False), ""),
        (replace(RUNS, state="terminated", reason="Error", exit_status=1, ready=False), ""),
        (waits("ErrImagePull", "not\n found"), "web-new-1/app: ErrImagePull: not found"),
        (waits("ImagePullBackOff"), "web-new-1/app: ImagePullBackOff"),
        (waits("InvalidImageName"), "web-new-1/app: InvalidImageName"),
        (
            waits("CreateContainerConfigError", 'secret "x" not found'),
            'web-new-1/app: CreateContainerConfigError: secret "x" not found',
        ),
        (
            waits("CrashLoopBackOff", "back-off 10s", exit_status=137, restarts=1),
            "web-new-1/app: CrashLoopBackOff: it ended with exit status 137; back-off 10s",
        ),
        (waits("CrashLoopBackOff", init=True), "web-new-1/app: CrashLoopBackOff"),
    ],
)
def test_which_pods_are_hopeless(container: ContainerState, said: str) -> None:
    """Named by what the kubelet says; what only takes time is not."""
    found = trouble_of([replace(POD, containers=(container,))])
    assert (str(found) if found else "") == said


def test_a_message_is_cut() -> None:
    """Whatever a runtime has to say, one line of it is enough."""
    found = trouble_of([replace(POD, containers=(waits("ErrImagePull", "long " * 1000),))])
    assert len(str(found)) < 400


def test_an_unscheduled_pod_lacks_room() -> None:
    """It is the cluster's trouble, and not the revision's."""
    message = "0/3 nodes are available: 3 Insufficient memory."
    condition = Condition("PodScheduled", "False", "Unschedulable", message)
    found = unscheduled(replace(POD, conditions=(condition,)))
    assert found is not None
    assert (str(found), found.lacks_room) == (f"web-new-1: Unschedulable: {message}", True)
    assert unscheduled(POD) is None


def event(object_: str, reason: str, message: str) -> ClusterEvent:
    return ClusterEvent(object_, reason, message, True, LONG_AGO)


QUOTA = 'pods "web-new-x" is forbidden: exceeded quota: q, requested: pods=1'
POLICY = 'pods "web-new-x" is forbidden: violates PodSecurity "restricted:latest"'


@pytest.mark.parametrize(
    ("conditions", "events", "reason", "lacks_room"),
    [
        ((), [event("ReplicaSet/web-new", "FailedCreate", QUOTA)], "exceeded quota", True),
        ((), [event("ReplicaSet/web-new", "FailedCreate", POLICY)], "FailedCreate", False),
        ((), [event("ReplicaSet/web-new", "FailedCreate", "timeout")], None, False),
        ((), [event("Pod/web-new-1", "FailedScheduling", "no room")], None, False),
        ((Condition("ReplicaFailure", "True", "x", QUOTA),), [], "exceeded quota", True),
        ((Condition("ReplicaFailure", "False", "x", QUOTA),), [], None, False),
        (
            (Condition("ReplicaFailure", "True", "x", QUOTA.replace("new", "old")),),
            [],
            None,
            False,
        ),
    ],
)
def test_pods_that_are_not_made(
    conditions: tuple[Condition, ...],
    events: list[ClusterEvent],
    reason: str | None,
    lacks_room: bool,
) -> None:
    """What an admission check says of the newest revision's; a passing trouble is waited for."""
    found = not_created(replace(DONE, conditions=conditions), events)
    assert (found and found.reason, bool(found and found.lacks_room)) == (reason, lacks_room)


@pytest.mark.parametrize(
    ("object_", "ours"),
    [
        ("ReplicaSet/web-new", True),
        ("ReplicaSet/web-old", False),
        ("Deployment/web", True),
        ("Pod/web-new-1", True),
    ],
)
def test_events_of_older_revisions_are_not_ours(object_: str, ours: bool) -> None:
    """A replica set says by its name which one it is."""
    assert is_of(DONE, event(object_, "FailedCreate", "")) is ours


def test_a_later_pull_is_told_by_the_first() -> None:
    """Back-off says that it failed before, and the event says of what."""
    trouble = Trouble("web-new-1/app", "ImagePullBackOff", 'Back-off pulling image "x"')
    said = event("Pod/web-new-1", "Failed", 'Failed to pull image "x": not found')
    assert with_cause(trouble, [said]).message == said.message
    assert with_cause(trouble, []) == trouble
    told = replace(trouble, message='Back-off pulling image "x": ErrImagePull: not found')
    assert with_cause(told, [said]) == told


# ── what runs ────────────────────────────────────────────────────────────────────────────────────


def parts(image: ImageReference) -> frozenset[Digest]:
    assert image.digest == INDEX
    return frozenset({PART, digest_of("other platform")})


def sample(pod: PodState) -> Sample:
    template = {one.name: one.image for one in pod.containers}
    (found,) = samples_of(WEB, replace(DONE, images=template), [pod], parts)
    return found


@pytest.mark.parametrize(
    ("image", "image_id", "digests"),
    [
        pytest.param(f"{IMAGE}@{INDEX}", f"{IMAGE}@{INDEX}", {INDEX}, id="the-pinned"),
        pytest.param(
            f"{IMAGE}@{INDEX}", f"docker-pullable://{IMAGE}@{INDEX}", {INDEX}, id="prefixed"
        ),
        pytest.param(f"{IMAGE}@{INDEX}", f"{IMAGE}@{PART}", {INDEX, PART}, id="its-platform's"),
        pytest.param(
            f"{IMAGE}@{INDEX}", f"{IMAGE}@{digest_of('else')}", {digest_of("else")}, id="another"
        ),
        pytest.param(f"{IMAGE}:1", f"{IMAGE}@{PART}", {PART}, id="by-tag"),
        pytest.param(f"{IMAGE}@{INDEX}", "", set(), id="runs-and-nobody-says-what"),
        pytest.param(f"{IMAGE}@{INDEX}", "sha256:" + "0" * 64, set(), id="by-its-id-alone"),
    ],
)
def test_which_image_runs(image: str, image_id: str, digests: set[Digest]) -> None:
    """By what the runtime says; the image of a platform is the index's if the registry says so."""
    one = replace(RUNS, image=image, image_id=image_id)
    assert sample(replace(POD, containers=(one,))).digests == digests


@pytest.mark.parametrize(
    ("image", "digests"), [(f"{IMAGE}@{INDEX}", {INDEX}), (f"{IMAGE}:1", set())]
)
def test_what_waits_becomes_what_its_spec_names(image: str, digests: set[Digest]) -> None:
    """A tag may become anything."""
    one = replace(waits("ContainerCreating"), image=image, image_id="")
    assert sample(replace(POD, containers=(one,))).digests == digests


@pytest.mark.parametrize(
    ("image", "pod", "asked"),
    [
        (f"mirror.example/app@{INDEX}", POD, [f"{IMAGE}@{INDEX}"]),
        (f"evil.example/app@{digest_of('evil')}", POD, []),
        (f"{IMAGE}@{INDEX}", replace(POD, deleting=True), []),
    ],
)
def test_a_registry_is_asked_only_of_what_the_template_names(
    image: str, pod: PodState, asked: list[str]
) -> None:
    """Neither of what somebody else has a pod run, nor of what is about to end."""
    heard: list[str] = []

    def hear(found: ImageReference) -> frozenset[Digest]:
        heard.append(str(found))
        return frozenset()

    one = replace(RUNS, image=image, image_id=f"{IMAGE}@{PART}")
    state = replace(DONE, images={"app": f"{IMAGE}@{INDEX}"})
    (found,) = samples_of(WEB, state, [replace(pod, containers=(one,))], hear)
    assert (found.digests, heard) == (frozenset({PART}), asked)


def test_what_a_registry_can_not_say_is_not_guessed() -> None:
    """Neither for nor against."""

    def unreachable(_image: ImageReference) -> frozenset[Digest]:
        raise SourceUnreachable("registry.example: 503")

    one = replace(RUNS, image_id=f"{IMAGE}@{PART}")
    state = replace(DONE, images={"app": one.image})
    with pytest.raises(SourceUnreachable):
        list(samples_of(WEB, state, [replace(POD, containers=(one,))], unreachable))


@pytest.mark.parametrize(
    ("container", "pod", "state", "health", "detail"),
    [
        (RUNS, {}, RunState.RUNNING, Health.NONE, ""),
        (replace(RUNS, probed=True), {}, RunState.RUNNING, Health.HEALTHY, ""),
        (
            replace(RUNS, ready=False),
            {},
            RunState.RUNNING,
            Health.STARTING,
            "it is not ready",
        ),
        (
            waits("ContainerCreating"),
            {},
            RunState.CREATED,
            Health.STARTING,
            "ContainerCreating",
        ),
        (
            waits("CrashLoopBackOff", "back-off 10s", exit_status=1),
            {},
            RunState.CREATED,
            Health.UNHEALTHY,
            "CrashLoopBackOff: it ended with exit status 1; back-off 10s",
        ),
        (
            replace(RUNS, state="terminated", exit_status=1, ready=False, reason="Error"),
            {},
            RunState.RESTARTING,
            Health.STARTING,
            "Error",
        ),
        (
            replace(RUNS, state="terminated", exit_status=0, init=True),
            {},
            RunState.EXITED,
            Health.NONE,
            "",
        ),
        (RUNS, {"deleting": True}, RunState.REMOVING, Health.NONE, ""),
    ],
)
def test_how_a_container_is(
    container: ContainerState, pod: dict[str, Any], state: RunState, health: Health, detail: str
) -> None:
    """Without a readiness probe, being ready says no more than that it runs."""
    found = sample(replace(POD, containers=(container,), **pod))
    assert (found.state, found.health, found.health_detail) == (state, health, detail)
    assert found.id == "web-new-1/app"


def test_an_evicted_pod_is_nobodys_any_more() -> None:
    """Its controller made another in its place; the old one lies there until it is tidied up."""
    gone = replace(POD, phase="Failed", containers=(replace(RUNS, state="terminated"),))
    assert not list(samples_of(WEB, DONE, [gone], parts))


def test_what_keeps_others_from_starting_is_told_of_them() -> None:
    """An init container that crashes keeps the app waiting, and is the reason."""
    init = replace(waits("CrashLoopBackOff", "back-off"), name="setup", init=True)
    app = replace(waits("PodInitializing"), image_id="")
    found = sample(replace(POD, containers=(init, app)))
    assert (found.health, found.health_detail) == (Health.UNHEALTHY, "CrashLoopBackOff: back-off")


def test_services_are_called_apart() -> None:
    """No name in a cluster has a ``_``: one kind's workload is never taken for another's."""
    names = {
        replace(WEB, kind=kind, name=name).service_of(container)
        for kind in WorkloadKind
        for name, container in (("web", "app"), ("web-app", "app"), ("web", "app-app"))
    }
    assert len(names) == 9
    assert WEB.service_of("app") == "web_app"
