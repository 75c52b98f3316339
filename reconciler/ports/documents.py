"""Files of settings that people write, in the form they like."""

from collections.abc import Mapping
from typing import Protocol

from reconciler.domain.document import DocumentForm


class DocumentReader(Protocol):
    """Reads files that people write, within limits."""

    def read(self, content: bytes, form: DocumentForm) -> Mapping[str, object]:
        """Return tables as mappings, in their order, with values as JSON has them.

        Raises:
            InvalidInput: not of that form, too large, too deep, or a key stands there twice.
        """
        ...
