"""What an app says of its own version, and whether that is the commit that should run."""

import json
import re
from collections.abc import Mapping

from reconciler.adapters.probes.http_answer import HttpAnswer, sent_on, shown
from reconciler.domain.references import CommitSha
from reconciler.domain.version_check import VersionCheck

#: As short as git abbreviates.
_FEWEST_DIGITS = 7
_WORD = re.compile(r"\w+", re.ASCII)


def problem_with_version(answer: HttpAnswer, check: VersionCheck, commit: CommitSha) -> str:
    """Return what is wrong with ``answer``; empty if it tells ``commit``, abbreviated or not."""
    if not 200 <= answer.status <= 299:
        return f"{check.path} answered {answer.status}{sent_on(answer)}, expected 200 to 299"
    if answer.broken:
        return f"{check.path}: {answer.broken}"
    body = answer.body.decode(errors="replace")
    if not check.json_path:
        text, words = body, _WORD.findall(body)
    elif (found := _text_at(check.json_path, body)) is not None:
        text, words = found, [found]
    else:
        return f"{check.path} has no text at {check.json_path}: {shown(body)!r}"
    if any(_names(word, commit) for word in words):
        return ""
    return f"{check.path} tells {shown(text)!r}, expected is commit {commit}"


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
