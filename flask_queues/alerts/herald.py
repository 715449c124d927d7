"""Who is told of an alert: the log at once; then, in a thread that may wait for them, receivers and a signal."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence

from flask import Flask

from ..signals import alert_changed, name_of, send
from .alert import Alert
from .receivers import Receiver, receiver_named

logger = logging.getLogger("flask_queues.alerts")


class Herald:
    """Tells of alerts for one application.

    Receivers send mails and call web services: a keeper that waited for them would lose the leases of running jobs.
    """

    def __init__(self, app: Flask, receivers: Callable[[], Sequence[Receiver | str]]) -> None:
        self._app = app
        self._receivers = receivers
        self._waiting: queue.Queue[Alert] = queue.Queue()
        #: Tells until nothing waits, then ends.
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Tell of alerts; returns at once."""
        for alert in alerts:
            logger.log(logging.WARNING if alert.active else logging.INFO, "%s", alert)
            if not self._receivers() and not alert_changed.receivers:
                continue
            with self._lock:
                self._waiting.put(alert)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="flask-queues-alerts", daemon=True)
                    self._thread.start()

    def finish(self, seconds: float) -> None:
        """Wait so long for receivers that are not done."""
        if self._thread is None:
            return
        done = threading.Thread(target=self._waiting.join, daemon=True)
        done.start()
        done.join(seconds)

    def _work(self) -> None:
        while (alert := self._next()) is not None:
            try:
                self._tell_all(alert)
            finally:
                self._waiting.task_done()

    def _next(self) -> Alert | None:
        with self._lock:
            if self._waiting.empty():
                self._thread = None
                return None
            return self._waiting.get_nowait()

    def _tell_all(self, alert: Alert) -> None:
        """Tell each; one that raises keeps no other from hearing."""
        for receiver in self._receivers():
            try:
                with self._app.app_context():
                    called = receiver_named(receiver) if isinstance(receiver, str) else receiver
                    self._app.ensure_sync(called)(alert)
            except (Exception, SystemExit):  # which would end this thread, and nobody would be told of anything more
                logger.exception(
                    "The receiver %s of alerts raised.", receiver if isinstance(receiver, str) else name_of(receiver)
                )
        send(alert_changed, self._app, exits=True, alert=alert)
