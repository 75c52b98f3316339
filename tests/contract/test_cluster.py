"""What ``ClusterClient`` promises, in the double and in the cluster that the environment names.

The double's own truth is pinned by this: ``RECONCILER_TEST_KUBECONFIG=~/.kube/config`` has every
test run in a real cluster as well, in namespaces of its own.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.adapters.kubernetes.prober import KubernetesProber
from reconciler.domain.errors import ChangedMeanwhile, Interrupted, PreconditionFailed
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import HostName
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck
from reconciler.domain.workload import Workload, WorkloadKind
from reconciler.ports import PodState, WorkloadState
from tests.parts.cluster_stage import (
    COMMIT,
    CRASH,
    KUBECONFIG,
    PORT,
    Stage,
    is_rolled_out,
    make_double,
    staged,
)
from tests.parts.kubernetes_api import KubernetesApi
from tests.parts.waiting import eventually

DEPLOYMENT = WorkloadKind.DEPLOYMENT
NOTES = {"kubernetes.io/change-cause": "commit abc"}
CLUSTERS = ["double", *(["real"] if KUBECONFIG in os.environ else [])]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesApi]:
    with make_double(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(params=CLUSTERS)
def stage(request: pytest.FixtureRequest, api: KubernetesApi) -> Iterator[Stage]:
    with staged(api if request.param == "double" else None) as made, made.time_passes():
        yield made


def set_image(stage: Stage, image: str, container: str = "web") -> WorkloadState:
    """Set an image of the deployment once it has settled; its status may still move."""
    while True:
        with suppress(ChangedMeanwhile):
            return stage.client.set_images(stage.settled(), {container: image}, {})


def watched_to_the_end(stage: Stage, changed: WorkloadState) -> WorkloadState:
    """Follow a roll-out by its watch."""
    within = timedelta(seconds=stage.patience)
    for state in stage.client.watch(changed, within, threading.Event()):
        if is_rolled_out(state):
            return state
    raise AssertionError("it did not come to its end")


def waits(pods: list[PodState], *reasons: str) -> bool:
    return any(one.reason in reasons for pod in pods for one in pod.containers)


def test_the_role_of_the_manifest_is_enough(stage: Stage) -> None:
    assert stage.client.check(stage.namespace).startswith("v1.")
    assert stage.client.check() == stage.client.check(stage.namespace)


@pytest.mark.parametrize("kind", WorkloadKind)
def test_images_are_set_and_the_rollout_is_followed_to_its_pods(
    stage: Stage, kind: WorkloadKind
) -> None:
    """There and back: the pods are of the revision that the workload names, each time."""
    stage.make(stage.workload(kind))
    before = stage.settled(kind)
    assert before.images == {"web": stage.images[0]}
    assert before.selector == {"app": "web"}
    assert before.wanted > 0

    changed = stage.client.set_images(before, {"web": stage.images[1]}, NOTES)
    assert changed.images == {"web": stage.images[1]}
    assert changed.generation == before.generation + 1
    assert changed.uid == before.uid
    assert changed.annotations.items() >= NOTES.items()
    after = watched_to_the_end(stage, changed)
    assert after.revision not in {before.revision, ""}
    pods = stage.client.list_pods(after)
    assert [pod.revision for pod in pods] == [after.revision] * after.wanted
    for pod in pods:
        (container,) = pod.containers
        assert (pod.ready, pod.deleting, pod.phase) == (True, False, "Running")
        assert (container.image, container.state) == (stage.images[1], "running")
        assert "@sha256:" in container.image_id
        assert container.id
        assert container.started_at

    back = stage.client.set_images(after, {"web": stage.images[0]}, NOTES)
    assert watched_to_the_end(stage, back).revision == before.revision


def test_nothing_is_sent_where_nothing_changes(stage: Stage) -> None:
    stage.make(stage.workload())
    seen = stage.settled()
    noted = stage.client.set_images(seen, {"web": stage.images[0]}, NOTES)
    assert noted.annotations.items() >= NOTES.items()
    assert noted.revision in {"", seen.revision}
    noted = stage.settled()
    assert stage.client.set_images(noted, {"web": stage.images[0]}, NOTES) == noted


def test_what_changed_meanwhile_is_not_overwritten(stage: Stage) -> None:
    stage.make(stage.workload())
    seen = stage.settled()
    set_image(stage, stage.images[1])
    with pytest.raises(ChangedMeanwhile):
        stage.client.set_images(seen, {"web": stage.images[2]}, NOTES)
    assert stage.look().images == {"web": stage.images[1]}


def test_each_container_is_set_by_its_name_alone(stage: Stage) -> None:
    """Also by two projects, one after the other; no container is added."""
    both = {"web": stage.images[0], "side": stage.images[0]}
    quiet = {"command": ["sh", "-c", "sleep 3600"]}
    stage.make(stage.workload(images=both, container=quiet))
    first = set_image(stage, stage.images[1], "side")
    assert first.images == {"web": stage.images[0], "side": stage.images[1]}
    second = set_image(stage, stage.images[1])
    assert second.images == dict.fromkeys(("web", "side"), stage.images[1])
    with pytest.raises(PreconditionFailed, match="no container other; it has web, side"):
        stage.client.set_images(second, {"other": stage.images[0]}, {})


def test_containers_that_run_first_have_images_too(stage: Stage) -> None:
    workload = stage.workload()
    manifest = workload.manifest
    prepare = {"name": "prepare", "image": stage.images[0], "command": ["true"]}
    manifest["spec"]["template"]["spec"]["initContainers"] = [prepare]
    stage.create(manifest)
    changed = set_image(stage, stage.images[1], "prepare")
    assert changed.images == {"prepare": stage.images[1], "web": stage.images[0]}
    after = watched_to_the_end(stage, changed)
    pod = stage.client.list_pods(after)[0]
    assert [(one.name, one.init) for one in pod.containers] == [("prepare", True), ("web", False)]


def test_what_is_not_there_is_said(stage: Stage) -> None:
    with pytest.raises(PreconditionFailed, match=r"get deployments.apps gone .*not found"):
        stage.look(name="gone")
    assert stage.client.last_lines(stage.namespace, "gone", "web", 5) == ()


def test_pods_of_others_are_not_among_its_own(stage: Stage) -> None:
    """Although their labels are what its selector selects."""
    state = stage.make(stage.workload())
    stage.settled()
    other = stage.workload(WorkloadKind.DAEMON_SET, name="other").manifest
    for labels in (other["spec"]["selector"]["matchLabels"], _labels(other)):
        labels |= {"app": "web", "of": "other"}
    stage.create(other)
    mine = {pod.name for pod in stage.client.list_pods(stage.settled())}
    stage.settled(WorkloadKind.DAEMON_SET, "other")
    assert {pod.name for pod in stage.client.list_pods(state)} == mine
    assert all(name.startswith("web-") for name in mine)


def test_an_image_that_is_not_there_is_named_by_its_pods(stage: Stage) -> None:
    stage.make(stage.workload())
    changed = set_image(stage, stage.images[2])

    def pods() -> list[PodState]:
        return list(stage.client.list_pods(changed))

    eventually(lambda: waits(pods(), "ErrImagePull", "ImagePullBackOff"), within=stage.patience)
    events = eventually(
        lambda: [
            one
            for one in stage.client.list_events(changed, pods())
            if one.reason == "Failed" and stage.images[2] in one.message
        ],
        within=stage.patience,
    )
    assert events[0].warning
    assert events[0].at is not None
    assert events[0].object.startswith("Pod/web-")
    assert stage.look().ready >= 1, "the pods before go on"


def test_a_container_that_ends_tells_how_and_what_it_said(stage: Stage) -> None:
    state = stage.make(stage.workload(container={"command": ["sh", "-c", CRASH]}))

    def crashed() -> PodState | None:
        found = stage.client.list_pods(state)
        return next((pod for pod in found if waits([pod], "CrashLoopBackOff")), None)

    pod = eventually(crashed, within=stage.patience)
    assert pod is not None
    (container,) = pod.containers
    assert (container.exit_status, container.ready) == (3, False)
    assert container.restarts >= 1
    lines = stage.client.last_lines(stage.namespace, pod.name, "web", 5, previous=True)
    assert lines == ("going down",)


def test_a_pod_that_no_node_has_room_for_is_named(stage: Stage) -> None:
    needs = {"resources": {"requests": {"cpu": "1000"}}}
    state = stage.make(stage.workload(container=needs))
    pods = eventually(
        lambda: [pod for pod in stage.client.list_pods(state) if pod.conditions],
        within=stage.patience,
    )
    (scheduled,) = [one for one in pods[0].conditions if one.type == "PodScheduled"]
    assert (scheduled.status, scheduled.reason) == ("False", "Unschedulable")
    events = eventually(
        lambda: [
            one for one in stage.client.list_events(state, pods) if one.reason == "FailedScheduling"
        ],
        within=stage.patience,
    )
    assert events[0].at is not None, "the scheduler's events have their instant elsewhere"
    assert "available" in events[0].message


def test_a_quota_that_is_used_up_is_named_by_the_replica_set(stage: Stage) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    stage.create(quota | {"spec": {"hard": {"pods": "0"}}})
    stage.make(stage.workload())

    def failure(now: WorkloadState) -> bool:
        return any(one.type == "ReplicaFailure" for one in now.conditions)

    state = stage.until(DEPLOYMENT, failure)
    (said,) = [one for one in state.conditions if one.type == "ReplicaFailure"]
    assert (said.status, said.reason) == ("True", "FailedCreate")
    assert "exceeded quota" in said.message
    events = stage.client.list_events(state, stage.client.list_pods(state))
    assert any(one.reason == "FailedCreate" and one.warning for one in events)


def test_a_rollout_that_stands_still_is_said_by_its_condition(stage: Stage) -> None:
    stage.make(stage.workload(spec={"progressDeadlineSeconds": 15}))
    set_image(stage, stage.images[2])

    def exceeded(now: WorkloadState) -> bool:
        return any(one.reason == "ProgressDeadlineExceeded" for one in now.conditions)

    state = stage.until(DEPLOYMENT, exceeded)
    (said,) = [one for one in state.conditions if one.type == "Progressing"]
    assert said.status == "False"


def test_what_holds_a_rollout_back_is_told(stage: Stage) -> None:
    paused = stage.make(stage.workload(name="paused", spec={"paused": True}))
    assert paused.paused
    partly = stage.make(
        stage.workload(
            WorkloadKind.STATEFUL_SET,
            name="partly",
            spec={"updateStrategy": {"rollingUpdate": {"partition": 1}}},
        )
    )
    assert (partly.partition, partly.update_on_delete) == (1, False)
    stage.settled(WorkloadKind.STATEFUL_SET, "partly")
    by_hand = stage.make(
        stage.workload(
            WorkloadKind.DAEMON_SET, name="by-hand", spec={"updateStrategy": {"type": "OnDelete"}}
        )
    )
    assert (by_hand.partition, by_hand.update_on_delete) == (0, True)

    moved = stage.client.set_images(
        stage.settled(WorkloadKind.STATEFUL_SET, "partly"), {"web": stage.images[1]}, {}
    )
    half = stage.until(
        moved.kind, lambda now: now.updated == 1 and now.ready == now.wanted, "partly"
    )
    images = [pod.containers[0].image for pod in stage.client.list_pods(half)]
    assert images == [stage.images[0], stage.images[1]]


def test_a_watch_ends_in_time_and_looks_now_and_then(stage: Stage) -> None:
    stage.make(stage.workload())
    state = stage.settled()
    begun = time.monotonic()
    looks = list(stage.client.watch(state, timedelta(seconds=1.2), threading.Event()))
    assert 1.2 <= time.monotonic() - begun < 6
    assert len(looks) >= 3
    assert {one.uid for one in looks} == {state.uid}


def test_a_watch_that_is_called_off_ends_at_once(stage: Stage) -> None:
    stage.make(stage.workload())
    cancel = threading.Event()
    watching = stage.client.watch(stage.settled(), timedelta(minutes=5), cancel)
    next(watching)
    cancel.set()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        list(watching)
    assert time.monotonic() - begun < 2


def test_the_newest_lines_are_read(stage: Stage) -> None:
    state = stage.make(stage.workload())
    stage.settled()
    pod = stage.client.list_pods(state)[0].name
    assert stage.client.last_lines(stage.namespace, pod, "web", 5) == ("started",)
    assert stage.client.last_lines(stage.namespace, pod, "web", 5, previous=True) == ()


def test_pods_answer_over_the_proxy(stage: Stage) -> None:
    state = stage.make(stage.workload())
    stage.settled()
    pod = stage.client.list_pods(state)[0]
    prober = KubernetesProber(lambda _name: stage.client)
    check = HealthCheck(ProbeKind.HTTP, PORT, text="{commit}", status=(200, 200))
    target = Target(
        ProjectName("shop"),
        namespace=stage.namespace,
        workloads=(Workload(DEPLOYMENT, "web", {"web": "web"}),),
        health=check,
        ready=replace(check, path="/none"),
    )
    asked = f"http://{stage.namespace}/{pod.name}:{PORT}"
    well = prober.probe(target, COMMIT)
    assert (well.problem, well.status) == ("", 200)
    assert well.asked.startswith(f"http://{stage.namespace}/web-")
    missing = prober.probe(target, COMMIT, ready=True)
    assert missing.problem == "answered 404, expected 200"
    deaf = prober.probe(replace(target, health=replace(check, port=PORT + 1)), COMMIT)
    assert "refused" in deaf.problem

    address, version = f"{stage.namespace}/{pod.name}", VersionCheck(PORT)
    assert prober.probe_version(HostName("prod"), address, version, COMMIT) == Reading(
        f"{asked}/", "", 200, COMMIT.text
    )
    other = CommitSha("f" * 40)
    assert (
        "expected is commit fff"
        in prober.probe_version(HostName("prod"), address, version, other).problem
    )


def test_what_is_not_ready_or_no_http_is_not_well(stage: Stage) -> None:
    stage.make(stage.workload(container={"command": ["sh", "-c", CRASH]}))
    prober = KubernetesProber(lambda _name: stage.client)
    workloads = (Workload(DEPLOYMENT, "web", {"web": "web"}),)
    target = Target(ProjectName("shop"), namespace=stage.namespace, workloads=workloads)
    assert prober.probe(target, None) == Reading("")
    by_http = replace(target, health=HealthCheck(ProbeKind.HTTP, PORT))
    assert prober.probe(by_http, None).problem == "no pod of deployment/web is ready"
    by_tcp = replace(target, health=HealthCheck(ProbeKind.TCP, PORT))
    assert "only http" in prober.probe(by_tcp, None).problem


def _labels(manifest: dict[str, dict[str, dict[str, dict[str, dict[str, str]]]]]) -> dict[str, str]:
    return manifest["spec"]["template"]["metadata"]["labels"]
