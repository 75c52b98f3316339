"""Registries: whether each answers, what it allows, what is watched there, and as whom."""

from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import NotFound, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_host import parse_registry_host
from reconciler.domain.secret import Secret
from reconciler.pipeline.declaring.secrets import SecretDraft, put_secret, remove_secret
from reconciler.web.pages.forms import Fields, by_field, go, status_of
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.registries.rows import RegistryRow, rows_of_registries
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)
asking = router_for(Policy.TRIGGER, "pages", About.DAEMON)
entrusting = router_for(Policy.SECRETS, "pages", About.PROJECT)


@reading.get("/registries", include_in_schema=False)
def show_registries(frame: Framed) -> HTMLResponse:
    """All that images are looked up at."""
    return page(frame, "registries/list.html", rows=rows_of_registries(frame))


@reading.get("/registries/{registry}", include_in_schema=False)
def show_registry(frame: Framed, registry: str, did: str = "") -> HTMLResponse:
    """One: which images of which projects, and as whom each asks."""
    row = _find(frame, registry)
    projects = sorted({one.project for one in row.images} | set(row.users))
    return page(frame, "registries/one.html", row=row, projects=projects, did=did)


@asking.post("/registries/{registry}/ask", include_in_schema=False)
def ask_registry(application: App, frame: Framed, registry: str, fields: Fields) -> Response:
    """Ask it whether it answers; only one that is known here is ever asked."""
    del fields  # looked at by what reads them
    row = _find(frame, registry)
    if row.probe is not None:
        row.probe.look()
    else:
        application.registry.probe(row.host)
    return go(f"{row.address}?did=asked")


@entrusting.get("/projects/{name}/registries/{registry}", include_in_schema=False)
def show_credentials(frame: Framed, name: Name, registry: str) -> HTMLResponse:
    """As whom a project asks a registry, and a form to change that."""
    return _credentials(frame, name, parse_registry_host(registry))


@entrusting.post("/projects/{name}/registries/{registry}", include_in_schema=False)
def change_credentials(
    application: App, frame: Framed, name: Name, registry: str, fields: Fields
) -> Response:
    """Store or remove what the project shows to the registry."""
    host, now = parse_registry_host(registry), application.clock.now()
    secret, user = f"registry:{host}", fields.get("username", "").strip()
    try:
        if fields.get("act") == "remove":
            remove_secret(application.store, name, secret, now)
        else:
            draft = SecretDraft(secret, Secret.of(fields.get("value", "")), user)
            put_secret(application.store, name, draft, now)
    except NotFound:
        raise
    except ReconcilerError as error:
        return _credentials(frame, name, host, user, error)
    return go(f"/registries/{host}" if frame.may("read") else f"/projects/{name}/settings")


def _find(frame: Frame, text: str) -> RegistryRow:
    host = parse_registry_host(text)
    for row in rows_of_registries(frame):
        if row.host == host:
            return row
    raise NotFound(f"no image is looked up at {host}, and it is not configured")


def _credentials(
    frame: Frame,
    name: ProjectName,
    host: str,
    user: str = "",
    error: ReconcilerError | None = None,
) -> HTMLResponse:
    frame.application.store.get_project(name)
    secrets = frame.application.store.list_secrets(name)
    return page(
        frame,
        "registries/credentials.html",
        status_of(error),
        name=name,
        host=host,
        stored=next((one for one in secrets if one.name == f"registry:{host}"), None),
        user=user,
        errors=by_field(error),
    )
