"""What the labels of other image watchers come to."""

import pytest

from reconciler.domain.foreign_labels import ForeignLabels, read_foreign_labels

_WATCHTOWER = "com.centurylinklabs.watchtower"


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        (f"{_WATCHTOWER}.enable", "false", "false"),
        (f"{_WATCHTOWER}.enable", "False", "false"),
        (f"{_WATCHTOWER}.enable", "0", "false"),
        (f"{_WATCHTOWER}.monitor-only", "true", "true"),
        (f"{_WATCHTOWER}.monitor-only", "1", "true"),
        (f"{_WATCHTOWER}.no-pull", "T", "true"),
        ("wud.watch", "false", "false"),
        ("wud.watch", "FaLse", "false"),
        ("wud.watch", "no", "false"),
        ("wud.watch.digest", "false", "false"),
        ("dd.watch", "false", "false"),
        ("dd.watch.digest", "0", "false"),
        ("diun.enable", "f", "false"),
    ],
)
def test_a_label_keeps_an_image_from_being_followed(label: str, value: str, said: str) -> None:
    """As its own tool reads the value, whatever else is asked for."""
    found = read_foreign_labels({"wud.tag.include": "^1", label: value})
    assert found == ForeignLabels(follows=False, reason=f"its label {label} is {said}")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (f"{_WATCHTOWER}.enable", "true"),
        (f"{_WATCHTOWER}.enable", ""),
        (f"{_WATCHTOWER}.monitor-only", "false"),
        ("wud.watch", "TRUE"),
        ("wud.watch", ""),
        ("diun.enable", "1"),
        ("diun.watch_repo", "false"),
        ("wud.display.name", "false"),
        ("reconciler.stateful", "false"),
    ],
)
def test_an_image_is_followed(label: str, value: str) -> None:
    """With nothing to say about it."""
    assert read_foreign_labels({label: value}) == ForeignLabels()


def test_what_is_no_boolean_is_ignored() -> None:
    """And said, not at any length."""
    found = read_foreign_labels({"diun.enable": "no" * 500})
    assert found.follows
    (note,) = found.notes
    assert note == f"diun.enable is ignored: '{'no' * 10}' is neither true nor false"


def test_what_is_not_done_is_said_once_each() -> None:
    """With every label that asks for it."""
    found = read_foreign_labels(
        {
            "wud.tag.exclude": "rc",
            "wud.tag.include": r"^\d+$",
            f"{_WATCHTOWER}.lifecycle.pre-update": "/dump.sh",
            "diun.metadata.team": "shop",
        }
    )
    assert found.follows
    of_tags, of_commands = found.notes
    assert of_tags.startswith("wud.tag.include, wud.tag.exclude count for nothing: only the tag ")
    assert of_commands.startswith(f"{_WATCHTOWER}.lifecycle.pre-update counts for nothing: ")
