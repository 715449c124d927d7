"""The part of the contract by which jobs that belong together are counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from ..record import Status


class Tallying(ABC):
    """The part of the storage contract by which jobs that belong together are counted.

    A tally says how many jobs of a batch stand in each status. The push of one of its jobs begins it in the job's
    queue; each step that moves the job counts it anew. A job that is deleted before its end counts as cancelled from
    then on, one that is deleted later as what it was. What is forgotten is counted no more; its name is not used again.
    Jobs that come from another storage belong to no tally.
    """

    @abstractmethod
    def tallies(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """How many jobs of each batch stand where, zeros left out; with each, the queues in which it has any.

        Kept, so it costs the same for any number of jobs. A batch without a tally is left out.
        """

    @abstractmethod
    def forget_tallies(self, batches: Mapping[str, Collection[str]]) -> None:
        """Forget the tallies of batches, with the queues of each."""


def deleted(status: Status) -> Status:
    """What a job counts as that is deleted in this status."""
    return status if status.final else Status.CANCELLED
