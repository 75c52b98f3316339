"""``reconciler plan``: what deploying now would change."""

import typer

from reconciler.cli import show
from reconciler.cli.client import JsonObject, at, connect, items_of
from reconciler.cli.failure import ExitStatus
from reconciler.cli.family import AS_JSON, PROJECT

#: A plan takes a minute at most.
_SECONDS = 75
_FILE_MARKS = {"added": ("+", "green"), "removed": ("-", "red")}
_LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_WEIGHT_STYLES = {"refuses": "red", "fails": "red"}


def plan(
    context: typer.Context,
    name: str = PROJECT,
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Full commit.  [default: the branch's tip]"
    ),
    exit_code: bool = typer.Option(
        False, "--exit-code", help="End with 16 if it would change something."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Show what deploying, or promoting, now would change. Nothing is changed.

    The commits, images and files between what is live and what would be deployed; how the compose
    file differs, with variables as they are written; and what would stop it.
    """
    client, query = connect(context), {"commit": commit} if commit else {}
    with show.busy(f"looking at what deploying {name} would change"):
        answer = client.send("GET", at("projects", name, "plan"), query=query, seconds=_SECONDS)
    if as_json:
        show.as_json(answer)
    else:
        _show(answer, commit)
    if exit_code and answer.get("changes"):
        raise typer.Exit(ExitStatus.WOULD_CHANGE)


def _show(answer: JsonObject, commit: str | None) -> None:
    show.paragraph(show.word(answer, "verdict"), "bold")
    _show_findings(answer)
    _show_elsewhere(answer)
    _show_commits(answer)
    _show_images(answer)
    _show_files(answer)
    _show_difference(answer)
    if answer.get("changes"):
        show.note(_how_to(answer, f" --commit {commit}" if commit else ""))


def _how_to(answer: JsonObject, taken: str) -> str:
    """Return with which command it is done."""
    project = show.word(answer, "project")
    if any(show.word(one, "code") == "promotion" for one in items_of(answer, "findings")):
        return f"promote it: reconciler promote {project}{taken}"
    plan = show.word(answer, "plan")
    return f"deploy exactly this: reconciler deploy {project}{taken} --plan {plan}"


def _show_findings(answer: JsonObject) -> None:
    verdict = show.word(answer, "verdict")
    for finding in items_of(answer, "findings"):
        told = "" if show.word(finding, "text") in verdict else show.word(finding, "text")
        text = "; ".join(part for part in (told, show.word(finding, "remedy")) if part)
        if text:
            show.paragraph(text, _WEIGHT_STYLES.get(show.word(finding, "weight"), "yellow"))


def _show_elsewhere(answer: JsonObject) -> None:
    others = show.pick(answer, "elsewhere")
    for host in others if isinstance(others, dict) else ():
        show.say(f"{host} runs {show.short(others, host)}", "yellow")


def _show_commits(answer: JsonObject) -> None:
    commits = items_of(answer, "commits")
    if not commits:
        return
    show.say("")
    rows = (
        (
            show.styled(show.short(one, "commit"), "yellow"),
            show.ago(one, "at"),
            show.word(one, "author"),
            show.word(one, "subject"),
        )
        for one in commits
    )
    show.table(("COMMIT", "WHEN", "AUTHOR", "SUBJECT"), rows)
    if answer.get("more_commits"):
        show.say("and more", "dim")


def _show_images(answer: JsonObject) -> None:
    images, several = items_of(answer, "images"), len(show.listed(answer, "hosts")) > 1
    if not images:
        return
    show.say("")
    rows = (
        (
            show.word(one, "service"),
            show.words(one, "hosts") if several else "",
            _move(one, "image") or show.word(one, "image"),
            show.styled(_digests(one), "yellow" if one.get("changes") else "dim"),
            _sizes(one),
            show.ago(one, "after", "created_at"),
            show.word(one, "note"),
        )
        for one in images
    )
    show.table(("SERVICE", "HOSTS", "IMAGE", "DIGEST", "SIZE", "MADE", "NOTE"), rows)


def _digests(image: JsonObject) -> str:
    before, after = show.short(image, "before", "digest"), show.short(image, "after", "digest")
    if before == after:
        return before
    return f"{before or 'none'} → {after or '?'}" if after or before else ""


def _move(image: JsonObject, key: str) -> str:
    before, after = show.word(image, "before", key), show.word(image, "after", key)
    return f"{before} → {after}" if before and after and before != after else ""


def _sizes(image: JsonObject) -> str:
    told = [_size(show.pick(image, side, "size_bytes")) for side in ("before", "after")]
    before, after = told
    return f"{before} → {after}" if before and after and before != after else after


def _size(size: object) -> str:
    """Return a number of bytes as `docker` shows it."""
    if not isinstance(size, int):
        return ""
    for limit, unit in ((1e3, "B"), (1e6, "kB"), (1e9, "MB")):
        if size < limit:
            return f"{size / (limit / 1e3):.3g} {unit}"
    return f"{size / 1e9:.1f} GB"


def _show_files(answer: JsonObject) -> None:
    files = items_of(answer, "files")
    if not files:
        return
    show.say("")
    for file in files:
        mark, style = _FILE_MARKS.get(show.word(file, "change"), ("~", "yellow"))
        show.say(f"{mark} {show.word(file, 'path')}", style)
    if answer.get("more_files"):
        show.say(f"and {show.word(answer, 'more_files')} more", "dim")


def _show_difference(answer: JsonObject) -> None:
    lines = show.listed(answer, "difference")
    if lines:
        show.say("")
    for line in lines:
        show.say(line, _LINE_STYLES.get(line[:1], "dim"))
    if note := show.word(answer, "difference_note"):
        show.say(note, "dim")
