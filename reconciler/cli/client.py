"""The daemon's API over HTTP. The one module of the command line that opens connections."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import typer

from reconciler.cli.failure import CommandFailed, ExitStatus, detail_of, details_of

if TYPE_CHECKING:
    import httpx2

    from reconciler.config import Api

JsonObject = dict[str, object]

_STATUS_OF_ANSWER = {
    400: ExitStatus.INVALID,
    401: ExitStatus.DENIED,
    403: ExitStatus.DENIED,
    404: ExitStatus.NOT_FOUND,
    413: ExitStatus.INVALID,
    415: ExitStatus.INVALID,
    421: ExitStatus.DENIED,
    422: ExitStatus.INVALID,
    429: ExitStatus.TRY_AGAIN,
    502: ExitStatus.TRY_AGAIN,
    503: ExitStatus.TRY_AGAIN,
    504: ExitStatus.TRY_AGAIN,
}


class Disconnected(Exception):
    """A followed log went quiet or broke off; asking again goes on where it stopped."""


def connect(context: typer.Context) -> "Client":
    """Return a client of the daemon that the command's options and the environment name."""
    from reconciler.config import find_api

    url = context.find_root().obj
    return Client(find_api(url if isinstance(url, str) else ""))


class Client:
    """One daemon. Every method raises ``CommandFailed`` when it does not get what it asked for."""

    def __init__(self, api: "Api") -> None:
        import httpx2  # heavy; `--help` does without it

        if api.url and not _is_url(api.url):
            raise CommandFailed(
                f"{api.url!r} is no URL", "it begins with https:// or http://", ExitStatus.USAGE
            )
        if api.token and not (api.token.reveal().isascii() and api.token.reveal().isprintable()):
            raise CommandFailed(
                "RECONCILER_TOKEN holds characters that no token has",
                "`reconciler token add NAME` on the daemon's machine makes one",
                ExitStatus.USAGE,
            )
        self._api = api
        encrypted = api.url.startswith("https://")
        try:
            self._http = httpx2.Client(
                base_url=api.url or "http://localhost",
                # Reading the system's certificates takes longer than most answers do.
                transport=httpx2.HTTPTransport(uds=str(api.socket), verify=False)
                if api.socket
                else None,
                verify=encrypted,
                headers={"Authorization": f"Bearer {api.token.reveal()}"} if api.token else {},
                timeout=httpx2.Timeout(30, connect=5),
                # A proxy gets to see nothing but an encrypted tunnel.
                trust_env=encrypted,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise CommandFailed(f"{api.url!r} is no URL", status=ExitStatus.USAGE) from error

    @property
    def where(self) -> str:
        """The socket or URL, for messages."""
        return self._api.url or str(self._api.socket)

    def get(self, path: str, **query: str | int | None) -> JsonObject:
        """Return the object at ``path``, a path below the root; unset parameters are left out."""
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        return self.send("GET", path, query=given)

    def get_all(self, path: str) -> JsonObject:
        """Return a list at ``path`` whole: its first page, with the items of all that follow."""
        first = page = self.get(path)
        items = items_of(first)
        while isinstance(following := page.get("next"), str):
            page = self.get(path, cursor=following)
            items += items_of(page)
        return {**first, "items": items, "next": None} if "next" in first else first

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        *,
        seconds: float = 30,
    ) -> JsonObject:
        """Send ``body`` as JSON, and return the object of the answer; empty for none.

        It is waited for as long as ``seconds``.
        """
        import httpx2

        limit = httpx2.Timeout(seconds, connect=5)
        try:
            answer = self._http.request(
                method, path, json=body, params=dict(query or {}), timeout=limit
            )
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        return self._read(answer)

    def follow_log(
        self, deployment: int, after: int, quiet_seconds: float
    ) -> Iterator[tuple[str, JsonObject]]:
        """Yield events as they come, of lines those with a number over ``after``, up to the end.

        Raises:
            Disconnected: nothing came for ``quiet_seconds``, or the connection broke.
        """
        path = at("deployments", str(deployment), "log")
        for event, data in self.follow("GET", path, quiet_seconds, {"after": after}):
            if event == "end":
                return
            yield event, data
        raise Disconnected

    def follow(
        self,
        method: str,
        path: str,
        quiet_seconds: float,
        query: Mapping[str, str | int | None] | None = None,
    ) -> Iterator[tuple[str, JsonObject]]:
        """Yield (event, data) of a stream of server-sent events as they come.

        Raises:
            Disconnected: nothing came for ``quiet_seconds``, or the connection broke.
        """
        import httpx2

        try:
            with self._http.stream(
                method,
                path,
                params=dict(query or {}),
                headers={"Accept": "text/event-stream"},
                timeout=httpx2.Timeout(quiet_seconds, connect=5),
            ) as answer:
                if answer.status_code != httpx2.codes.OK:
                    answer.read()
                    self._read(answer)
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    raise self._not_understood()
                for event, data in parse_events(answer.iter_lines()):
                    yield event, self._parse(data)
        except httpx2.HTTPError as error:
            raise Disconnected from error

    def lines(self, path: str) -> Iterator[str]:
        """Yield the lines of a long answer as they come."""
        import httpx2

        try:
            with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    answer.read()
                    self._read(answer)
                yield from answer.iter_lines()
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _read(self, answer: "httpx2.Response") -> JsonObject:
        if answer.is_redirect:
            target = answer.headers.get("location", "")
            raise CommandFailed(f"{self.where} sends us to {target!r}", "give that URL with --url")
        if answer.is_error:
            raise self._refusal(answer)
        if not answer.content:
            return {}
        return self._parse(answer.text)

    def _parse(self, text: str) -> JsonObject:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._not_understood() from error
        if not isinstance(parsed, dict):
            raise self._not_understood()
        return parsed

    def _refusal(self, answer: "httpx2.Response") -> CommandFailed:
        status = _STATUS_OF_ANSWER.get(answer.status_code, ExitStatus.ERROR)
        try:
            problem = answer.json()
        except (ValueError, RecursionError):
            problem = None
        if not isinstance(problem, dict):
            return CommandFailed(f"{self.where} answered {answer.status_code}", "", status)
        if answer.status_code == 401:
            return self._denied()
        return CommandFailed(
            detail_of(problem) or f"{self.where} answered {answer.status_code}",
            str(problem.get("remedy") or ""),
            status,
            answer=answer.status_code,
            code=str(problem.get("code") or ""),
            problem=problem,
            several=details_of(problem),
        )

    def _denied(self) -> CommandFailed:
        known = (
            "does not know this token, or it has ended" if self._api.token else "asks for a token"
        )
        return CommandFailed(
            f"{self.where} {known}",
            "set RECONCILER_TOKEN to one; `reconciler token add NAME` on its machine makes it",
            ExitStatus.DENIED,
            answer=401,
            code="access-denied",
        )

    def _not_understood(self) -> CommandFailed:
        return CommandFailed(
            f"the answer of {self.where} can't be understood", "is it a reconciler of this version?"
        )

    def _unreachable(self, error: Exception) -> CommandFailed:
        if self._api.socket and _is_closed_to_us(self._api.socket):
            return CommandFailed(
                f"{self._api.socket} may not be opened by this user",
                "be the user that runs the daemon, or set RECONCILER_URL and RECONCILER_TOKEN",
                ExitStatus.DENIED,
            )
        late = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
        reason = late if self._api.url else "nothing listens there"
        if not self._api.url:
            remedy = "start it with `reconciler serve`"
        elif "CERTIFICATE_VERIFY_FAILED" in reason:
            remedy = "have SSL_CERT_FILE name the certificate of the authority that vouches for it"
        else:
            remedy = "look at the address, and whether the daemon runs there"
        text = f"the daemon can't be reached at {self.where} ({reason})"
        return CommandFailed(text, remedy, ExitStatus.UNREACHABLE)


def at(*parts: str) -> str:
    """Return the path of what ``parts`` name below the API's root, each part quoted.

    Raises:
        CommandFailed: a part that can't be a name.
    """
    for part in parts:
        if part in {"", ".", ".."}:
            raise CommandFailed(f"{part!r} is no name", status=ExitStatus.USAGE)
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


def items_of(answer: JsonObject, name: str = "items") -> list[JsonObject]:
    """Return the objects of a list that the API gave; anything else in it is left out."""
    items = answer.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def parse_events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (event, data) of a stream of server-sent events.

    Source: HTML standard, 9.2.6 Interpreting an event stream.
    """
    event, data = "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)


def _is_url(text: str) -> bool:
    try:
        split = urlsplit(text)
    except ValueError:
        return False
    return split.scheme in {"http", "https"} and bool(split.hostname)


def _is_closed_to_us(socket: Path) -> bool:
    try:
        socket.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    import os

    return not os.access(socket, os.W_OK)
