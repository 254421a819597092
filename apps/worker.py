"""A worker: does the jobs that are left at the servers' /jobs. `python -m apps.worker`, as many as you like.

Celery brings the messages (https://docs.celeryq.dev/), and each is a call to one chunk of a job. They are
done one after the other in this process: several cores take several workers. Told to stop, it finishes its
chunk, or gives it back after GRACE_SECONDS; told again, it ends at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from celery import exceptions
from celery.worker import WorkController, state

from apps.service.health import Lifecycle
from apps.service.hosts import Hosts
from apps.service.jobs.chunks import Chunks
from apps.service.jobs.consumer import Consumer
from apps.service.jobs.counted import WorkerMetrics
from apps.service.jobs.probes import Probes
from apps.service.jobs.queue import TASK, Calls
from apps.service.jobs.stores import stores_of
from apps.service.jobs.sweeper import Sweeper
from apps.service.jobs.work import Stopped, Work, with_luck
from apps.service.logs import configure
from apps.service.settings import SettingsError, read
from apps.service.tracing import Tracing


class Worker:
    def __init__(self, settings) -> None:
        """Raises SettingsError."""
        self.settings, self.log = settings, configure(settings)
        self.database, self.results = stores_of(settings, self.log, durable=False)
        self.metrics, self.tracing, self.lifecycle = WorkerMetrics(), Tracing(settings, "worker"), Lifecycle()
        self.chunks = Chunks(self.database, self.results, settings.jobs_lease_seconds)
        self.work = Work(settings, self.log, self.metrics, self.tracing, self.chunks)
        self.calls = Calls(settings, self.log)
        self.sweeper = Sweeper(settings, self.log, self.database, self.calls)
        hosts = Hosts(tuple(filter(None, settings.allowed_hosts.split(","))), settings.metrics_host)
        self.probes = Probes(self.metrics.registry, self.lifecycle, hosts, self.reasons)
        self.calls.celery.conf.worker_consumer = Consumer
        self.calls.celery.task(task_of(self.work), name=TASK, bind=True)
        # solo: in the main thread, which alone may use the connection to the broker, so that it can say there
        # that a message is done
        self.celery = WorkController(
            app=self.calls.celery,
            pool_cls="solo",
            use_eventloop=False,  # with it, a message that is done is told of a second later
            concurrency=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )

    def reasons(self) -> list[str]:
        """What keeps this worker from working."""
        connection = self.celery.consumer.connection
        found = {
            "the database of jobs does not answer": self.chunks.answer(),
            "results cannot be kept": self.results.answers(),
            "the broker does not answer": connection is not None and connection.connected,
        }
        return [reason for reason, well in found.items() if not well]

    def run(self) -> int:
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # which there are depends on the system
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self.stop)
        settings = self.settings
        if settings.worker_port:
            try:
                self.probes.start(settings.metrics_host, settings.worker_port)
            except OSError as error:
                self.log.warning(
                    "probes not served: set WORKER_PORT to a free port",
                    port=settings.worker_port,
                    error=error.strerror,
                )
        self.work.start()
        self.sweeper.start()
        self.log.info("worker started", broker="RabbitMQ" if settings.broker_url else "a file")
        self.celery.start()
        self.sweeper.close()
        self.tracing.close()
        self.results.close()
        self.database.close()
        self.log.info("worker stopped")
        return self.celery.exitcode or 0

    def stop(self, *_) -> None:
        if self.lifecycle.draining:
            os._exit(1)
        self.lifecycle.drain()
        self.work.stop()
        state.should_stop = 0
        threading.Thread(target=self._end, name="end", daemon=True).start()

    def _end(self) -> None:
        time.sleep(self.settings.grace_seconds)
        with_luck(self.work.leave)
        os._exit(0)


def task_of(work: Work) -> Callable:
    """What Celery calls with a message. What it rejects for good goes to the dead-letter queue."""

    def predict_chunk(task, *arguments, **others) -> None:
        match arguments:
            case (str(job_id), int(number)) if not others:
                headers = task.request.headers or {}
            case _:
                raise exceptions.Reject("no call to a chunk", requeue=False)
        try:
            work.predict(job_id, number, text(headers, "request_id"), text(headers, "traceparent"))
        except Stopped:
            raise exceptions.Reject("the worker ends", requeue=True) from None

    return predict_chunk


def text(headers: dict, name: str) -> str:
    found = headers.get(name)
    return found if isinstance(found, str) else ""


def main() -> int:
    try:
        return Worker(read()).run()
    except SettingsError as error:
        sys.exit(f"worker: {error}")


if __name__ == "__main__":
    sys.exit(main())
