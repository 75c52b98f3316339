"""The daemon as the web sees it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.metrics import Meters, Scrape
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.app.first_looks import FirstLooks
from reconciler.app.fleet import FleetFiles
from reconciler.app.people import People
from reconciler.config import Config
from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.release import ReleaseRecord
from reconciler.log import Redactor
from reconciler.pipeline.adopting import Adoption
from reconciler.pipeline.cluster_checks import ClusterChecks
from reconciler.pipeline.declaring.channels import Channels
from reconciler.pipeline.declaring.clusters import DeclaredClusters
from reconciler.pipeline.declaring.hosts import Hosts
from reconciler.pipeline.declaring.registration import Registrations
from reconciler.pipeline.declaring.targets import Targets
from reconciler.pipeline.explain import Explainer, Explanation, ProjectSummary
from reconciler.pipeline.host_checks import HostChecks
from reconciler.pipeline.notices import Notices
from reconciler.pipeline.planning import Plans
from reconciler.pipeline.promoting.environments import Environments
from reconciler.pipeline.promoting.promotions import Promotions
from reconciler.pipeline.releases import ReleaseDraft, Releases
from reconciler.pipeline.requests import Approved, Requests, Wanted
from reconciler.pipeline.set_ups import SetUps
from reconciler.pipeline.target_reports import TargetReports
from reconciler.pipeline.trigger import Brakes, TriggerResult
from reconciler.ports import Checkouts, Clock, RegistryStatus, Repositories, Store
from reconciler.scheduling import Daemon
from reconciler.triggers.push import Pushes
from reconciler.triggers.registry_probe import RegistryProbe
from reconciler.triggers.webhook import Receiver


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One line of a push: where a ref was, and where it is."""

    old: CommitSha | None  #: None: it is new
    new: CommitSha | None  #: None: it is gone
    ref: str  #: in full, e.g. ``refs/heads/main``


@dataclass(frozen=True, slots=True)
class Application:
    """The wired daemon. Every method may be called from any thread."""

    config: Config
    clock: Clock
    store: Store
    repositories: Repositories
    checkouts: Checkouts
    redactor: Redactor
    daemon: Daemon
    engine: DockerEngine
    started_at: datetime
    requests: Requests
    releases: Releases
    plans: Plans
    first_looks: FirstLooks
    explainer: Explainer
    promotions: Promotions
    environments: Environments
    hosts: Hosts
    host_checks: HostChecks
    clusters: DeclaredClusters
    cluster_checks: ClusterChecks
    targets: Targets
    target_reports: TargetReports
    set_ups: SetUps
    fleet: FleetFiles
    people: People
    adoption: Adoption
    pushes: Pushes
    receiver: Receiver
    registrations: Registrations
    channels: Channels
    notices: Notices
    registry: OrasRegistry
    probe: RegistryProbe
    brakes: Brakes
    meters: Meters
    metrics: Scrape
    resources: ExitStack

    def deploy(self, name: ProjectName, wanted: Wanted, *, actor: str) -> TriggerResult:
        """Ask for a deployment in a person's name; with a plan, for what that says or nothing."""
        plan = self.plans.confirm(name, wanted.commit, wanted.plan) if wanted.plan else None
        return self._started(self.requests.deploy(name, wanted, actor=actor, plan=plan))

    def approve(self, name: ProjectName, approved: Approved, *, actor: str) -> TriggerResult:
        """Approve what a migration found pending; see ``Requests.approve``."""
        return self._started(self.requests.approve(name, approved, actor=actor))

    def roll_back(self, name: ProjectName, *, to: DeploymentId | None, actor: str) -> TriggerResult:
        """Ask for an earlier revision in a person's name; see ``Requests.roll_back``."""
        return self._started(self.requests.roll_back(name, to=to, actor=actor))

    def withdraw(self, deployment: DeploymentId, *, actor: str) -> Deployment:
        """Take a deployment back in a person's name; see ``Requests.withdraw``."""
        withdrawn = self.requests.withdraw(deployment, actor=actor)
        self.daemon.wake("leases")
        return withdrawn

    def release(self, draft: ReleaseDraft, *, actor: str) -> tuple[ReleaseRecord, bool]:
        """Keep what CI reports, and look whether it means a deployment; see ``Releases.record``."""
        record, is_new = self.releases.record(draft, actor=actor)
        if is_new:
            self.daemon.look_now(record.report.project)
        return record, is_new

    def received(self, repository: ProjectName, updates: Sequence[RefUpdate]) -> Sequence[str]:
        """Act on an accepted push; return lines for the pusher's terminal."""
        told = self.pushes.receive(repository, {update.ref for update in updates})
        return (*told, "the fleet file is looked at now") if self.fleet.pushed(repository) else told

    def why(self, name: ProjectName) -> Explanation:
        """Return why the project stands where it does."""
        return self.explainer.why(name)

    def summaries(self, known: Sequence[ProjectSummary] = ()) -> Sequence[ProjectSummary]:
        """Return all projects, by name; see ``Explainer.summaries``."""
        return self.explainer.summaries(known)

    def summary(self, name: ProjectName) -> ProjectSummary:
        """Return one project."""
        return self.explainer.summary(name)

    def switch(self) -> MasterSwitch:
        """Return the master switch, the emergency file included."""
        return self.brakes(self.store.get_switch())

    def registries(self) -> Sequence[RegistryStatus]:
        """Return how each registry in use answered last."""
        return self.registry.status()

    def close(self) -> None:
        """Let go of the database, the lock and the connections."""
        self.resources.close()

    def _started(self, result: TriggerResult) -> TriggerResult:
        if result.admitted:
            self.daemon.wake("deployments")
        return result
