"""What a route is about: on what the scope that it asks for has to hold."""

from collections.abc import Callable
from enum import Enum

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidInput, NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.release import ReleaseId
from reconciler.domain.webhook import parse_webhook_name
from reconciler.ports import Store
from reconciler.web.schemas.body import MOST_NUMBER


class About(Enum):
    """On what the scope that a route asks for has to hold."""

    NOTHING = "nothing"  #: on nothing: it is open to all, or to all that we know
    DAEMON = "daemon"  #: on the whole daemon
    PROJECT = "project"  #: on the project or repository that the path names
    DEPLOYMENT = "deployment"  #: on the project of the deployment that the path names
    RELEASE = "release"  #: on the project of the release that the path names
    WEBHOOK = "webhook"  #: on the one project of the webhook that the path names
    EACH = "each"  #: on some project at all; the answer shows nothing of any other
    BODY = "body"  #: on what the body names, as the handler has ``authorize`` check it


def subject_of(about: About, path: str) -> str | None:
    """Return the parameter of a route's path that names what it is about; None: there is none."""
    places = _NAMED_BY.get(about, ())
    found = next((place for place in places if f"/{place}/" in f"{path}/"), None)
    return None if found is None else found.rpartition("{")[2].strip("}")


def names_its_subject(about: About, path: str) -> bool:
    """Tell whether a route with this path can be about that."""
    return about not in _NAMED_BY or subject_of(about, path) is not None


def find_project(store: Store, about: About, text: str) -> str | None:
    """Return the project that what the path names belongs to; None: to none, or it is not there."""
    try:
        return _FOUND_BY[about](store, text)
    except (InvalidInput, NotFound):
        return None


def project_of_webhook(store: Store, text: str) -> ProjectName | None:
    """Return the only project that a webhook wakes; None: others too.

    Raises:
        InvalidInput: not the name of one. ``NotFound``: there is none of this name.
    """
    return store.get_webhook(parse_webhook_name(text)).webhook.project


#: Where a path names it: ``{name}`` alone may be anything's.
_NAMED_BY: dict[About, tuple[str, ...]] = {
    About.PROJECT: ("projects/{name}", "repositories/{name}", "{app}"),
    About.DEPLOYMENT: ("deployments/{id}",),
    About.RELEASE: ("releases/{id}",),
    About.WEBHOOK: ("webhooks/{name}",),
}
_FOUND_BY: dict[About, Callable[[Store, str], str | None]] = {
    About.DEPLOYMENT: lambda store, text: store.get_deployment(DeploymentId(_number(text))).project,
    About.RELEASE: lambda store, text: store.get_release(ReleaseId(_number(text))).report.project,
    About.WEBHOOK: project_of_webhook,
}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MOST_NUMBER):
        raise InvalidInput("id", text, "is not a number")
    return int(text)
