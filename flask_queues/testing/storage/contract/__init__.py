"""The contract of `flask_queues/storage/base.py`, sentence by sentence, as tests that know no engine.

They use what the abstract class declares and nothing else. Durations are parts of a second, so
that an engine whose clock cannot be set may really wait. Each class asks for the fixture `engine`.
"""

from .along import AlongContract
from .bound import BoundContract
from .claim import ClaimContract
from .figures import FiguresContract
from .follow import FollowContract
from .gather import GatherContract
from .held import HeldContract
from .keeper import KeeperContract
from .limit import LimitContract
from .line import LineContract
from .note import NoteContract
from .operator import OperatorContract
from .options import OptionsContract
from .others import claim_by_id, drain, fire_all, move_jobs, push_all, push_one_of_its_kind, push_slices, push_when_told
from .outdated import OutdatedContract
from .push import PushContract
from .read import ReadContract
from .rewrite import RewriteContract
from .schedule import ScheduleContract
from .settle import SettleContract
from .stop import StopContract
from .tally import TallyContract
from .unique import UniqueContract
from .words import (
    LATER,
    LONG,
    SHORT,
    TAGGED,
    TEXTS,
    UNINDEXED,
    UNTAGGED,
    a_worker,
    complete,
    counted,
    error_text,
    everything,
    fail,
    fill,
    ids,
    in_status,
    line,
    new,
    settle,
    take,
    take_one,
    the,
)

__all__ = [
    "LATER",
    "LONG",
    "SHORT",
    "TAGGED",
    "TEXTS",
    "UNINDEXED",
    "UNTAGGED",
    "AlongContract",
    "BoundContract",
    "ClaimContract",
    "FiguresContract",
    "FollowContract",
    "GatherContract",
    "HeldContract",
    "KeeperContract",
    "LimitContract",
    "LineContract",
    "NoteContract",
    "OperatorContract",
    "OptionsContract",
    "OutdatedContract",
    "PushContract",
    "ReadContract",
    "RewriteContract",
    "ScheduleContract",
    "SettleContract",
    "StopContract",
    "TallyContract",
    "UniqueContract",
    "a_worker",
    "claim_by_id",
    "complete",
    "counted",
    "drain",
    "error_text",
    "everything",
    "fail",
    "fill",
    "fire_all",
    "ids",
    "in_status",
    "line",
    "move_jobs",
    "new",
    "push_all",
    "push_one_of_its_kind",
    "push_slices",
    "push_when_told",
    "settle",
    "take",
    "take_one",
    "the",
]
