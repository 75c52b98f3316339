"""Variables that an operator declares in clear text."""

import re
from collections.abc import Mapping
from functools import partial

from reconciler.domain.errors import InvalidInput
from reconciler.domain.problems import Problems
from reconciler.domain.references import ProjectName

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST_VARIABLES = 100
_LONGEST_VALUE = 4096
_SECRET_NAME = re.compile(
    r".*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(?:^|_|API)KEY)", re.IGNORECASE
)
#: ``postgres://user:password@host/…`` and the like.
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def parse_environment(
    declared: Mapping[str, str], project: ProjectName, field: str = "environment"
) -> dict[str, str]:
    """Return ``declared`` if every name and value can be a variable that everybody may read.

    Raises:
        InvalidInput: one is wrong, or looks like a secret. A value is never shown.
        SeveralInvalid: more are; every one is named.
    """
    if len(declared) > _MOST_VARIABLES:
        raise InvalidInput(field, len(declared), f"variables are more than {_MOST_VARIABLES}")
    problems = Problems()
    for name, value in declared.items():
        problems.collect(partial(_check, name, value, project, field))
    if problems.found:
        raise problems.error()
    return dict(declared)


def _check(name: str, value: str, project: ProjectName, field: str) -> None:
    if not _NAME.fullmatch(name):
        problem = "must be 1 to 128 of letters, digits and '_', not starting with a digit"
        raise InvalidInput(field, name, problem)
    if len(value) > _LONGEST_VALUE:  # first: a search in a very long one would take very long
        problem = f"must be at most {_LONGEST_VALUE} characters on one line"
        raise InvalidInput(f"{field}.{name}", None, problem)
    if _SECRET_NAME.fullmatch(name) or _PASSWORD_IN_URL.search(value):
        problem = (
            "looks like a secret, which this is no place for; "
            f"store it with `reconciler secret set {project} variable:{name}`"
        )
        raise InvalidInput(f"{field}.{name}", None, problem)
    if not value.replace("\t", "").isprintable():
        problem = "must be on one line, without control characters"
        raise InvalidInput(f"{field}.{name}", None, problem)
