"""What goes from one environment to the next: asked for, waited for, and followed to its end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reconciler.cli import show
from reconciler.cli.chain_picture import name_of
from reconciler.cli.client import Client, JsonObject, at, items_of
from reconciler.cli.deployments import ask
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.verified import (
    Patience,
    follow_until_verified,
    get_verified,
    say_how_it_ended,
)
from reconciler.cli.watching import number_of, verdict_on

_PAUSE_SECONDS = 1.0
#: What helps a person whose promotion is refused, where the text does not say so itself.
_REMEDIES = {
    "already-live": "deploy the environment before with `--force`, and promote what comes of it",
    "quarantined": "`reconciler quarantine lift` lets it be tried again",
    "soaking": "promote it then, or now with `--override REASON`",
}
_EXIT_OF_STATUS = {"superseded": ExitStatus.REPLACED}


def way_to(client: Client, name: str, environment: str) -> Sequence[str]:
    """Return the projects behind ``name``, in their order, up to that of ``environment``.

    Args:
        client: of the daemon.
        name: a project that others are promoted from.
        environment: of the same app, by its own name or by its project's.

    Raises:
        CommandFailed: nothing leads there.
    """
    parts = items_of(client.get(at("projects", name, "environments")))
    before = {show.word(one, "project"): show.word(one, "promoted_from") for one in parts}
    for part in parts:
        if environment not in {name_of(part), show.word(part, "project")}:
            continue
        way = [show.word(part, "project")]
        while (one := before.get(way[0], "")) and one not in way:
            way.insert(0, one)
        if name in way[:-1]:
            return way[way.index(name) + 1 :]
    known = ", ".join(name_of(one) for one in parts if show.word(one, "promoted_from"))
    text = f"nothing that {name} verified is promoted to an environment {environment!r}"
    remedy = f"there are {known}" if known else "`reconciler environment add --help` shows how"
    raise CommandFailed(text, remedy, ExitStatus.NOT_FOUND)


def say_what_goes(promotion: JsonObject, before: JsonObject) -> None:
    """Print what an environment gets, beside what it had ``before``."""
    project, origin = show.word(promotion, "project"), show.word(promotion, "origin")
    show.say(f"{project} gets what {origin} verified as deployment {promotion.get('deployment')}")
    old, new = show.pick(before, "live"), show.pick(promotion, "revision")
    images = [show.pick(one, "images") for one in (old, new)]
    names = dict.fromkeys(name for one in images if isinstance(one, dict) for name in one)
    show.table(
        ("WHAT", "NOW", "THEN"),
        (
            ("commit", show.short(old, "commit"), show.short(new, "commit")),
            *((show.word(one), *(show.short(every, one) for every in images)) for one in names),
        ),
    )


def reasons_to_wait(client: Client, project: str) -> Sequence[str]:
    """Return what the next revision of an environment waits for."""
    parts = items_of(client.get(at("projects", project, "environments")))
    part = next((one for one in parts if show.word(one, "project") == project), {})
    return [show.word(one, "text") for one in items_of(part, "reasons")]


def ask_for_promotion(client: Client, project: str, body: dict[str, object]) -> JsonObject:
    """Ask to have something promoted to ``project``; see ``ask``."""
    return ask(client, at("projects", project, "promotions"), body, _REMEDIES)


@dataclass(slots=True)
class Onwards:
    """What is promoted, followed as long as there is time."""

    client: Client
    patience: Patience
    _began: float = 0.0
    _told: str = ""  #: what it waited for last

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def carry_on(self, deployment: int, way: Sequence[str]) -> ExitStatus:
        """Have what ``deployment`` verified go to each project of ``way``, one after another.

        Returns:
            0 only if the last one has verified it; else how it ended where it went no further.
        """
        for project in way:
            try:
                deployment, status = self._one_step(project, deployment)
            except TimeoutError:
                return self._say_late(project)
            if status is not ExitStatus.OK:
                return status
        return ExitStatus.OK

    def follow(self, promotion: JsonObject) -> ExitStatus:
        """Wait for what a promotion becomes, and follow that; return the exit status for it."""
        try:
            return self.follow_decided(self._decided(promotion))
        except TimeoutError:
            return self._say_late(show.word(promotion, "project"))

    def follow_decided(self, promotion: JsonObject) -> ExitStatus:
        """Follow what a promotion became; return the exit status for that, or for its own end."""
        status, number = show.word(promotion, "status"), promotion.get("became")
        if status != "promoted" or not isinstance(number, int):
            show.fail(f"promotion {promotion.get('id')} is {status}: {_last_word(promotion)}")
            return _EXIT_OF_STATUS.get(status, ExitStatus.REFUSED)
        deployment = self.client.get(at("deployments", str(number)))
        left = self._left()
        patience = replace(self.patience, timeout=None if left is None else max(left, 1.0))
        return follow_until_verified(self.client, deployment, patience)

    def _one_step(self, project: str, deployment: int) -> tuple[int, ExitStatus]:
        """Return the deployment of ``project`` that verified it, or how it ended there instead."""
        try:
            promotion = self._decided(self._ask(project, deployment))
        except CommandFailed as refusal:
            if refusal.code != "already-live":
                raise
            live = get_verified(self.client, project, (), refusal)
            told = f"live there already: {verdict_on(live)}"
            say_how_it_ended(live, told, as_json=self.patience.as_json)
            return number_of(live), ExitStatus.OK
        became = promotion.get("became")
        number = became if isinstance(became, int) else 0
        return number, self.follow_decided(promotion)

    def _ask(self, project: str, deployment: int) -> JsonObject:
        """Ask for a promotion, again and again while it soaks. Raises ``TimeoutError``."""
        while True:
            try:
                return ask_for_promotion(self.client, project, {"deployment": deployment})
            except CommandFailed as refusal:
                if refusal.code != "soaking":
                    raise
                self._tell(project, [refusal.message])
            self._pause()

    def _decided(self, promotion: JsonObject) -> JsonObject:
        """Return a promotion once it waits no longer. Raises ``TimeoutError``."""
        project, number = show.word(promotion, "project"), show.word(promotion, "id")
        while show.word(promotion, "status") == "waiting":
            self._tell(project, reasons_to_wait(self.client, project))
            self._pause()
            promotion = self.client.get(at("projects", project, "promotions", number))
        return promotion

    def _tell(self, project: str, reasons: Sequence[str]) -> None:
        text = f"{project} waits: {'; '.join(reasons)}" if reasons else f"{project} waits"
        if text != self._told:
            show.note(text)
        self._told = text

    def _pause(self) -> None:
        left = self._left()
        if left is not None and left <= 0:
            raise TimeoutError
        time.sleep(_PAUSE_SECONDS if left is None else min(_PAUSE_SECONDS, left))

    def _left(self) -> float | None:
        timeout = self.patience.timeout
        return None if timeout is None else self._began + timeout - time.monotonic()

    def _say_late(self, project: str) -> ExitStatus:
        show.fail(
            f"{project} had not got it after {self.patience.timeout:g} s; nothing was taken "
            f"back: `reconciler environments {project}`"
        )
        return ExitStatus.TIMED_OUT


def _last_word(promotion: JsonObject) -> str:
    """Return why a promotion ended without a deployment, as far as it says so."""
    no = next((one for one in items_of(promotion, "votes") if one.get("approves") is False), None)
    if no is not None:
        reason = show.word(no, "reason")
        return f"{show.word(no, 'person')} said no{f' ({reason})' if reason else ''}"
    return f"`reconciler why {show.word(promotion, 'project')}` tells more"
