"""Signed receipts as the API gives them, and as files keep them; looked at here, not there."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.files import name_of, read_text
from reconciler.domain.audit import Head
from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.errors import InvalidInput
from reconciler.domain.receipt import Receipt, ReceiptCheck, ReceiptKey, check_receipts
from reconciler.domain.references import ProjectName

#: An export of many years.
_LIMIT_BYTES = 256 << 20


def key_of(client: Client) -> ReceiptKey:
    """Return the key that the daemon says it signs with."""
    answer = client.get(at("receipts", "key"))
    return _parse_key(show.word(answer, "pem") and str(answer["pem"]), client.where)


def read_key(file: Path) -> ReceiptKey:
    """Return the key in a file, as `reconciler receipt key` printed it."""
    return _parse_key(read_text(file), name_of(file))


def read_receipts(file: Path) -> Sequence[JsonObject]:
    """Return the receipts in a file: one document, or one a line, oldest first."""
    text = read_text(file, _LIMIT_BYTES)
    documents = _documents(text)
    if not documents or not all(isinstance(one, dict) for one in documents):
        raise _not_one(name_of(file), "it holds no JSON object")
    return [dict(one) for one in documents if isinstance(one, dict)]


def check(documents: Sequence[JsonObject], key: ReceiptKey, where: str) -> ReceiptCheck:
    """Look through receipts, each and, where there are several, the chain of them."""
    receipts = [_receipt(one, where) for one in documents]
    first, last = receipts[0], receipts[-1]
    previous = show.pick(documents[0], "receipt", "previous")
    before = Head(first.number - 1, str(previous))
    found = check_receipts(receipts, key, Head(last.number, last.head.seal), before)
    if found.problem:
        return found
    for receipt, document in zip(receipts, documents, strict=True):
        if document.get("receipt") != receipt.content or document.get("hash") != receipt.head.seal:
            text = (
                f"receipt {receipt.number} is shown as another one than its text, which is signed"
            )
            return ReceiptCheck(before, text)
    return found


def _receipt(document: JsonObject, where: str) -> Receipt:
    try:
        return Receipt(
            number=_whole(document["number"]),
            deployment=DeploymentId(_whole(document["deployment"])),
            project=ProjectName(_text(document["project"])),
            status=Status(_text(document["status"])),
            at=datetime.fromisoformat(_text(document["at"])),
            text=_text(document["text"]),
            signature=_text(document["signature"]),
        )
    except KeyError as error:
        raise _not_one(where, f"{error} is missing") from error
    except (TypeError, ValueError) as error:
        raise _not_one(where, str(error)) from error


def _documents(text: str) -> list[object]:
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return []


def _parse_key(pem: str, where: str) -> ReceiptKey:
    from reconciler.adapters.signing import parse_public_key

    try:
        return parse_public_key(pem.encode())
    except InvalidInput as error:
        text = f"{where}: {error.message}"
        raise CommandFailed(
            text, "`reconciler receipt key` prints it", ExitStatus.INVALID
        ) from None


def _not_one(where: str, why: str) -> CommandFailed:
    remedy = "`reconciler receipt show ID --json` and `reconciler receipt export` write them"
    return CommandFailed(f"{where} is no signed receipt: {why}", remedy, ExitStatus.INVALID)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
