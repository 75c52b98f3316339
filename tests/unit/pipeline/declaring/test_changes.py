"""Changes of declarations, made to their drafts."""

import pytest

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.pipeline.declaring.changes import changed_draft
from reconciler.pipeline.declaring.target_draft import TargetDraft

FIXED = {"host": "; add another"}
DRAFT = TargetDraft("east", port=80, environment={"A": "1"}, user="web")


def change(**values: object) -> TargetDraft:
    return changed_draft(DRAFT, values, fixed=FIXED, what="a target")


def test_what_is_not_named_stays() -> None:
    """And what is named is taken over."""
    assert change(port=81) == TargetDraft("east", port=81, environment={"A": "1"}, user="web")


def test_a_field_that_is_cleared_gets_its_default() -> None:
    """Be it one that is made anew each time."""
    assert change(environment=None, user=None) == TargetDraft("east", port=80)


def test_a_field_that_stays_says_what_to_do_instead() -> None:
    with pytest.raises(InvalidInput, match="host: 'west' can't be changed; add another"):
        change(host="west")


def test_every_field_that_can_not_be_changed_is_named() -> None:
    """In the order of the change, whatever is wrong with each."""
    with pytest.raises(SeveralInvalid) as caught:
        change(colour="red", port=1, host="west")
    assert [one.field for one in caught.value.problems] == ["colour", "host"]
    assert caught.value.problems[0].problem == "is not a field of a target"
