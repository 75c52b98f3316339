"""A project's webhook, declared here and registered at its forge. Safe to repeat at any point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.domain.errors import AlreadyExists, Conflict, ForgeError, InvalidInput, NotFound
from reconciler.domain.forge import (
    ForgeRepository,
    Registration,
    WebAddress,
    check_own_address,
    find_repository,
    parse_forge_token,
    reasons_for_silence,
    remarks_on_address,
)
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import WebhookName, parse_webhook_name
from reconciler.pipeline.declaring.webhooks import WebhookDraft, declare_webhook
from reconciler.ports import Clock, DeliveryFilter, ForgeHook, Forges, Store, WebhookRecord


@dataclass(frozen=True, slots=True)
class RegistrationDraft:
    """A registration as it was asked for."""

    token: str = field(repr=False)
    name: str | None = None  #: None: that of the project
    provider: str | None = None  #: None: as the source's host tells
    url: str | None = None  #: of this daemon; None: as configured
    forge_url: str | None = None  #: None: as the source tells
    test: bool = True


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of it."""

    record: WebhookRecord
    declared: bool  #: whether the webhook was made here just now
    created: bool  #: whether it is new at the forge
    tested: str  #: ``sent``, ``not-possible``, ``failed`` or ``not-asked``
    test_problem: str  #: why the forge sent no test
    after: int  #: number of the newest delivery before; what the forge sends has a higher one
    remarks: tuple[str, ...]  #: what is allowed, and often not meant
    if_silent: tuple[str, ...]  #: why nothing may arrive, the likeliest first


@dataclass(frozen=True, slots=True)
class Registrations:
    """Registers webhooks at forges."""

    store: Store
    clock: Clock
    forges: Forges
    public_url: WebAddress | None  #: of this daemon, as configured
    host_names: Sequence[str]  #: that the daemon answers for, beside this machine's own

    def register(self, name: ProjectName, draft: RegistrationDraft) -> Registered:
        """Declare the webhook where it is not, then have the forge know it, with its secret.

        The secret that there is stays. A kill between two steps is mended by asking again.

        Raises:
            InvalidInput: a value is wrong. ``NotFound``: no such project.
            Conflict: the webhook of that name is another one.
            ForgeError: the forge did not do it; what is declared here stays.
        """
        token = parse_forge_token(draft.token)
        project = self.store.get_project(name)
        repository = find_repository(_source_of(project).url, draft.provider, draft.forge_url)
        own = self._own_address(draft, repository)
        record, declared = self._declare(project, repository, draft.name)
        after = self._newest_delivery(record.webhook.name)
        url = f"{own}{record.webhook.path}"
        hook = ForgeHook(url, self._secret_of(record), _known_as(record, repository))
        put = self.forges.put_hook(repository, token, hook)
        registration = Registration(repository, put.id, url, self.clock.now())
        self.store.record_registration(record.webhook.name, registration)
        tested, problem = self._test(registration, token) if draft.test else ("not-asked", "")
        return Registered(
            record=self.store.get_webhook(record.webhook.name),
            declared=declared,
            created=put.created,
            tested=tested,
            test_problem=problem,
            after=after,
            remarks=(*_left_behind(record, repository), *remarks_on_address(own, self.host_names)),
            if_silent=tuple(reasons_for_silence(own, repository.provider)),
        )

    def deregister(self, name: WebhookName, token: str) -> Registration:
        """Delete a webhook at its forge; it stays declared here. Safe to repeat.

        Raises:
            NotFound: no such webhook. ``Conflict``: it was registered nowhere from here.
            ForgeError: the forge did not do it.
        """
        secret = parse_forge_token(token)
        registration = self.store.get_webhook(name).registration
        if registration is None:
            raise Conflict(f"{name} was not registered at a forge from here: remove it there")
        self.forges.remove_hook(registration.repository, secret, registration.hook)
        self.store.record_registration(name, None)
        return registration

    def _own_address(self, draft: RegistrationDraft, repository: ForgeRepository) -> WebAddress:
        own = WebAddress.parse(draft.url) if draft.url else self.public_url
        if own is None:
            problem = (
                "by which address the forge reaches this daemon is not known: set public_url in "
                "the configuration, or give it"
            )
            raise InvalidInput("url", None, problem)
        check_own_address(own, repository)
        return own

    def _declare(
        self, project: Project, repository: ForgeRepository, name: str | None
    ) -> tuple[WebhookRecord, bool]:
        """Return the webhook, and whether it was made now."""
        wanted = parse_webhook_name(name if name is not None else project.name)
        provider = repository.provider
        try:
            found, declared = self.store.get_webhook(wanted), False
        except NotFound:
            draft = WebhookDraft(wanted, provider, project.name)
            try:
                found, declared = declare_webhook(self.store, draft, self.clock.now()).record, True
            except AlreadyExists:  # somebody was faster
                found, declared = self.store.get_webhook(wanted), False
        if found.webhook.project != project.name or found.webhook.provider is not provider:
            whom = found.webhook.project or "every follower"
            message = f"the webhook {wanted} takes {found.webhook.provider}'s, and wakes {whom}"
            raise Conflict(f"{message}; choose another name: `--name {project.name}-{provider}`")
        return found, declared

    def _secret_of(self, record: WebhookRecord) -> Secret:
        found = self.store.find_webhook_secrets(record.webhook.name)
        if found is None:
            raise NotFound(f"the webhook {record.webhook.name} was removed meanwhile")
        return found[1][0]

    def _newest_delivery(self, name: WebhookName) -> int:
        newest = self.store.list_deliveries(DeliveryFilter(name), limit=1)
        return newest[0].number if newest else 0

    def _test(self, registration: Registration, token: Secret) -> tuple[str, str]:
        """Have the forge try it; that it can't is no failure of the registration."""
        repository, hook = registration.repository, registration.hook
        try:
            sent = self.forges.test_hook(repository, token, hook)
        except ForgeError as error:
            return "failed", error.message
        if sent:
            return "sent", ""
        return "not-possible", f"the API of {repository.provider} has no test: push something"


def _source_of(project: Project) -> ExternalSource:
    match project.source:
        case ExternalSource():
            return project.source
        case HostedSource():
            problem = "is kept here, so that each push is seen without a webhook"
            raise InvalidInput("project", project.name, problem)
        case None:
            problem = "follows no repository, so that no push concerns it"
            raise InvalidInput("project", project.name, problem)


def _left_behind(record: WebhookRecord, repository: ForgeRepository) -> Iterator[str]:
    before = record.registration
    if before is not None and before.repository != repository:
        yield f"webhook {before.hook} of {before.repository} was its before: remove it there"


def _known_as(record: WebhookRecord, repository: ForgeRepository) -> str:
    """Return the forge's id of what was registered there before; our address may have changed."""
    before = record.registration
    return before.hook if before is not None and before.repository == repository else ""
