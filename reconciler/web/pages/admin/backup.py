"""How what the daemon knows is kept safe, and got back."""

from starlette.responses import HTMLResponse

from reconciler.store.backup import last_backup, list_copies
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.subjects import About

guarding = router_for(Policy.ADMIN, "pages", About.DAEMON)


@guarding.get("/admin/backup", include_in_schema=False)
def show_backup(frame: Framed) -> HTMLResponse:
    """What to copy, by which commands, and how to see that a copy is good."""
    config = frame.application.config
    embedded = not config.database_url.reveal()
    return page(
        frame,
        "admin/backup.html",
        embedded=embedded,
        database=config.database_file,
        data_folder=config.data_folder,
        last=last_backup(config.database_file) if embedded else None,
        copies=list_copies(config.database_file) if embedded else (),
        size=frame.application.store.read_figures(frame.now).size_bytes,
    )
