"""The whole suite as one class, for an engine that is nobody else's."""

from __future__ import annotations

from .contract import (
    BoundContract,
    ClaimContract,
    FiguresContract,
    FollowContract,
    HeldContract,
    KeeperContract,
    LimitContract,
    NoteContract,
    OperatorContract,
    OutdatedContract,
    PushContract,
    ReadContract,
    RewriteContract,
    ScheduleContract,
    SettleContract,
    StopContract,
    TallyContract,
    UniqueContract,
)
from .engine import Engine
from .formats import FormatContract
from .moving import MoveContract


class ModelContract:
    """A random sequence of everything that a storage can do, against a model in memory."""

    def test_a_storage_does_what_a_model_in_memory_does(self, engine: Engine) -> None:
        """Whatever is done in whatever order, the storage answers and holds what the model does."""
        from .machine import run_model  # Hypothesis takes its time, which the processes of other tests need not

        run_model(engine)


class StorageContract(
    PushContract,
    BoundContract,
    ClaimContract,
    HeldContract,
    SettleContract,
    FollowContract,
    FiguresContract,
    ScheduleContract,
    StopContract,
    UniqueContract,
    LimitContract,
    TallyContract,
    NoteContract,
    KeeperContract,
    OperatorContract,
    OutdatedContract,
    ReadContract,
    RewriteContract,
    MoveContract,
    FormatContract,
    ModelContract,
):
    """Everything that a storage promises. Subclass it with a fixture `engine`, and pytest runs it all."""
