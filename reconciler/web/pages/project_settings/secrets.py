"""A project's secrets: put there, replaced and removed; never shown, and in no field."""

from typing import Annotated

from fastapi import Query
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import InvalidInput, NotFound, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.domain.version import version_of
from reconciler.pipeline.declaring.secrets import parse_secret_name
from reconciler.ports import SecretRecord, Store
from reconciler.web.api_secrets import SecretName, delete_secret, store_secret
from reconciler.web.pages.form_values import as_model
from reconciler.web.pages.forms import SEEN, Fields, expected_by, go
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.project_settings.asking import Ask, Blank, ask_page
from reconciler.web.pages.project_settings.secret_words import SecretKind, kind_of, title_of
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.secrets import NewSecret
from reconciler.web.subjects import About

keeping = router_for(Policy.SECRETS, "pages", About.PROJECT)

_LONGEST_NAME = 200


@keeping.get("/projects/{name}/settings/new-secret", include_in_schema=False)
def ask_for_new_secret(
    frame: Framed,
    name: Name,
    kind: str = "variable",
    secret: Annotated[str, Query(max_length=_LONGEST_NAME)] = "",
) -> HTMLResponse:
    """Empty fields for a secret of this kind; its name is filled in where that is known."""
    frame.application.store.get_project(name)
    return ask_page(frame, _new(name, _kind(kind), secret))


@keeping.post("/projects/{name}/settings/new-secret", include_in_schema=False)
def add_secret(application: App, frame: Framed, name: Name, fields: Fields) -> Response:
    """Store one that there was not, or say at the field why not."""
    application.store.get_project(name)
    kind = _kind(fields.get("kind", ""))
    subject = fields.get("secret", "").strip()
    wanted = f"{kind.key}:{subject}" if kind.subject else kind.key
    try:
        parse_secret_name(wanted)
        if any(one.name == wanted for one in application.store.list_secrets(name)):
            raise InvalidInput("secret", subject or wanted, "is stored already; replace that one")
        store_secret(application, name, wanted, _given(fields, kind))
    except ReconcilerError as error:
        return ask_page(frame, _new(name, kind), error, fields)
    return go(f"/projects/{name}/settings?did=secret&of={wanted}#secrets")


@keeping.get("/projects/{name}/settings/secrets/{secret}", include_in_schema=False)
def ask_to_replace_secret(frame: Framed, name: Name, secret: SecretName) -> HTMLResponse:
    """Empty fields for what takes its place."""
    return ask_page(frame, _replacing(name, _find(frame.application.store, name, secret)))


@keeping.post("/projects/{name}/settings/secrets/{secret}", include_in_schema=False)
def replace_secret(
    application: App, frame: Framed, name: Name, secret: SecretName, fields: Fields
) -> Response:
    """Put another in its place, or say at the field why not."""
    record = _find(application.store, name, secret)
    try:
        expected_by(fields).require(record)
        store_secret(application, name, secret, _given(fields, _kind_of(secret)))
    except ReconcilerError as error:
        return ask_page(frame, _replacing(name, record), error, fields)
    return go(f"/projects/{name}/settings?did=secret&of={secret}#secrets")


@keeping.get("/projects/{name}/settings/secrets/{secret}/remove", include_in_schema=False)
def ask_to_remove_secret(frame: Framed, name: Name, secret: SecretName) -> HTMLResponse:
    """What removing it would do."""
    return ask_page(frame, _removal(name, _find(frame.application.store, name, secret)))


@keeping.post("/projects/{name}/settings/secrets/{secret}/remove", include_in_schema=False)
def remove_secret(
    application: App, frame: Framed, name: Name, secret: SecretName, fields: Fields
) -> Response:
    """Remove it."""
    record = _find(application.store, name, secret)
    try:
        expected_by(fields).require(record)
        delete_secret(application, name, secret)
    except ReconcilerError as error:
        return ask_page(frame, _removal(name, record), error)
    return go(f"/projects/{name}/settings?did=secret-removed&of={secret}#secrets")


def _given(fields: Fields, kind: SecretKind) -> NewSecret:
    value = fields.get("value", "")
    given = {"value": value.replace("\r\n", "\n") if kind.is_long else value}
    return as_model(NewSecret, given | {"username": fields.get("username", "").strip()})


def _kind(key: str) -> SecretKind:
    found = kind_of(key)
    if found is None:
        raise NotFound(f"there is no kind of secret {key!r}")
    return found


def _kind_of(secret: str) -> SecretKind:
    parse_secret_name(secret)
    return _kind(secret.partition(":")[0])


def _find(store: Store, name: ProjectName, secret: str) -> SecretRecord:
    store.get_project(name)
    parse_secret_name(secret)
    for record in store.list_secrets(name):
        if record.name == secret:
            return record
    raise NotFound(f"{name} has no secret {secret}")


def _new(name: ProjectName, kind: SecretKind, named: str = "") -> Ask:
    subject = (Blank("secret", kind.subject, value=named),) if kind.subject else ()
    return Ask(
        f"{kind.title} of {name}",
        "Store it",
        "Leave it",
        f"/projects/{name}/settings#secrets",
        (("lock", kind.about), ("blind", "It is encrypted here, and never shown again.")),
        (Blank("kind", "", "hidden", value=kind.key), *subject, *_blanks(kind)),
    )


def _replacing(name: ProjectName, record: SecretRecord) -> Ask:
    kind = _kind_of(record.name)
    goes_to = f" It is sent to {record.bound_to}, and nowhere else." if record.bound_to else ""
    return Ask(
        f"Replace {title_of(record.name)} of {name}?",
        "Replace it",
        "Keep the present one",
        f"/projects/{name}/settings#secrets",
        (
            ("lock", f"The one whose fingerprint begins {record.fingerprint[:4]} is gone then."),
            ("blind", f"The new one is encrypted here, and never shown.{goes_to}"),
        ),
        (Blank(SEEN, "", "hidden", value=version_of(record)), *_blanks(kind, record.username)),
    )


def _blanks(kind: SecretKind, user: str = "") -> tuple[Blank, ...]:
    hint = "" if kind.needs_user else "Empty where the forge asks for none."
    named = (Blank("username", kind.user, "text", hint, user, required=kind.needs_user),)
    shape = "area" if kind.is_long else "password"
    return (*(named if kind.user else ()), Blank("value", kind.value, shape, secret=True))


def _removal(name: ProjectName, record: SecretRecord) -> Ask:
    what = title_of(record.name)
    return Ask(
        f"Remove {what} of {name}?",
        "Remove it",
        "Keep it",
        f"/projects/{name}/settings#secrets",
        (
            ("x", "It is deleted here, and cannot be brought back: nobody ever sees it."),
            ("check", "What runs keeps what it was started with."),
        ),
        (Blank(SEEN, "", "hidden", value=version_of(record)),),
        removes=True,
    )
