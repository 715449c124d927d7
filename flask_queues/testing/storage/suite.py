"""The whole suite as one class, for an engine that is nobody else's."""

from __future__ import annotations

from .contract import (
    AlongContract,
    BoundContract,
    ClaimContract,
    FiguresContract,
    FollowContract,
    GatherContract,
    HeldContract,
    KeeperContract,
    LimitContract,
    LineContract,
    NoteContract,
    OperatorContract,
    OptionsContract,
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


# pytest runs the tests of the last base first: so what an engine needs first stands last, and the model is asked last.
class StorageContract(
    ModelContract,
    FormatContract,
    MoveContract,
    TallyContract,
    OutdatedContract,
    FiguresContract,
    ScheduleContract,
    GatherContract,
    AlongContract,
    LimitContract,
    UniqueContract,
    StopContract,
    LineContract,
    ReadContract,
    RewriteContract,
    OptionsContract,
    OperatorContract,
    KeeperContract,
    NoteContract,
    HeldContract,
    FollowContract,
    SettleContract,
    ClaimContract,
    BoundContract,
    PushContract,
):
    """Everything that a storage promises. Subclass it with a fixture `engine`, and pytest runs it all."""
