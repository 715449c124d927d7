"""Signals that an application may listen to, as Flask's own: the sender is the application.

A receiver that raises is logged and keeps nobody from his work.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

#: A threshold of `QUEUES_ALERTS` was crossed, or is kept again: `alert`, an `alerts.Alert`. Sent in a worker, from a
#: thread of its keeper, within an application context.
alert_changed = _signals.signal("queues-alert-changed")
