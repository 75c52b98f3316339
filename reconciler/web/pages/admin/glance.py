"""The daemon at a glance: a panel for each of its own matters, which leads to the page of it."""

from fastapi import Request
from starlette.responses import HTMLResponse

from reconciler.domain.version import version_of
from reconciler.ports import AuditQuery
from reconciler.store.backup import last_backup
from reconciler.web.pages.admin.audit_words import AuditLine
from reconciler.web.pages.admin.matters import DaemonFacts, LoopRow, Matters, wants_of
from reconciler.web.pages.admin.setting_rows import setting_rows
from reconciler.web.pages.admin.tokens import token_rows
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.hosts.rows import rows_of_hosts
from reconciler.web.pages.registries.rows import rows_of_registries
from reconciler.web.pages.rendering import page
from reconciler.web.principal import Policy
from reconciler.web.routing import router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DAEMON)

_MOST = 8
_NEWEST = AuditQuery(limit=5)


@reading.get("/admin", include_in_schema=False)
def show_glance(request: Request, frame: Framed) -> HTMLResponse:
    """What one may see of it all; people, tokens, the log and what loops fail of, for admins."""
    store, is_admin = frame.application.store, frame.may("admin")
    records = store.get_settings()
    checked = request.app.state.audit_checks.last if is_admin else None
    matters = Matters(
        daemon=_daemon(frame),
        hosts=sorted(rows_of_hosts(frame), key=lambda row: not row.badge.tinted),
        registries=sorted(rows_of_registries(frame), key=lambda row: not row.badge.tinted),
        channels=store.list_channels(),
        tokens=token_rows(frame) if is_admin else (),
        checked=checked,
    )
    return page(
        frame,
        "admin/glance.html",
        settings=setting_rows(frame, records, matters.registries),
        guard=version_of(records),
        wants=wants_of(matters),
        daemon=matters.daemon,
        hosts=matters.hosts,
        registries=matters.registries,
        channels=matters.channels,
        tokens=matters.tokens[:_MOST],
        people=sorted(store.list_people(), key=lambda one: one.name) if is_admin else (),
        most=_MOST,
        lines=[AuditLine.of(one) for one in store.list_audit(_NEWEST)] if is_admin else (),
        checked=checked,
    )


def _daemon(frame: Frame) -> DaemonFacts:
    application, config = frame.application, frame.application.config
    embedded = not config.database_url.reveal()
    loops = [LoopRow.of(one) for one in application.daemon.loops()]
    return DaemonFacts(
        loops=sorted(loops, key=lambda one: one.ok),
        store=application.store.read_figures(frame.now),
        embedded=embedded,
        backup=last_backup(config.database_file) if embedded else None,
        places=config.deployments_at_once,
    )
