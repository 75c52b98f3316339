"""What an app says of its own version, and whether that is the commit that should run."""

import json
import re
from collections.abc import Mapping

from reconciler.adapters.probes.http_answer import HttpAnswer, sent_on, shown
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha
from reconciler.domain.version_check import VersionCheck

#: As short as git abbreviates.
_FEWEST_DIGITS = 7
_WORD = re.compile(r"\w+", re.ASCII)


def read_version(asked: str, answer: HttpAnswer, check: VersionCheck, commit: CommitSha) -> Reading:
    """Return what ``answer`` tells; it is well if that is ``commit``, abbreviated or not."""
    if not 200 <= answer.status <= 299:
        problem = f"{check.path} answered {answer.status}{sent_on(answer)}, expected 200 to 299"
        return Reading(asked, problem, answer.status)
    if answer.broken:
        return Reading(asked, f"{check.path}: {answer.broken}", answer.status)
    body = answer.body.decode(errors="replace")
    if not check.json_path:
        text, words = body, _WORD.findall(body)
    elif (found := _text_at(check.json_path, body)) is not None:
        text, words = found, [found]
    else:
        problem = f"{check.path} has no text at {check.json_path}: {shown(body)!r}"
        return Reading(asked, problem, answer.status)
    if (told := next((word for word in words if _names(word, commit)), None)) is not None:
        return Reading(asked, "", answer.status, told)
    problem = f"{check.path} tells {shown(text)!r}, expected is commit {commit}"
    return Reading(asked, problem, answer.status, shown(text))


def _names(word: str, commit: CommitSha) -> bool:
    return len(word) >= _FEWEST_DIGITS and commit.text.startswith(word.lower())


def _text_at(path: str, document: str) -> str | None:
    """Return the text at ``path`` in a JSON document; None where it has none, or is none."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None
