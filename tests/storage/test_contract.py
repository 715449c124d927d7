"""The storage contract (`flask_queues.testing.storage`) on every engine (`engines.py`)."""

from __future__ import annotations

from flask_queues.testing.storage import ModelContract, StorageContract
from flask_queues.testing.storage.contract import (
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
from flask_queues.testing.storage.formats import FormatContract
from flask_queues.testing.storage.moving import MoveContract


class TestPush(PushContract):
    """What a push promises."""


class TestBound(BoundContract):
    """How many jobs may wait in a queue."""


class TestClaim(ClaimContract):
    """Who gets which job."""


class TestHeld(HeldContract):
    """Jobs of a type that a worker does not know."""


class TestSettle(SettleContract):
    """What becomes of a claim."""


class TestFollow(FollowContract):
    """What a job's end causes."""


class TestOptions(OptionsContract):
    """Options that are changed under whoever runs the job."""


class TestStop(StopContract):
    """A queue, or one job type of it, that is stopped for a while."""


class TestFigures(FiguresContract):
    """What has ended within a time, and the sheets on which the sums of it are kept."""


class TestTally(TallyContract):
    """How many jobs of a batch stand where."""


class TestUnique(UniqueContract):
    """A job that is the only one of its kind in its queue."""


class TestLimit(LimitContract):
    """Limits on how many jobs of a key run at once, and how many begin in a time."""


class TestAlong(AlongContract):
    """Jobs under limits that run together, in one place at their gates."""


class TestGather(GatherContract):
    """Jobs that wait for each other, until there are enough of them."""


class TestSchedule(ScheduleContract):
    """Schedules and what they push."""


class TestNote(NoteContract):
    """What a running job says of itself."""


class TestKeeper(KeeperContract):
    """What the keeper does for its worker."""


class TestOperator(OperatorContract):
    """What people and the application change."""


class TestOutdated(OutdatedContract):
    """Ended jobs that were kept long enough, one queue, type and status at a time."""


class TestLine(LineContract):
    """Which jobs are claimed next."""


class TestRead(ReadContract):
    """What can be read."""


class TestRewrite(RewriteContract):
    """How stored texts get other words."""


class TestMove(MoveContract):
    """How everything moves to another storage."""


class TestFormat(FormatContract):
    """What a newer version has written to."""


def test_every_part_of_the_contract_is_tried_here() -> None:
    """A part that only somebody else's engine inherits, with the whole suite, is tried on none of ours."""
    tried = {base for found in globals().values() if isinstance(found, type) for base in found.__bases__}
    parts = set(StorageContract.__bases__) - {ModelContract}  # the model is in `test_model.py`
    assert parts <= tried
