"""What the settings page shows beside its forms: targets, secrets, webhooks. Read, never asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy
from reconciler.ports import SecretRecord
from reconciler.web.pages.deliveries.rows import DeliveryRow
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.project.page import ProjectView, project_view
from reconciler.web.pages.project_settings.secret_words import SecretKind, kinds_of, title_of
from reconciler.web.pages.project_settings.webhook_view import (
    WebhookView,
    deliveries_of,
    webhooks_of,
)
from reconciler.web.principal import Policy

_FEW_DELIVERIES = 5


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target, in a few words."""

    target: Target
    declared: bool  #: False: it is implied

    @property
    def check(self) -> str:
        """What healthy means there."""
        health = self.target.health
        if health is None:
            return "no check of its own"
        asked = " ".join(health.command) if health.command else health.path
        where = f" on port {health.port}" if health.port else ""
        return f"{health.kind} {asked if health.kind != 'tcp' else ''}".strip() + where

    @property
    def in_cluster(self) -> bool:
        """Whether its host is a cluster."""
        return self.target.strategy is TargetStrategy.KUBERNETES


@dataclass(frozen=True, slots=True)
class SecretView:
    """A stored secret: that it is there."""

    record: SecretRecord

    @property
    def title(self) -> str:
        """What it is, in words."""
        return title_of(self.record.name)

    @property
    def mark(self) -> str:
        """Four characters that tell it from another."""
        return self.record.fingerprint[:4]


@dataclass(frozen=True, slots=True)
class SettingsView:
    """All of it."""

    view: ProjectView
    targets: Sequence[TargetView]
    secrets: Sequence[SecretView]
    webhooks: Sequence[WebhookView]
    deliveries: Sequence[DeliveryRow]  #: the newest few

    @property
    def project(self) -> Project:
        """As it is declared."""
        return self.view.project

    @property
    def frame(self) -> Frame:
        """Who looks."""
        return self.view.frame

    @property
    def addable(self) -> Sequence[SecretKind]:
        """The kinds of secret that can be put beside those that are there."""
        names = {one.record.name for one in self.secrets}
        return [kind for kind in kinds_of(self.project) if kind.subject or kind.key not in names]

    @property
    def bound(self) -> Sequence[str]:
        """The credentials that another host as the source would cost."""
        source = self.project.source
        origin = source.url.origin if isinstance(source, ExternalSource) else None
        return [one.record.name for one in self.secrets if one.record.bound_to == origin]

    @property
    def followed(self) -> Target | None:
        """The target in whose folder its files are; None: they come from who pushes them."""
        return self.project.followed_folder

    @property
    def kept_here(self) -> bool:
        """Whether its repository is one of ours: each push to it is seen without a webhook."""
        return isinstance(self.project.source, HostedSource)

    @property
    def registrable(self) -> bool:
        """Whether there is a forge that can be told of a webhook."""
        return isinstance(self.project.source, ExternalSource)

    @property
    def may_config(self) -> bool:
        """Whether whoever looks may change what concerns the project alone."""
        return self.frame.may(Policy.CONFIG, self.project.name)

    @property
    def may_place(self) -> bool:
        """Whether they may change what reaches beyond it: where it runs, that it is there."""
        return self.frame.may(Policy.CONFIG)

    @property
    def may_keep_secrets(self) -> bool:
        """Whether they may store and remove its secrets."""
        return self.frame.may(Policy.SECRETS, self.project.name)


def settings_view(frame: Frame, name: ProjectName) -> SettingsView:
    """Return what is recorded of the project. Raises ``NotFound``."""
    view, store = project_view(frame, name), frame.application.store
    declared = {one.host for one in view.project.targets}
    return SettingsView(
        view,
        [TargetView(one, one.host in declared) for one in view.project.where],
        [SecretView(one) for one in store.list_secrets(name)],
        webhooks_of(frame, view.project),
        deliveries_of(frame, name, _FEW_DELIVERIES)[0],
    )
