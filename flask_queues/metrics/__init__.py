"""What was done, added up: how much, how fast, how well, and what may be expected of that.

The keeper looks every other second which jobs have ended since it last looked, and adds them to the sheet of
their minute (`gather.py`); minutes are added up to half hours and to two hours (`ledger.py`). Nothing of it is
done while a job is settled. Readers take what they show from these sheets, never from the jobs.
"""

from .bucket import Bucket, Cell
from .causes import Causes, FailureCause
from .forecast import Forecast, Outlook, Pace
from .gather import Gatherer, gather
from .histogram import ERROR, Histogram
from .ledger import Ledger
from .report import RANGES, Report, Slot, report

__all__ = [
    "ERROR",
    "RANGES",
    "Bucket",
    "Causes",
    "Cell",
    "FailureCause",
    "Forecast",
    "Gatherer",
    "Histogram",
    "Ledger",
    "Outlook",
    "Pace",
    "Report",
    "Slot",
    "gather",
    "report",
]
