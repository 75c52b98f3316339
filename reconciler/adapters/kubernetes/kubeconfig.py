"""Kubeconfigs: what is inside counts, and nothing that they point at.

A kubeconfig can name programs to run and files to read. Whoever may store one must not get the
daemon to do either, so that such entries are refused, also of contexts that are not used.

Source: Kubernetes, "kubeconfig (v1)".
"""

import re
from collections.abc import Iterator, Mapping

from reconciler.adapters.bounded_yaml import Node, parse_yaml
from reconciler.adapters.kubernetes.entrance import (
    Entrance,
    checked_server,
    checked_token,
    decoded,
)
from reconciler.domain.errors import InvalidComposeFile, InvalidInput
from reconciler.domain.secret import Secret

MOST_BYTES = 64 << 10
_FIELD = "kubeconfig"
_EMBED = "embed it: `kubectl config view --minify --flatten --raw`"
_OTHER_WAY = "give it a token or a client certificate"
#: Entry of a cluster or a user → what to do instead.
_REFUSED = {
    "certificate-authority": f"is a file: {_EMBED}",
    "client-certificate": f"is a file: {_EMBED}",
    "client-key": f"is a file: {_EMBED}",
    "tokenFile": f"is a file: {_EMBED}",
    "exec": f"would run a program here: {_OTHER_WAY}",
    "auth-provider": f"would run a program here: {_OTHER_WAY}",
    "username": f"is no way in any more: {_OTHER_WAY}",
    "password": f"is no way in any more: {_OTHER_WAY}",
    "as": f"would act as somebody else: {_OTHER_WAY} of whom it should be",
    "as-uid": f"would act as somebody else: {_OTHER_WAY} of whom it should be",
    "as-groups": f"would act as somebody else: {_OTHER_WAY} of whom it should be",
    "as-user-extra": f"would act as somebody else: {_OTHER_WAY} of whom it should be",
    "proxy-url": "leads past the server: leave it out",
    "insecure-skip-tls-verify": "lets anybody be the server: give certificate-authority-data",
}
_POSITION = re.compile(r" \(line [0-9]+, column [0-9]+\)$")
_Entry = Mapping[str, Node]


def parse_kubeconfig(kubeconfig: Secret, context: str = "") -> Entrance:
    """Return the way in that a context of a kubeconfig describes; its current one by default.

    Raises:
        InvalidInput: it can't be used; the message never has anything secret of it.
    """
    document = _document(kubeconfig.reveal())
    clusters, users = (_named(document, kind) for kind in ("cluster", "user"))
    for kind, entries in (("cluster", clusters), ("user", users)):
        for name, entry in entries.items():
            _refuse_pointers(f"{kind} {name[:100]!r}", entry)
    used = _context(document, context)
    return _entrance(
        _entry_of(clusters, used, "cluster"),
        _entry_of(users, used, "user"),
    )


def _document(text: str) -> _Entry:
    if len(text.encode()) > MOST_BYTES:
        raise _wrong(f"is over {MOST_BYTES >> 10} KiB")
    try:
        document = parse_yaml(text)
    except InvalidComposeFile as error:
        # What it quotes, e.g. a key that is there twice, may be the token at a wrong place.
        where = _POSITION.search(error.message)
        raise _wrong(f"is not acceptable YAML{where[0] if where else ''}") from None
    if not isinstance(document, dict) or document.get("kind") not in {"Config", None}:
        raise _wrong("is no kubeconfig")
    return document


def _named(document: _Entry, kind: str) -> dict[str, _Entry]:
    """Return the entries of a list by their names."""
    listed = document.get(f"{kind}s") or []
    found: dict[str, _Entry] = {}
    for one in listed if isinstance(listed, list) else [None]:
        name = one.get("name") if isinstance(one, dict) else None
        entry = (one.get(kind) or {}) if isinstance(one, dict) else None
        if not isinstance(name, str) or not isinstance(entry, dict):
            raise _wrong(f"has no list of named entries in {kind}s")
        if name in found:
            raise _wrong(f"names the {kind} {name[:100]!r} twice")
        found[name] = entry
    return found


def _refuse_pointers(where: str, entry: _Entry) -> None:
    for key, instead in _REFUSED.items():
        if entry.get(key) not in (None, "", "false"):
            raise _wrong(f"has {key} in {where}, which {instead}")


def _is_text(value: Node) -> bool:
    return value is None or isinstance(value, str)


def _context(document: _Entry, wanted: str) -> _Entry:
    contexts = _named(document, "context")
    name = wanted or document.get("current-context")
    if not isinstance(name, str) or not name:
        raise _wrong("has no current-context; name a context")
    if name not in contexts:
        known = ", ".join(sorted(contexts))[:200] or "none"
        raise _wrong(f"has no context {name[:100]!r}; it has {known}")
    return contexts[name]


def _entry_of(entries: Mapping[str, _Entry], context: _Entry, kind: str) -> _Entry:
    name = context.get(kind)
    if not isinstance(name, str) or name not in entries:
        raise _wrong(f"has a context whose {kind} is not in it")
    return entries[name]


def _entrance(cluster: _Entry, user: _Entry) -> Entrance:
    server = checked_server(_text(cluster, "server"), _FIELD)
    authority = _text(cluster, "certificate-authority-data")
    token = _text(user, "token")
    certificate = "\n".join(_pems(user))
    if not token and not certificate:
        raise _wrong("has a user without a token and without a client certificate")
    known = checked_token(token, _FIELD) if token else None
    entrance = Entrance(
        server,
        lambda: known,
        decoded(authority, "certificate-authority-data", _FIELD) if authority else "",
        _text(cluster, "tls-server-name"),
        Secret.of(certificate) if certificate else None,
    )
    entrance.trust()
    return entrance


def _pems(user: _Entry) -> Iterator[str]:
    parts = ("client-certificate-data", "client-key-data")
    given = [name for name in parts if _text(user, name)]
    if len(given) == 1:
        raise _wrong(f"has a user with {given[0]} alone: both it and its pair are needed")
    for name in given:
        yield decoded(_text(user, name), name, _FIELD)


def _text(entry: _Entry, key: str) -> str:
    value = entry.get(key)
    if not _is_text(value):
        raise _wrong(f"has {key} that is no text")
    return str(value or "").strip()


def _wrong(problem: str) -> InvalidInput:
    return InvalidInput(_FIELD, None, problem)
