"""The queue as a SQLite file: Celery's SQLAlchemy transport, asked more often and without old messages.

https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.sqlalchemy.html"""

from kombu.transport import TRANSPORT_ALIASES, sqlalchemy

SCHEME = "servelab"
TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


class Channel(sqlalchemy.Channel):
    def _get(self, queue: str) -> dict:
        """The next message. Raises Empty."""
        payload = super()._get(queue)  # which leaves it in the file, as one that is not visible
        self._query_all(queue).filter(self.message_cls.visible.is_(False)).delete()
        self.session.commit()
        return payload


class Transport(sqlalchemy.Transport):
    Channel = Channel
    polling_interval = 0.1  # seconds
