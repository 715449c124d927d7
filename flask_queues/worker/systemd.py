"""What systemd is told of a worker that it has started: that it works, how it does, and that it has not hung.

The protocol is one datagram to the socket that NOTIFY_SOCKET names (sd_notify(3)); elsewhere nothing is said.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

#: Variables that are meant for this process, and not for what its jobs start.
OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: Seconds between two lines about how many processes are busy.
PATIENCE = 1.0


class Systemd:
    """Speaks to the service manager from one process. It keeps no connection."""

    def __init__(self, address: str | None, watchdog: float | None) -> None:
        self._address = address
        #: Seconds between two signs of life; half of what is demanded.
        self._interval = None if watchdog is None else watchdog / 2
        self._ready = False
        self._next_sign = 0.0
        self._passes = -1
        self._status = ""
        self._next_status = 0.0

    @classmethod
    def of_environment(cls, environment: MutableMapping[str, str]) -> Systemd:
        """Take over what the service manager has said, so that no process started from here takes it for its own."""
        address, usec, pid = (environment.pop(name, None) for name in OURS)
        ours = pid is None or pid == str(os.getpid())
        return cls(address, int(usec) / 1e6 if usec and usec.isdigit() and int(usec) and ours else None)

    def works(self, passes: int, *, ready: bool, status: str) -> None:
        """Called often: tells once that the worker is ready, how it does when that has changed, and that it goes on."""
        if ready and not self._ready:
            self._ready = True
            self._say("READY=1")
        if status != self._status and time.monotonic() >= self._next_status:
            self._status, self._next_status = status, time.monotonic() + PATIENCE
            self._say(f"STATUS={status}")
        self.goes_on(passes)

    def goes_on(self, passes: int) -> None:
        """Called often: a sign of life now and then, if the keeper has got on since the last one."""
        if self._interval is not None and passes != self._passes and time.monotonic() >= self._next_sign:
            self._passes, self._next_sign = passes, time.monotonic() + self._interval
            self._say("WATCHDOG=1")

    def stops(self, status: str) -> None:
        """That the worker has begun to stop."""
        self._status = status
        self._say("STOPPING=1", f"STATUS={status}")

    def _say(self, *words: str) -> None:
        """Send words; a service manager that does not listen keeps nobody from his work."""
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.setblocking(False)
            try:
                speaker.sendto("\n".join(words).encode(), address)
            except OSError:
                return
