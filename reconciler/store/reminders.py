"""What is told by itself: reminders, what was left out, and hosts, which belong to no project."""

from datetime import datetime

from sqlalchemy import select

from reconciler.domain.failure import Failure
from reconciler.domain.notice import remind
from reconciler.store.aside import done_aside
from reconciler.store.family import Family
from reconciler.store.notices import tell_of_host
from reconciler.store.tables import TOLD
from reconciler.store.told import change_told, forget_told, select_listeners

_MOST_DUE = 200


class SqlReminders(Family):
    """The part of ``ChannelStore`` that tells."""

    def tell_what_is_due(self, now: datetime) -> int:
        """Put reminders, and what was left out, into the outbox; return how many."""
        due = select(TOLD.c.channel, TOLD.c.project).where(TOLD.c.due_at <= now)
        with self._database.reading() as connection:
            keys = connection.execute(due.order_by(TOLD.c.due_at).limit(_MOST_DUE)).all()
        return sum(self._remind(row.channel, row.project, now) for row in keys)

    def tell_of_host(self, host: str, trouble: Failure | None, now: datetime) -> None:
        """Tell channels of all projects how a host stands, once per change."""
        with self._database.reading() as connection:
            heard = bool(select_listeners(connection, ()))
        if heard:
            with self._database.writing() as connection:
                tell_of_host(connection, host, trouble, now)

    def _remind(self, channel: str, project: str, now: datetime) -> int:
        """Remind a channel of a project; return how many messages that gave."""
        put: list[int] = []

        def work() -> None:
            for name, _, wants in select_listeners(connection):
                if name == channel:
                    put.append(change_told(connection, (channel, project), wants, remind, now))
                    return
            # It was removed in the moment in which it was told.
            forget_told(connection, channel=channel)

        with self._database.writing() as connection:
            # Else one that can't be read would keep all messages of all channels back.
            done_aside(connection, f"reminding channel {channel} of {project!r}", work)
        return sum(put)
