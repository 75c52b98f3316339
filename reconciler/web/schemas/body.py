"""What every body has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

SHA = "9a8b7c6d5e4f30211203f4e5d6c7b8a99a8b7c6d"
DIGEST = "sha256:" + "4f" * 32
AT = "2026-11-20T16:00:00Z"

#: The largest number that a column of either database can hold, or be compared with.
MOST_NUMBER = 2**31 - 1

#: A deployment's number.
DeploymentNumber = Annotated[
    int, Field(ge=1, le=MOST_NUMBER, description="Number of a deployment.", examples=[42])
]
#: A release's number.
ReleaseNumber = Annotated[
    int, Field(ge=1, le=MOST_NUMBER, description="Number of a release.", examples=[7])
]


class Asked(BaseModel):
    """A request's body: a field that we do not know is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_SHOWN_BY_ITS_PARTS = object()


def next_page() -> Any:
    """Return the field that leads to a list's next page."""
    return said("Give it as `cursor` for the next page; null on the last.", "c2hvcA", default=None)


def said(description: str, example: Any = _SHOWN_BY_ITS_PARTS, **more: Any) -> Any:
    """Return a field with its description and example; a nested body has its own examples."""
    examples = None if example is _SHOWN_BY_ITS_PARTS else [example]
    return Field(description=description, examples=examples, **more)
