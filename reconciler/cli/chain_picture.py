"""One picture of a release's way through its environments, for a terminal of any width."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of
from reconciler.cli.project_lines import live_of

if TYPE_CHECKING:
    from rich.text import Text

_BAR = 8
#: States that need more words than one.
_TROUBLED = frozenset({"failed", "quarantined", "needs-approval", "branch-gone"})


def picture(chain: JsonObject, width: int) -> "Sequence[Text]":
    """Return lines with the environments from left to right where they fit, else below another."""
    parts = items_of(chain)
    rows = [(label, [fact(part) for part in parts]) for label, fact in _FACTS]
    told = [(label, cells) for label, cells in rows if any(cells)]
    across = list(_across(parts, told))
    fits = max((len(line) for line in across), default=0) <= width
    return across if fits else list(_below(parts, told))


def show_chain(chain: JsonObject) -> None:
    """Print the picture, and below it what each environment waits for, in sentences."""
    out = show.console()
    for line in picture(chain, out.width):
        out.print(line)
    for part in items_of(chain):
        for text in _waits(part):
            show.paragraph(text)
    if hidden := chain.get("hidden"):
        others = "environment is" if hidden == 1 else "environments are"
        show.note(f"{show.word(hidden)} more {others} not yours to see")


def name_of(part: JsonObject) -> str:
    """Return what people call an environment."""
    return show.word(part, "environment") or show.word(part, "project")


def soak_of(waits: object) -> "Text | str":
    """Return how long something has stood of the time that it has to, with a bar."""
    stood, needed = (show.pick(waits, "soak", key) for key in ("stood_seconds", "needed_seconds"))
    if not (isinstance(stood, int | float) and isinstance(needed, int | float) and needed > 0):
        return ""
    done = min(int(_BAR * stood / needed), _BAR)
    bar = f"{'█' * done}{'░' * (_BAR - done)}"
    over = stood >= needed
    text = (
        f"{bar} {show.span(needed)}" if over else f"{bar} {show.span(stood)} of {show.span(needed)}"
    )
    return show.styled(text, "green" if over else "cyan")


def votes_of(waits: object) -> str:
    """Return how many have approved, of how many who have to."""
    needed = show.pick(waits, "approvals_needed")
    votes = items_of(waits, "votes") if isinstance(waits, dict) else []
    given = sum(1 for one in votes if one.get("approves") is True)
    return f"{given} of {needed}" if isinstance(needed, int) and (needed or given) else ""


def content_of(revision: object) -> str:
    """Return what is to come: its commit, or its digests where it has none."""
    if commit := show.short(revision, "commit"):
        return commit
    images = show.pick(revision, "images")
    digests = list(images.values()) if isinstance(images, dict) else []
    return ", ".join(show.short(digest) for digest in digests[:2])


def _name(part: JsonObject) -> "Text":
    return show.styled(name_of(part), "bold")


def _project(part: JsonObject) -> "Text | str":
    project = show.word(part, "project")
    return show.styled(project, "dim") if project != name_of(part) else ""


def _runs(part: JsonObject) -> "Text | str":
    return live_of(part) or show.styled("nothing yet", "dim")


def _next(part: JsonObject) -> str:
    coming = show.pick(part, "next")
    number = show.word(coming, "promotion")
    return f"{content_of(coming)}{f' (promotion {number})' if number else ''}" if coming else ""


def _votes(part: JsonObject) -> str:
    """Return who agreed to what comes next; nobody is asked about what is on its way already."""
    coming = show.pick(part, "next")
    asked = show.word(coming, "promotion") or not show.word(part, "under_way")
    return votes_of(coming) if asked else ""


def _under_way(part: JsonObject) -> str:
    number = show.word(part, "under_way")
    return f"deployment {number}" if number else ""


#: The rows of the picture, with what each environment says there.
_FACTS = (
    ("", _project),
    ("runs", _runs),
    ("since", lambda part: show.ago(part, "live", "since")),
    ("state", lambda part: show.stated(show.word(part, "state"))),
    ("now", _under_way),
    ("next", _next),
    ("soak", lambda part: soak_of(show.pick(part, "next"))),
    ("votes", _votes),
)
_Rows = Sequence[tuple[str, Sequence["Text | str"]]]


def _across(parts: Sequence[JsonObject], rows: _Rows) -> "Iterator[Text]":
    """Yield the lines of the picture with the environments side by side."""
    cells = [("", [_name(part) for part in parts]), *rows]
    labels = max((len(label) for label, _ in cells), default=0)
    widths = [max(len(row[at]) for _, row in cells) for at in range(len(parts))]
    for number, (label, row) in enumerate(cells):
        line = show.styled(f"{label:<{labels}}", "dim")
        for at, cell in enumerate(row):
            leads = number == 0 and at > 0 and _leads_to(parts[at - 1], parts[at])
            line.append(f"  {'→' if leads else ' '}  " if at else "  ")
            line.append(cell)
            line.append(" " * (widths[at] - len(cell)))
        line.rstrip()
        yield line


def _below(parts: Sequence[JsonObject], rows: _Rows) -> "Iterator[Text]":
    """Yield the lines of the picture with each environment below the one before it."""
    labels = max((len(label) for label, _ in rows), default=0)
    for at, part in enumerate(parts):
        if at:
            yield show.styled("↓" if _leads_to(parts[at - 1], part) else "", "dim")
        yield _name(part)
        for label, row in rows:
            if cell := row[at]:
                line = show.styled(f"  {label:<{labels}}  ", "dim")
                line.append(cell)
                yield line


def _leads_to(one: JsonObject, other: JsonObject) -> bool:
    return show.word(other, "promoted_from") == show.word(one, "project")


def _waits(part: JsonObject) -> Iterator[str]:
    """Yield what an environment waits for, and what people said of what comes next."""
    coming = part.get("next")
    if not isinstance(coming, dict):
        if show.word(part, "state") in _TROUBLED:
            yield f"{name_of(part)}: {show.word(part, 'state_text')}"
        return
    for reason in items_of(part, "reasons"):
        yield f"{name_of(part)}: {show.word(reason, 'text')}"
    for vote in items_of(coming, "votes"):
        yield f"{name_of(part)}: {vote_of(vote)}"


def vote_of(vote: JsonObject) -> str:
    """Return what one person said."""
    said = "approved" if vote.get("approves") is True else "rejected"
    reason = show.word(vote, "reason")
    when = f"{show.word(vote, 'person')} {said} it {show.ago(vote, 'at')}"
    return f"{when}: {reason}" if reason else when
