"""Celery's consumer, which takes messages that are none of ours aside and says nothing of what is in them."""

from celery.worker import consumer
from celery.worker.consumer.delayed_delivery import DelayedDelivery

from apps.service.jobs.queue import dead_letters


class Consumer(consumer.Consumer):
    class Blueprint(consumer.Consumer.Blueprint):
        default_steps = [
            step
            for step in consumer.Consumer.Blueprint.default_steps
            if step.partition(":")[2] != DelayedDelivery.__name__  # 28 queues for delays that nobody asks for
        ]

    def connect(self):
        """To the broker, once it answers; where refused messages go is there from then on."""
        connection = super().connect()
        if connection.transport.driver_type == "amqp":
            dead_letters().bind(connection.default_channel).declare()
        return connection

    def on_decode_error(self, message, exc) -> None:
        self._refuse(message, type(exc).__name__)

    def on_unknown_message(self, body, message) -> None:
        self._refuse(message, "no task")

    def on_unknown_task(self, body, message, exc) -> None:
        self._refuse(message, "unknown task")

    def on_invalid_task(self, body, message, exc) -> None:
        self._refuse(message, type(exc).__name__)

    def _refuse(self, message, reason: str) -> None:
        """Into the dead-letter queue, where there is one."""
        consumer.consumer.logger.error("a message that is no call to a chunk was refused: %s", reason)
        message.reject_log_error(consumer.consumer.logger, self.connection_errors)
