"""What of a plan was written by others, with the project's secrets taken out."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.domain.history import History
from reconciler.domain.plan import ChangedFiles, Plan
from reconciler.domain.secret import Secret
from reconciler.log import Redactor


def without_secrets(plan: Plan, secrets: Iterable[Secret]) -> Plan:
    """Return ``plan`` without ``secrets``, wherever somebody may have written one."""
    redactor = Redactor()
    redactor.register(*secrets)
    clean = redactor.clean
    return replace(
        plan,
        verdict=clean(plan.verdict),
        history=_history(plan.history, redactor) if plan.history else None,
        files=_files(plan.files, redactor) if plan.files else None,
        findings=tuple(
            replace(one, text=clean(one.text), remedy=clean(one.remedy)) for one in plan.findings
        ),
    )


def _history(history: History, redactor: Redactor) -> History:
    commits = (
        replace(one, subject=redactor.clean(one.subject), author=redactor.clean(one.author))
        for one in history.commits
    )
    return replace(history, commits=tuple(commits))


def _files(files: ChangedFiles, redactor: Redactor) -> ChangedFiles:
    shown = (replace(one, path=redactor.clean(one.path)) for one in files.files)
    return replace(files, files=tuple(shown))
