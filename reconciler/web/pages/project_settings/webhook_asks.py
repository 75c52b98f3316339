"""What is asked before a webhook is declared, registered, given a new secret, or removed."""

from collections.abc import Sequence

from reconciler.domain.forge import REGISTRABLE
from reconciler.domain.project import Project
from reconciler.domain.webhook import FORGES, Provider
from reconciler.ports import Store, WebhookRecord
from reconciler.web.pages.forms import SEEN
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.project_settings.asking import Ask, Blank
from reconciler.web.pages.project_settings.webhook_view import version_of_webhook
from reconciler.web.principal import Policy

_GIVEN_SECRET = Blank(
    "secret",
    "Secret",
    "password",
    "Empty: one is made, and shown this once.",
    required=False,
    secret=True,
)


def _back(name: str | None) -> str:
    return f"/projects/{name}/settings#webhooks"


def _seen(record: WebhookRecord) -> Blank:
    return Blank(SEEN, "", "hidden", value=version_of_webhook(record))


def _choices(providers: Sequence[Provider]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one), str(one)) for one in providers)


def new_webhook(store: Store, project: Project) -> Ask:
    """Return what is asked before one is declared."""
    taken = {one.webhook.name for one in store.list_webhooks()}
    free = next(
        (one for at in range(1, 100) if (one := _name(project.name, at)) not in taken), project.name
    )
    forges = FORGES if project.source is not None else ()
    registries = [one for one in Provider if one.announces_images]
    suits = [*forges, *(registries if project.kind.runs_containers else ())]
    hint = "Only of distribution and harbor: its host, as images name it."
    registry = (Blank("registry", "Registry", hint=hint, required=False),)
    return Ask(
        f"A webhook for {project.name}",
        "Declare it",
        "Leave it",
        _back(project.name),
        (
            ("download", f"What is sent to it leads to a look at {project.name}, within seconds."),
            ("lock", "Only what is signed with its secret counts. The secret is shown once."),
        ),
        (
            Blank("provider", "Sent by", "choice", options=_choices(suits)),
            Blank("name", "Name", hint="The last part of its address.", value=free),
            *(registry if project.kind.runs_containers else ()),
            _GIVEN_SECRET,
        ),
    )


def _name(project: str, at: int) -> str:
    return project if at == 1 else f"{project}-{at}"[:63]


def rotation(record: WebhookRecord) -> Ask:
    """Return what is asked before one gets a new secret."""
    name = record.webhook.name
    return Ask(
        f"Give the webhook {name} a new secret?",
        "Give it a new one",
        "Keep the present one",
        _back(record.webhook.project),
        (
            ("lock", "The new secret is shown once, to be entered at the forge."),
            ("check", "The present one is taken, too, until you say that the forge has the new."),
        ),
        (_seen(record), _GIVEN_SECRET),
    )


def end_of_rotation(record: WebhookRecord) -> Ask:
    """Return what is asked before the secret before is no longer taken."""
    name, before = record.webhook.name, record.previous_fingerprint[:4]
    return Ask(
        f"Has the forge the new secret of {name}?",
        "It has the new one",
        "Not yet",
        _back(record.webhook.project),
        (
            ("x", f"What is signed with the one before, {before}…, is refused from now on."),
            ("check", f"What is signed with the present one, {record.fingerprint[:4]}…, is taken."),
        ),
        (_seen(record),),
    )


def webhook_removal(record: WebhookRecord) -> Ask:
    """Return what is asked before one is removed."""
    name = record.webhook.name
    still = "The forge still sends to it, and is answered with 404: deregister it first."
    return Ask(
        f"Remove the webhook {name}?",
        f"Remove {name}",
        "Keep it",
        _back(record.webhook.project),
        (
            ("x", "It is deleted here with its secret and its deliveries."),
            ("check", "Polling goes on: pushes are found, only later."),
            *((("warn", still),) if record.registration else ()),
        ),
        (_seen(record),),
        removes=True,
    )


def registration(frame: Frame, project: Project) -> Ask:
    """Return what is asked before a forge is told of it."""
    public = frame.application.registrations.public_url
    forges = (("", "as the host of the source tells"), *_choices(REGISTRABLE))
    beyond = (
        Blank(
            "url",
            "Address of this daemon",
            hint=f"As the forge reaches it. Empty: {public or 'public_url, which is not set'}.",
            required=False,
        ),
        Blank(
            "forge_url",
            "Address of the forge",
            hint="Empty: the host of the source, over https.",
            required=False,
        ),
    )
    return Ask(
        f"Register the webhook of {project.name} at its forge?",
        "Register it",
        "Leave it",
        _back(project.name),
        (
            (
                "download",
                "The forge is told to send pushes here, signed with the webhook’s secret.",
            ),
            ("check", "Where it is there already, what is amiss is mended."),
        ),
        (
            Blank(
                "token",
                "Access token of the forge",
                "password",
                "It may administer the repository’s webhooks. Used for this once, kept nowhere.",
                secret=True,
            ),
            Blank("provider", "Forge", "choice", options=forges, required=False),
            *(beyond if frame.may(Policy.CONFIG) else ()),
        ),
    )


def deregistration(record: WebhookRecord) -> Ask:
    """Return what is asked before a forge forgets it."""
    registered = record.registration
    where = registered.repository.path if registered else "its forge"
    return Ask(
        f"Deregister the webhook {record.webhook.name}?",
        "Deregister it",
        "Leave it",
        _back(record.webhook.project),
        (
            ("x", f"The forge no longer sends pushes of {where} here."),
            ("check", "It stays declared here. Polling goes on."),
        ),
        (
            Blank(
                "token",
                "Access token of the forge",
                "password",
                "Used for this once, kept nowhere.",
                secret=True,
            ),
        ),
    )
