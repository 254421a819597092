"""The queue between servers and workers, which is Celery's: RabbitMQ, or by default a SQLite file.

A message only calls a worker to a chunk. Lost ones are sent again by the sweeper, and one that comes twice
finds the chunk taken, so that everything here may fail at any moment.

In RabbitMQ it is a quorum queue (https://www.rabbitmq.com/docs/quorum-queues): a publish is confirmed when
the message is on disk; what is refused, or was delivered DELIVERIES times and never done, goes to the
dead-letter queue, for a person to look at."""

import queue
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from celery import Celery
from kombu import Connection, Exchange, Queue

from apps.service.jobs.file_transport import SCHEME

TASK = "servelab.predict_chunk"
NAME, DEAD = "servelab.jobs", "servelab.jobs.dead"
DELIVERIES = 20
MOST_MESSAGES = 100_000  # beyond, RabbitMQ refuses them
CONFIRM_SECONDS = 5
LAST_SECONDS = 2
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # seconds, twice, and a count: tcp(7)
LOOK_SECONDS = 1  # between two looks whether the broker's queue is full


class Call(NamedTuple):
    """A worker is wanted for these chunks of a job. The two texts are of the request that brought the job."""

    job_id: str
    numbers: Iterable[int]
    request_id: str
    traceparent: str


def celery_of(settings) -> Celery:
    """Celery, as servers and workers have it."""
    file = Path(settings.jobs_folder).absolute() / "queue.db"
    app = Celery("servelab", set_as_current=False)
    app.conf.update(
        broker_url=settings.broker_url or f"{SCHEME}+sqlite:///{file.as_posix()}",
        broker_connection_timeout=4,
        broker_heartbeat=0,  # would come from another thread; TCP's keepalive tells that a broker is gone
        broker_connection_max_retries=None,  # for ever
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # RabbitMQ closes a channel after its consumer_timeout
        result_backend=None,  # results are where RESULTS_URL says
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=NAME,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
    )
    if settings.broker_url:
        arguments = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": DEAD,
            "x-delivery-limit": DELIVERIES,
            "x-max-length": MOST_MESSAGES,
            "x-overflow": "reject-publish",
        }
        app.conf.update(
            broker_transport_options={"confirm_publish": True, "socket_settings": keepalive()},
            task_queues=[
                Queue(NAME, Exchange(NAME, "direct", durable=True), NAME, queue_arguments=arguments)
            ],
            task_default_exchange=NAME,
            task_default_routing_key=NAME,
        )
    return app


def keepalive() -> dict[int, int]:
    """What sockets are told, as far as this system knows it: a worker that waits for a message notices within
    half a minute that its connection has gone, where nobody could tell it."""
    return {getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)}


def dead_letters() -> Queue:
    return Queue(DEAD, Exchange(DEAD, "fanout", durable=True), "", queue_arguments={"x-queue-type": "quorum"})


class Calls:
    """Sends them, from a thread of its own: a request waits for no broker."""

    def __init__(self, settings, log) -> None:
        self.celery = celery_of(settings)
        self._log, self._quiet = log, False
        self._waiting: queue.Queue[Call | None] = queue.Queue(maxsize=1000)
        self._thread: threading.Thread | None = None
        self._watched = bool(settings.broker_url)
        self._watch: Connection | None = None
        self.full = False  # the broker's queue, when it was last looked at

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="calls", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is left is sent, for a short while."""
        if self._thread is not None:
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                return
            self._thread.join(LAST_SECONDS)

    def soon(self, call: Call) -> None:
        """Beyond a thousand that wait, the sweeper will see to it."""
        with suppress(queue.Full):
            self._waiting.put_nowait(call)

    def send(self, call: Call) -> bool:
        """Now, and whether all were taken."""
        headers = {"request_id": call.request_id, "traceparent": call.traceparent}
        try:
            with self.celery.producer_pool.acquire(block=True, timeout=CONFIRM_SECONDS) as producer:
                for number in call.numbers:
                    self.celery.send_task(
                        TASK,
                        (call.job_id, number),
                        producer=producer,
                        headers=headers,
                        confirm_timeout=CONFIRM_SECONDS,
                        retry=True,
                        retry_policy={"max_retries": 1, "interval_start": 0},
                    )
        except Exception as error:  # of the broker, the transport, the socket: whatever they like
            if not self._quiet:
                failed = type(error).__name__
                self._log.error("the broker takes no messages: they are sent later", error=failed)
            self._quiet = True
            return False
        if self._quiet:
            self._log.warning("the broker takes messages again")
        self._quiet = False
        return True

    def _run(self) -> None:
        next_look = time.monotonic()
        while True:
            if self._watched and time.monotonic() >= next_look:
                self.full = self._is_full()
                next_look = time.monotonic() + LOOK_SECONDS
            try:
                call = self._waiting.get(timeout=LOOK_SECONDS if self._watched else None)
            except queue.Empty:
                continue
            if call is None:
                break
            self.send(call)
        self._forget_watch()

    def _is_full(self) -> bool:
        """Whether the broker would refuse a message. False where it does not say: jobs are taken then."""
        try:
            if self._watch is None:
                timeouts = {"read_timeout": CONFIRM_SECONDS, "write_timeout": CONFIRM_SECONDS}
                self._watch = self.celery.connection_for_write(transport_options=timeouts)
            with self._watch.channel() as channel:
                return channel.queue_declare(NAME, passive=True).message_count >= MOST_MESSAGES
        except Exception:  # as above; or nobody has created the queue yet
            self._forget_watch()
            return False

    def _forget_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.collect(LAST_SECONDS)
