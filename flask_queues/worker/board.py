"""A few numbers shared by the processes of a worker, in memory that they inherit."""

from __future__ import annotations

import mmap
import time

FIELDS = 7
IDLE, TOKEN, DEADLINE, CANCEL, COMPLETED, BASE, LEFT = range(FIELDS)
#: What stands in front of the slots.
HEAD = 5
PASSES, BEAT, QUIET, RESTART, STOPPING = range(HEAD)


class Slot:
    """What one child shows the supervisor and the keeper. Each number has one writer at a time."""

    def __init__(self, numbers: memoryview, index: int) -> None:
        self._numbers = numbers
        self._at = HEAD + index * FIELDS

    def clear(self) -> None:
        """Begin anew, for a new child; what those before it have completed stays counted."""
        for field in set(range(FIELDS)) - {COMPLETED}:
            self._numbers[self._at + field] = 0

    @property
    def idle(self) -> bool:
        """Whether the child sleeps and may be woken."""
        return bool(self._numbers[self._at + IDLE])

    @idle.setter
    def idle(self, value: bool) -> None:
        self._numbers[self._at + IDLE] = value

    @property
    def quiet(self) -> bool:
        """Whether the worker is to take nothing more."""
        return bool(self._numbers[QUIET])

    @property
    def token(self) -> int:
        """The claim token of the job in hand, 0 for none."""
        return max(0, self.mark)

    @property
    def mark(self) -> int:
        """The claim token of the last job that was begun, negative once that has ended."""
        return int(self._numbers[self._at + TOKEN])

    @property
    def base(self) -> float:
        """Megabytes that the child held before its first job; 0 until it has measured them."""
        return self._numbers[self._at + BASE] / 1000

    @base.setter
    def base(self, megabytes: float) -> None:
        self._numbers[self._at + BASE] = round(megabytes * 1000)

    @property
    def completed(self) -> int:
        """Jobs that the child, and those before it, have completed."""
        return int(self._numbers[self._at + COMPLETED])

    @completed.setter
    def completed(self, jobs: int) -> None:
        self._numbers[self._at + COMPLETED] = jobs

    @property
    def cancel(self) -> int:
        """The claim token of the job that the keeper wants ended."""
        return int(self._numbers[self._at + CANCEL])

    @cancel.setter
    def cancel(self, token: int) -> None:
        self._numbers[self._at + CANCEL] = token

    def begin(self, token: int, seconds: float) -> None:
        """Show which job is in hand, and when it must be over."""
        self._numbers[self._at + TOKEN] = token
        self.limit(seconds)

    def limit(self, seconds: float) -> None:
        """Show when the job in hand must be over, counted from now."""
        self._numbers[self._at + DEADLINE] = time.monotonic_ns() + int(seconds * 1e9)

    def end(self) -> None:
        """Show that no job is in hand."""
        self._numbers[self._at + DEADLINE] = 0
        self._numbers[self._at + TOKEN] = -self.token

    def leave(self, code: int) -> None:
        """Show that the child ends by itself, with this exit code: one that a job has ended shows nothing."""
        self._numbers[self._at + LEFT] = code + 1

    def left(self, code: int) -> bool:
        """Whether the child ended by itself with this exit code; one that a signal has killed (below 0) did not."""
        return code >= 0 and int(self._numbers[self._at + LEFT]) == code + 1

    def late(self) -> float:
        """Seconds since the job in hand should have been over; negative before, and without a job."""
        deadline = self._numbers[self._at + DEADLINE]
        return (time.monotonic_ns() - deadline) / 1e9 if deadline else -1.0


class Pulse:
    """What the keeper shows the supervisor, and the keeper that may come after it."""

    def __init__(self, numbers: memoryview) -> None:
        self._numbers = numbers

    @property
    def passes(self) -> int:
        """Another number whenever the keeper has got on with its work, if only to find that the storage is away."""
        return int(self._numbers[PASSES])

    def passed(self) -> None:
        """Show that it gets on."""
        self._numbers[PASSES] += 1

    @property
    def beat(self) -> int:
        """When the last sign of life of this worker arrived, by the storage's clock; 0 before the first."""
        return int(self._numbers[BEAT])

    @beat.setter
    def beat(self, moment: int) -> None:
        self._numbers[BEAT] = moment


class Asked:
    """What people ask of the worker, as its keeper has read it."""

    def __init__(self, numbers: memoryview) -> None:
        self._numbers = numbers

    @property
    def quiet(self) -> bool:
        """Whether it is to take nothing more."""
        return bool(self._numbers[QUIET])

    @quiet.setter
    def quiet(self, value: bool) -> None:
        self._numbers[QUIET] = value

    @property
    def restart(self) -> int:
        """When somebody last asked to have its children begin anew; 0 for never."""
        return int(self._numbers[RESTART])

    @restart.setter
    def restart(self, moment: int) -> None:
        self._numbers[RESTART] = moment


class Board:
    """The slots of all children, the keeper's pulse and what is asked, in anonymous shared memory."""

    def __init__(self, slots: int) -> None:
        numbers = memoryview(mmap.mmap(-1, (HEAD + slots * FIELDS) * 8)).cast("q")
        self.slots = [Slot(numbers, index) for index in range(slots)]
        self.pulse = Pulse(numbers)
        self.asked = Asked(numbers)
        #: A file for each child, by its descriptor, into which it writes its stacks; none where nobody has made them.
        self.pictures: list[int] = []
        self._numbers = numbers

    @property
    def completed(self) -> int:
        """Jobs that all children have completed since the worker started."""
        return sum(slot.completed for slot in self.slots)

    @property
    def stopping(self) -> bool:
        """Whether the worker only lets what is in hand end."""
        return bool(self._numbers[STOPPING])

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._numbers[STOPPING] = value
