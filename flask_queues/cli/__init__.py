"""The terminal's face: `flask queues`.

Exit codes: 0 done, 1 an error of ours (said on standard error), 2 wrong usage, 3 nothing matched. `doctor` has its own.
"""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from ..errors import QueuesError
from .batches import batches
from .causes import causes
from .chain import chain
from .damaged import damaged
from .doctor import doctor
from .export import export, reproduce
from .health import health
from .jobs import cancel, hurry, push, retry, run, show
from .move import move
from .orders import quiet, restart, stacks
from .pausing import pause, resume
from .rekeying import reencrypt
from .schedule import schedule
from .status import status
from .tidy import clear, flush
from .work import work


class QueuesGroup(AppGroup):
    """A group whose commands end in a sentence, not in a traceback, when something is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors become the terminal's."""
        try:
            return super().invoke(ctx)
        except QueuesError as error:
            raise click.ClickException(str(error)) from error


queues_group = QueuesGroup("queues", help="Background jobs: run them, look at them, repair them.")
for command in (
    work,
    status,
    causes,
    batches,
    chain,
    push,
    show,
    run,
    retry,
    hurry,
    cancel,
    clear,
    flush,
    pause,
    resume,
    quiet,
    restart,
    stacks,
    schedule,
    export,
    reproduce,
    move,
    reencrypt,
    damaged,
    doctor,
    health,
):
    queues_group.add_command(command)
