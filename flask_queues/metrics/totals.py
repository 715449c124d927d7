"""What was ever done, by queue and type: numbers that only grow, for programs that watch how fast."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..storage.sheets import Found, expect, look
from .bucket import Bucket, dump_cells, load_cells

#: The name of the sheet.
TOTALS = "totals"
#: Queues and types that are kept, those with the most attempts: the sheet is written once a minute.
MOST = 1000


class Totals(NamedTuple):
    """All minutes that are over."""

    #: The minute since 1970 that is not, and is not in here.
    minute: int
    bucket: Bucket

    @classmethod
    def after(cls, before: Totals | None, done: Bucket, minute: int) -> Totals:
        """What is written when one minute is over and another begins."""
        bucket = before.bucket if before is not None else Bucket()
        for line, cell in done.cells.items():
            bucket.cells[line].merge(cell)
        busiest = sorted(bucket.cells, key=lambda line: -bucket.cells[line].runs)
        for line in busiest[MOST:]:
            del bucket.cells[line]
        return cls(minute, bucket)

    def dump(self) -> str:
        """Write it as JSON text."""
        return json.dumps({"minute": self.minute, "cells": dump_cells(self.bucket.cells)}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Totals:
        """Read what `dump` has written; raises whatever is wrong with it."""
        said = json.loads(text)
        expect(said["minute"], int)
        bucket = Bucket()
        bucket.cells.update(load_cells(said["cells"]))
        return cls(said["minute"], bucket)


def totals_in(text: str | None) -> Found[Totals]:
    """Read the sheet; where that cannot be read the numbers begin anew, as programs that watch them know it."""
    return look(TOTALS, text, Totals.load)
