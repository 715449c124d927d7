"""The processor time of a process and all that it has started."""

from __future__ import annotations

import os
from pathlib import Path

from .memory import children


def seconds(pid: int) -> float:
    """Seconds of processor time: its own, that of the children it has reaped, and that of those that live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        own = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        return own + sum(seconds(child) for child in children(pid))
    except OSError:  # it ended meanwhile
        return 0.0
