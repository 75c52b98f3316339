"""How a project reads on a terminal."""

import shlex

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of


def show_projects(projects: list[JsonObject]) -> None:
    """Print a table of projects."""
    show.table(
        ("PROJECT", "STATE", "AUTO", "LIVE", "SINCE", "SOURCE"),
        (
            (
                show.styled(show.word(item, "name"), "bold"),
                show.word(item, "state"),
                toggle_of(item),
                live_of(item),
                show.ago(item, "live", "since"),
                _followed(item),
            )
            for item in projects
        ),
        empty="no projects yet; `reconciler project add --help` shows how",
    )


def _followed(item: JsonObject) -> str:
    before = show.word(item, "environment", "promoted_from")
    return f"promoted from {before}" if before else source_of(item)


def toggle_of(item: JsonObject) -> str:
    """Return the toggle; there is none where nothing can be deployed."""
    if show.word(item, "state") == "nothing-to-deploy":
        return ""
    return "on" if show.pick(item, "auto_deploy") else "off"


def live_of(item: JsonObject) -> str:
    """Return what runs: its commit or digest, and the deployment."""
    live = show.pick(item, "live")
    if not live:
        return ""
    commit = show.short(live, "commit")
    if not commit:
        digests = show.pick(live, "images")
        commit = show.short(next(iter(digests.values()), None)) if isinstance(digests, dict) else ""
    number = show.word(live, "deployment")
    return f"{commit} (#{number})" if number else commit


def source_of(item: JsonObject) -> str:
    """Return what a project follows, in a few words."""
    source = show.pick(item, "source")
    if not source:
        return show.word(item, "image")
    place = show.word(source, "url") or f"hosted {show.word(source, 'repository')}"
    return f"{place} {show.word(source, 'branch')}"


def hosts_of(item: JsonObject) -> str:
    """Return where it is deployed to."""
    how = ", one by one" if show.pick(item, "one_by_one") else ""
    how += ", drift is mended" if show.pick(item, "mend_drift") else ""
    return f"{show.words(item, 'hosts')}{how}"


def exposed_of(item: JsonObject) -> str:
    """Return what faces users."""
    service, port = show.word(item, "expose_service"), show.word(item, "expose_port")
    return f"{service}:{port}" if service or port else ""


def migration_of(item: JsonObject) -> str:
    """Return what runs before anything is switched, as a shell would quote it."""
    command = show.pick(item, "migration", "command")
    if not isinstance(command, list):
        return ""
    service = show.word(item, "migration", "service")
    status = show.word(item, "migration", "approval_status")
    more = (f"in {service}" if service else "", f"{status} asks for approval" if status else "")
    said = ", ".join(filter(None, more))
    return shlex.join(map(str, command)) + (f" ({said})" if said else "")


def version_check_of(item: JsonObject) -> str:
    """Return where the app tells its commit."""
    port, path = show.word(item, "version", "port"), show.word(item, "version", "path")
    service, name = show.word(item, "version", "service"), show.word(item, "version", "json_path")
    where = path + (f" on port {port}" if port else "") + (f" of {service}" if service else "")
    return where + (f", {name}" if name else "") if path else ""


def watched_of(item: JsonObject) -> str:
    """Return which commits concern it; empty where every one does."""
    markers = "commits without [skip cd]" if show.pick(item, "skip_markers") else ""
    return ", ".join(filter(None, (show.words(item, "watch_paths"), markers)))


def statuses_of(item: JsonObject) -> str:
    """Return which forge is told how each commit fares; empty where none is."""
    if not show.pick(item, "commit_statuses"):
        return ""
    kind, url = show.word(item, "forge"), show.word(item, "forge_url")
    return f"told to {kind or 'the forge'}" + (f" at {url}" if url else "")


def quarantined_of(item: JsonObject) -> str:
    """Return the revisions that were rolled back."""
    revisions = show.pick(item, "quarantined")
    if not isinstance(revisions, list):
        return ""
    return "; ".join(
        f"{show.short(one, 'commit') or 'images'}, {show.ago(one, 'since')}: "
        f"{show.word(one, 'reason')}"
        for one in revisions
    )


def environment_of(item: JsonObject) -> str:
    """Return which environment of an app it is, and where it gets its revisions from."""
    name, before = (show.word(item, "environment", key) for key in ("name", "promoted_from"))
    soak = show.pick(item, "environment", "soak_seconds")
    told = f"{name}, promoted from {before}" if before else name
    waits = f" once it stood there for {show.span(soak)}" if isinstance(soak, int | float) else ""
    return told + waits


def windows_of(item: JsonObject) -> str:
    """Return when it may change; empty where it always may."""
    rules = item.get("rules")
    return ", ".join(map(_window, items_of(rules, "windows"))) if isinstance(rules, dict) else ""


def _window(window: JsonObject) -> str:
    days = show.words(window, "days").replace(", ", ",")
    first, last = days[:3], days[-3:]
    if len(days) > 3 and days in "mon,tue,wed,thu,fri,sat,sun":
        days = f"{first}-{last}"
    times = f"{show.word(window, 'opens')}-{show.word(window, 'closes')}"
    return f"{days} {times} {show.word(window, 'zone')}"


def image_age_of(item: JsonObject) -> str:
    """Return how old an image has to be before it is followed; empty where that doesn't matter."""
    age = show.pick(item, "rules", "minimum_image_age_seconds")
    return f"once first seen {show.span(age)} ago" if isinstance(age, int | float) else ""


def approvals_of(item: JsonObject) -> str:
    """Return how many people approve a promotion to it, and how long it waits for them."""
    count = show.word(item, "rules", "approvals")
    expire = show.pick(item, "rules", "approvals_expire_after_seconds")
    within = f" within {show.span(expire)}" if isinstance(expire, int | float) else ""
    return f"{count} {'person' if count == '1' else 'people'}{within}" if count else ""


def freeze_of(item: JsonObject) -> str:
    """Return who froze it, why, and until when; empty where nobody did."""
    if not show.pick(item, "freeze"):
        return ""
    by, reason = show.word(item, "freeze", "by"), show.word(item, "freeze", "reason")
    until = show.ago(item, "freeze", "until")
    return f"by {by}: {reason}" + (f"; ends {until}" if until else "")
