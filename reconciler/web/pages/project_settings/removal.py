"""Removing a project: what is deleted, what stays, and its name typed to make sure."""

from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import InvalidInput, ReconcilerError
from reconciler.domain.references import ProjectName
from reconciler.domain.version import version_of
from reconciler.ports import Store
from reconciler.web.api_projects import delete_project
from reconciler.web.pages.forms import SEEN, Fields, expected_by, go
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.moments import count
from reconciler.web.pages.project_settings.asking import Ask, Blank, ask_page
from reconciler.web.principal import Policy
from reconciler.web.routing import App, Name, router_for
from reconciler.web.subjects import About

removing = router_for(Policy.CONFIG, "pages", About.DAEMON)


@removing.get("/projects/{name}/remove", include_in_schema=False)
def ask_to_remove(frame: Framed, name: Name) -> HTMLResponse:
    """What removing it would do."""
    return ask_page(frame, _removal(frame.application.store, name))


@removing.post("/projects/{name}/remove", include_in_schema=False)
def remove(application: App, frame: Framed, name: Name, fields: Fields) -> Response:
    """Forget it, if its name was typed and nobody changed it meanwhile."""
    ask = _removal(application.store, name)
    try:
        if (given := fields.get("name", "").strip()) != name:
            raise InvalidInput("name", given, f"is not {name}: type the name of what is removed")
        delete_project(application, name, expected_by(fields))
    except ReconcilerError as error:
        return ask_page(frame, ask, error, fields)
    return go(f"/?did=removed&of={name}")


def _removal(store: Store, name: ProjectName) -> Ask:
    project = store.get_project(name)
    webhooks = sum(one.webhook.project == name for one in store.list_webhooks())
    deleted = _and(
        _some(store.count_deployments(name), "deployment", "its history of "),
        _some(len(store.list_secrets(name)), "secret"),
        _some(webhooks, "webhook"),
    )
    left = sorted(store.list_touched_hosts(name))
    runs = f"What runs on {_and(*left)}" if left else "What runs"
    seen = Blank(SEEN, "", "hidden", value=version_of(project))
    return Ask(
        f"Remove {name}?",
        f"Remove {name}",
        f"Keep {name}",
        f"/projects/{name}/settings#remove",
        (
            ("x", f"Its declaration{f', {deleted}' if deleted else ''} are deleted here."),
            ("check", f"{runs} is left running, and is no longer looked after."),
            ("branch", "Its repository, its volumes and its work tree stay as they are."),
            ("person", "What people may do on this project alone, they may no longer."),
        ),
        (seen, Blank("name", f"Type {name} to remove it")),
        removes=True,
    )


def _some(number: int, what: str, before: str = "") -> str:
    return f"{before}{count(number)} {what}{'' if number == 1 else 's'}" if number else ""


def _and(*parts: str) -> str:
    """Return ``a, b and c`` of those that are not empty."""
    said = [part for part in parts if part]
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))
