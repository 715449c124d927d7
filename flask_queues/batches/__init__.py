"""Jobs that belong together: pushed in slices, counted by the storage, with callbacks when all have ended."""

from __future__ import annotations

from .batches import Batches, BatchPage
from .builder import Batch, BatchHandle
from .record import BatchRecord
from .sheet import tag_of

__all__ = ["Batch", "BatchHandle", "BatchPage", "BatchRecord", "Batches", "tag_of"]
