"""The forms that a file of settings may have."""

from enum import StrEnum

from reconciler.domain.errors import InvalidInput

_ENDINGS = {"yml": "yaml"}


class DocumentForm(StrEnum):
    """How a file of settings is written."""

    TOML = "toml"
    YAML = "yaml"
    JSON = "json"


def parse_form(text: str, field: str = "format") -> DocumentForm:
    """Return ``text`` as a form. Raises ``InvalidInput``."""
    if text not in set(DocumentForm):
        raise InvalidInput(field, text, f"is not one of {', '.join(DocumentForm)}")
    return DocumentForm(text)


def form_of(path: str, field: str = "file") -> DocumentForm:
    """Return the form that the ending of a file's name tells. Raises ``InvalidInput``."""
    ending = path.rpartition(".")[2].lower()
    word = _ENDINGS.get(ending, ending)
    if word not in set(DocumentForm):
        problem = "does not end in .toml, .yaml, .yml or .json, which tell how it is written"
        raise InvalidInput(field, path, problem)
    return DocumentForm(word)
