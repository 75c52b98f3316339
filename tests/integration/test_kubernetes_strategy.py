"""Roll-outs in a cluster, over its API as the double serves it: D4, and crashes (E7)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.adapters.kubernetes.prober import KubernetesProber
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Built, Pin, Release
from reconciler.domain.errors import (
    HostRefused,
    Interrupted,
    NameTaken,
    NoRoom,
    NotHandedOn,
    PreconditionFailed,
    ReconcilerError,
    TargetUnreachable,
    WorkloadChanged,
    WorkloadFailed,
)
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.promotion import handed_on
from reconciler.domain.references import CommitSha, Digest, ImageReference
from reconciler.domain.revision import Revision
from reconciler.domain.verification import Verdict
from reconciler.strategies.kubernetes import Patience
from reconciler.testing import digest_of
from tests.parts.certificates import CertificateAuthority
from tests.parts.cluster_rig import (
    COMMIT,
    IMAGE,
    PRODUCTION,
    ClusterRig,
    open_rig,
    pinned,
    verified_with,
)
from tests.parts.http_server import Answer, Request
from tests.parts.kubernetes_api import KubernetesApi, Workload
from tests.parts.kubernetes_controllers import Fate
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

Spec = dict[str, Any]
#: The double's own ``progressDeadlineSeconds``: whoever waits for it waits for this long.
_DEADLINE = 600


@pytest.fixture
def rig(authority: CertificateAuthority) -> Iterator[ClusterRig]:
    """A cluster in which nothing runs."""
    with KubernetesApi(authority) as api, open_rig(api) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_d4_what_was_handed_on_is_rolled_out(rig: ClusterRig, kind: str) -> None:
    """D4, D5: by digest, to the last pod, and read back from the pods; no registry is asked."""
    rig.run(Workload("web", kind))
    prepared = rig.deploy("first")
    assert rig.images() == {"web": pinned("first")}
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert "in place of registry.example/web:1" in rig.output()
    assert "rolled out" in rig.output()
    report = rig.strategy.report(rig.target)
    assert (report.commit, report.release) == (COMMIT, digest_of("first").short)
    assert report.state.endswith("2 of 2 ready")


def test_each_named_container_of_each_workload_gets_its_own(rig: ClusterRig) -> None:
    """One workload after another; a container that is not named stays as it is."""
    log = "registry.example/log:1"
    rig.run(Workload("web", images={"app": "registry.example/web:1", "log": log}))
    rig.run(Workload("web", "StatefulSet", {"app": "registry.example/web:1"}))
    web, queue = rig.target.workloads
    only = replace(web, containers={"app": IMAGE}), replace(queue, containers={"app": "worker"})
    rig.target = replace(rig.target, workloads=only)
    worker = Pin(ImageReference.parse("registry.example/team/worker:7"), digest_of("worker"))
    app = Pin(ImageReference.parse(IMAGE), digest_of("a"))
    verified = verified_with({"web": app, "worker": worker})
    prepared = rig.deploy("a", handed_on=verified, revision=handed_on(verified))
    assert rig.images() == {"app": pinned("a"), "log": log}
    assert rig.images(1) == {"app": f"registry.example/team/worker@{digest_of('worker')}"}
    assert [one.name for one in prepared.services] == ["web_app", "statefulset_web_app"]
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.needs_registry
def test_a_project_of_its_own_gets_what_its_tag_names(rig: ClusterRig) -> None:
    """Resolved once; what a trigger saw wins; the image of a platform counts as its index."""
    rig.run(Workload("web"))
    with Registry() as server:
        rig.registry = OrasRegistry(SystemClock(), lambda _host, _project: None)
        image = ImageReference.parse(f"{server.host}/team/shop:main")
        workload = replace(rig.target.workloads[0], containers={"web": str(image)})
        rig.target = replace(rig.target, workloads=(workload,))
        rig.project = replace(rig.project, environment=None, image=image)
        index, parts = server.push_index("team/shop", "main", {"amd64": "a", "arm64": "b"})

        prepared = rig.deploy("", handed_on=None, revision=Revision(None))
        assert rig.images() == {"web": f"{image.name}@{index}"}
        assert prepared.revision.images == {str(image): Digest(index)}

        def told(digest: str) -> Verdict:
            for pod in rig.api.pods("Deployment", "web", "shop"):
                pod["status"]["containerStatuses"][0]["imageID"] = f"{image.name}@{digest}"
                rig.api.objects.replace("pods", pod)
            return rig.judged(prepared).verdict

        assert told(parts["amd64"]) is Verdict.GOOD
        assert told(str(digest_of("another"))) is Verdict.BAD
        seen = Revision(None, {str(image): digest_of("seen")})
        rig.deploy("", handed_on=None, revision=seen)
        assert rig.images() == {"web": f"{image.name}@{digest_of('seen')}"}


# ── failures, each named at once ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fate", "error", "said"),
    [
        pytest.param(
            Fate(pull_problem="no such manifest"),
            WorkloadFailed,
            "ImagePull.*: no such manifest",
            id="no-image",
        ),
        pytest.param(
            Fate(crash_after=0, exit_status=3, log=("starting", "no DATABASE_URL")),
            WorkloadFailed,
            "CrashLoopBackOff: it ended with exit status 3",
            id="crash-loop",
        ),
        pytest.param(
            Fate(unschedulable=True),
            NoRoom,
            "Unschedulable: 0/2 nodes are available: insufficient memory.",
            id="no-node",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_d4_what_keeps_pods_from_coming_up_is_named_at_once(
    rig: ClusterRig, kind: str, fate: Fate, error: type[ReconcilerError], said: str
) -> None:
    """D4: long before the cluster gives up; what the old pods run goes on."""
    rig.run(Workload("web", kind))
    rig.api.controllers.fates[str(digest_of("bad"))] = fate
    with pytest.raises(error, match=said) as failed:
        rig.deploy("bad")
    assert rig.steps < _DEADLINE / 2
    assert failed.value.message.startswith(f"{rig.target.workloads[0]}: web-")
    if fate.log != ("started",):
        assert "no DATABASE_URL" in rig.output()


def test_a_quota_is_named_at_once(rig: ClusterRig) -> None:
    """The cluster lacks room: the revision is not to blame."""
    rig.run(Workload("web"))
    rig.api.controllers.quotas["shop"] = 2
    with pytest.raises(NoRoom, match="exceeded quota: pods"):
        rig.deploy("first")
    assert rig.steps < _DEADLINE / 2


def test_the_clusters_own_deadline_counts(rig: ClusterRig) -> None:
    """What never gets ready without a word fails when the cluster says so."""
    rig.run(Workload("web", spec={"progressDeadlineSeconds": 10}))
    rig.api.controllers.fates[str(digest_of("bad"))] = Fate(never_ready=True)
    with pytest.raises(WorkloadFailed, match="ProgressDeadlineExceeded: ReplicaSet"):
        rig.deploy("bad")


def test_our_own_deadline_counts(rig: ClusterRig) -> None:
    """Stateful sets have none of their own."""
    rig.run(Workload("db", "StatefulSet"))
    rig.patience = Patience(roll_out=timedelta(seconds=0.5))
    rig.api.controllers.fates[str(digest_of("bad"))] = Fate(never_ready=True)
    with pytest.raises(WorkloadFailed, match=r"not rolled out within 0.5 s: \d of 2"):
        rig.deploy("bad")


def test_the_trouble_of_old_pods_is_not_ours(rig: ClusterRig) -> None:
    """What is rolled out may well be what mends it."""
    rig.api.controllers.fates["web:1"] = Fate(crash_after=0)
    rig.run(Workload("web"))
    prepared = rig.deploy("mended")
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_an_old_pod_that_a_stateful_set_waits_for_is_named(rig: ClusterRig) -> None:
    """Kubernetes replaces none before that one is ready, on the way back as well."""
    rig.api.controllers.fates["web:1"] = Fate(pull_problem="not found")
    rig.run(Workload("db", "StatefulSet"))
    with ThreadPoolExecutor(1) as pool:
        deployed = pool.submit(rig.deploy, "mended")
        advice = "`kubectl --namespace shop delete pod db-0`"
        eventually(lambda: advice in rig.output(), what="it is told what holds it up")
        rig.api.objects.delete("pods", "shop", "db-0")
        deployed.result()
    assert "older pod may hold it up, db-0/web: " in rig.output()


# ── what can't be rolled out ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("Deployment", {"paused": True}, "is paused"),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
        (
            "StatefulSet",
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            "partition 1",
        ),
    ],
)
def test_what_would_not_be_rolled_out_by_itself_is_refused(
    rig: ClusterRig, kind: str, spec: Spec, said: str
) -> None:
    """Before anything is changed, with what helps."""
    rig.run(Workload("web", kind, spec=spec))
    with pytest.raises(PreconditionFailed, match=said) as refused:
        rig.deploy("first")
    assert refused.value.remedy
    assert rig.images() == {"web": "registry.example/web:1"}


def test_a_container_or_a_workload_that_is_not_there_is_refused(rig: ClusterRig) -> None:
    """And what is there is named."""
    rig.run(Workload("web"))
    declared = rig.target
    gone = replace(declared.workloads[0], containers={"app": IMAGE})
    rig.target = replace(declared, workloads=(gone,))
    with pytest.raises(PreconditionFailed, match="has no container app; it has web"):
        rig.deploy("first")
    rig.target = replace(declared, workloads=(replace(gone, name="shop"),))
    with pytest.raises(PreconditionFailed, match="shop"):
        rig.deploy("first")


def test_c5_nothing_that_runs_is_no_success(rig: ClusterRig) -> None:
    """One that is scaled to 0 gets its image, and is asked nothing; all of them are none."""
    rig.run(Workload("idle", spec={"replicas": 0}))
    with pytest.raises(PreconditionFailed, match="nothing would run"):
        rig.deploy("first")
    check = HealthCheck(ProbeKind.HTTP, 80)
    rig.target = replace(rig.target, health=check)
    prober = KubernetesProber(lambda _name: rig.client)
    assert prober.probe(rig.target, None).problem == "there is no pod to ask"
    rig.run(Workload("web"))
    prepared = rig.deploy("first")
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert not prober.probe(rig.target, None).problem
    assert rig.images() == {"web": pinned("first")}


def test_another_projects_workload_is_left_alone(rig: ClusterRig) -> None:
    """Unless a person insists."""
    rig.run(Workload("web"))
    rig.deploy("first")
    other = replace(rig.project, name=type(PRODUCTION)("other"))
    with pytest.raises(NameTaken, match="shop-production"):
        rig.deploy("second", project=other, may_take_over=True)
    rig.deploy("first", project=other, forced=True)
    with pytest.raises(NameTaken, match="other"):
        rig.deploy("second")


def test_c5_the_commit_is_that_of_the_last_deployment(rig: ClusterRig) -> None:
    """Also where the very image runs already."""
    rig.run(Workload("web"))
    rig.deploy("first")
    work = rig.work("first")
    newer = CommitSha("d" * 40)
    work = replace(work, revision=replace(work.revision, commit=newer))
    rig.apply(work, rig.strategy.prepare(work))
    assert rig.strategy.report(rig.target).commit == newer


@pytest.mark.parametrize(
    ("pin", "said", "remedy"),
    [
        (None, "called worker: it verified no image", "name one"),
        (
            Built(ImageReference.parse("shop-worker:c"), digest_of("w")),
            "in no registry",
            "--push-images",
        ),
        (Release("7-abc", digest_of("w")), "the release of a unit", "image"),
    ],
)
def test_d5_what_was_not_handed_on_is_not_looked_up(
    rig: ClusterRig, pin: Built | Release | None, said: str, remedy: str
) -> None:
    """D5: nothing takes its place, and the remedy is told."""
    rig.run(Workload("web"))
    workload = replace(rig.target.workloads[0], containers={"web": "worker"})
    rig.target = replace(rig.target, workloads=(workload,))
    verified = verified_with({"worker": pin} if pin else {})
    with pytest.raises(NotHandedOn, match=said) as refused:
        rig.deploy("first", handed_on=verified, revision=handed_on(verified))
    assert remedy in refused.value.remedy


# ── others, and mishaps ──────────────────────────────────────────────────────────────────────────


def once(rig: ClusterRig, method: str, part: str, do: Callable[[], object]) -> list[str]:
    """Have ``do`` come in between before the first such request; return those that came."""
    came: list[str] = []

    def instead(request: Request) -> Answer | None:
        if request.method != method or part not in request.target:
            return None
        came.append(request.target)
        if len(came) == 1:
            do()
        return None

    rig.api.instead = instead
    return came


def test_a_change_that_came_first_is_looked_at_again(rig: ClusterRig) -> None:
    """409: what the decision was made on is not there any more, and is made anew."""
    rig.run(Workload("web"))
    came = once(rig, "PATCH", "deployments/web", lambda: rig.change(scaled))
    prepared = rig.deploy("first")
    assert len(came) >= 2
    assert "somebody changed it just now" in rig.output()
    assert rig.judged(prepared).verdict is Verdict.GOOD


def scaled(found: Spec) -> None:
    found["spec"]["replicas"] = 3


def test_what_is_changed_again_and_again_is_given_up(rig: ClusterRig) -> None:
    """Bounded, and named."""
    rig.run(Workload("web"))
    count = iter(range(3, 100))

    def instead(request: Request) -> None:
        if request.method == "PATCH":
            rig.change(lambda found: found["spec"].update(replicas=next(count)))

    rig.api.instead = instead
    with pytest.raises(WorkloadChanged, match="again and again"):
        rig.deploy("first")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: spec["template"]["spec"]["containers"][0].update(image="x/y:1"), "x/y:1"),
        (lambda spec: spec.update(paused=True), "is paused"),
    ],
)
def test_what_somebody_else_sets_meanwhile_is_named(
    rig: ClusterRig, change: Callable[[Spec], None], said: str
) -> None:
    """It is not run over by us."""
    rig.run(Workload("web"))
    rig.api.controllers.fates[str(digest_of("slow"))] = Fate(never_ready=True)
    work = rig.work("slow")
    prepared = rig.strategy.prepare(work)
    came = once(rig, "GET", "watch=", lambda: rig.change(lambda found: change(found["spec"])))
    with pytest.raises(WorkloadChanged, match=said):
        rig.apply(work, prepared)
    assert came


def test_another_change_of_its_template_is_followed(rig: ClusterRig) -> None:
    """Its images are ours still: that revision counts from then on."""
    rig.run(Workload("web"))

    def change(found: Spec) -> None:
        found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]

    once(rig, "GET", "watch=", lambda: rig.change(change))
    prepared = rig.deploy("first")
    assert "its images are ours still" in rig.output()
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_gone_and_throttled_is_gone_through(rig: ClusterRig) -> None:
    """410 of a watch, and 429: the roll-out is followed on."""
    rig.run(Workload("web"))
    came: list[str] = []

    def instead(request: Request) -> Answer | None:
        if request.method != "GET" or "pods" not in request.target:
            return None
        came.append(request.target)
        if len(came) == 2:
            rig.api.objects.forget_history()
        return Answer(429, {"Retry-After": "0"}, b"{}") if len(came) == 1 else None

    rig.api.instead = instead
    prepared = rig.deploy("first")
    assert len(came) >= 2
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_a_token_that_expires_meanwhile_is_shown_anew(rig: ClusterRig) -> None:
    """A cluster rotates those of its pods; without a new one it is named who refuses us."""
    rig.run(Workload("web"))
    users = rig.api.users

    def expire() -> None:
        users[rig.token].expired = True
        rig.token = rig.api.add_user("rotated")

    once(rig, "GET", "watch=", expire)
    assert rig.judged(rig.deploy("first")).verdict is Verdict.GOOD
    once(rig, "GET", "watch=", lambda: users.pop(rig.token))
    with pytest.raises(HostRefused):
        rig.deploy("second")


def test_a_killed_roll_out_is_followed_on(rig: ClusterRig) -> None:
    """Nothing is changed again where the images are set: another life goes on from there."""
    rig.run(Workload("web"))
    work = rig.work("first")
    prepared = rig.strategy.prepare(work)
    rig.cancel.set()
    with pytest.raises(Interrupted):
        rig.strategy.apply(replace(work, cancel=rig.cancel), prepared)
    assert rig.images() == {"web": pinned("first")}
    patches = once(rig, "PATCH", "deployments/web", lambda: None)
    rig.apply(replace(work, cancel=threading.Event()), prepared)
    assert patches == []
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_going_back_sets_what_was_verified(rig: ClusterRig) -> None:
    """Not what was there before, but what the record says; it is rolled out and read back."""
    rig.run(Workload("web"))
    good = rig.deploy("good")
    rig.api.controllers.fates[str(digest_of("bad"))] = Fate(crash_after=0)
    with pytest.raises(WorkloadFailed):
        rig.deploy("bad")
    rig.change(lambda found: found["spec"]["template"]["metadata"]["labels"].update(hand="made"))
    rig.apply(rig.work("bad"), good)
    assert rig.images() == {"web": pinned("good")}
    assert rig.judged(good).verdict is Verdict.GOOD


# ── what runs ────────────────────────────────────────────────────────────────────────────────────


def test_a_hand_made_change_is_found(rig: ClusterRig) -> None:
    """F10: from what the pods run; the commit is not claimed any more."""
    rig.run(Workload("web"))
    prepared = rig.deploy("first")
    image = f"registry.example/x@{digest_of('hand')}"
    rig.change(lambda found: found["spec"]["template"]["spec"]["containers"][0].update(image=image))
    rig.api.controllers.step(10)
    judged = rig.judged(prepared)
    assert judged.verdict is Verdict.BAD
    assert f"runs {digest_of('hand').short}, pinned is {digest_of('first').short}" in str(judged)
    report = rig.strategy.report(rig.target)
    assert report.commit is None
    assert dict(report.detail)["web_web"] == image


def test_a_pod_that_crashes_later_is_found_and_diagnosed(rig: ClusterRig) -> None:
    """With the reason, and what it wrote."""
    rig.run(Workload("web"))
    prepared = rig.deploy("first")
    rig.api.controllers.change_fate(str(digest_of("first")), crash_after=1, log=("out of luck",))
    rig.api.controllers.step(6)
    assert "unhealthy (CrashLoopBackOff: it ended with exit status 1" in str(rig.judged(prepared))
    rig.strategy.diagnose(rig.target, rig.log.append)
    assert "out of luck" in rig.output()


def test_pods_are_asked_for_their_version_by_namespace_and_name(rig: ClusterRig) -> None:
    """Over the API server's proxy, wherever the daemon is."""
    rig.run(Workload("web"))
    rig.deploy("first")
    every = [one["metadata"] for one in rig.api.pods("Deployment", "web", "shop")]
    names = {one["name"] for one in every if "deletionTimestamp" not in one}
    samples = [one for one in rig.strategy.observe(rig.target) if one.address]
    assert {one.address for one in samples} == {f"shop/{name}" for name in names}


def test_set_up_says_what_is_there(rig: ClusterRig) -> None:
    """And what we may not do is refused by name."""
    rig.run(Workload("web"))
    rig.strategy.set_up(rig.work("first"))
    assert "prod runs Kubernetes v1.34.1, and lets us in" in rig.output()
    assert "deployment/web is there, with web" in rig.output()


def test_a_cluster_that_is_away_changes_nothing(rig: ClusterRig) -> None:
    """It is tried again: nobody is to blame."""
    rig.run(Workload("web"))
    rig.api.instead = lambda _request: Answer(503, {}, b"")
    with pytest.raises(TargetUnreachable):
        rig.deploy("first")
    rig.strategy.diagnose(rig.target, rig.log.append)
    assert "can't be had" in rig.output()
