"""The queue as a SQLite file: Celery's SQLAlchemy transport, asked more often and without old messages.

https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.sqlalchemy.html"""

import warnings

from kombu.transport import TRANSPORT_ALIASES, sqlalchemy
from kombu.transport.sqlalchemy.models import metadata
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, SADeprecationWarning
from sqlalchemy.orm import configure_mappers

from apps.service.databases import hurry_sqlite, in_turn, prepare_sqlite

SCHEME = "servelab"
TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


class Channel(sqlalchemy.Channel):
    def __init__(self, connection, **options) -> None:
        super().__init__(connection, **options)
        with warnings.catch_warnings():  # kombu's tables use what SQLAlchemy 2.1 deprecates
            warnings.simplefilter("ignore", SADeprecationWarning)
            configure_mappers()

    def _engine_from_config(self) -> Engine:
        engine = super()._engine_from_config()
        event.listen(engine, "connect", prepare_sqlite)
        event.listen(engine, "connect", hurry_sqlite)  # what is lost so, the sweeper sends again
        in_turn(lambda: metadata.create_all(engine))
        return engine

    def _get_or_create(self, queue: str):
        """A queue's record. kombu does not expect that another process creates it in the same moment: a
        worker would end, and a server's channel be of no use any more."""
        try:
            return super()._get_or_create(queue)
        except IntegrityError:
            self.session.rollback()
            return super()._get_or_create(queue)

    def _get(self, queue: str) -> dict:
        """The next message. Raises Empty."""
        payload = super()._get(queue)  # which leaves it in the file, as one that is not visible
        self._query_all(queue).filter(self.message_cls.visible.is_(False)).delete()
        self.session.commit()
        return payload

    def close(self) -> None:
        super().close()
        if self._session is not None:
            self._session.close()


class Transport(sqlalchemy.Transport):
    Channel = Channel
    polling_interval = 0.1  # seconds
