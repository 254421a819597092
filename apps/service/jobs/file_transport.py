"""The queue as a SQLite file: Celery's SQLAlchemy transport, asked more often and without old messages.

https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.sqlalchemy.html"""

import warnings

from kombu.transport import TRANSPORT_ALIASES, sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.exc import SADeprecationWarning
from sqlalchemy.orm import configure_mappers

from apps.service.databases import hurry_sqlite, prepare_sqlite

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
        return engine

    def _get(self, queue: str) -> dict:
        """The next message. Raises Empty."""
        payload = super()._get(queue)  # which leaves it in the file, as one that is not visible
        self._query_all(queue).filter(self.message_cls.visible.is_(False)).delete()
        self.session.commit()
        return payload


class Transport(sqlalchemy.Transport):
    Channel = Channel
    polling_interval = 0.1  # seconds
