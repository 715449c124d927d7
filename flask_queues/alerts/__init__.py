"""Alerts: thresholds of queues, said once when they are crossed and once when they are kept again.

Every keeper looks, but only one every few seconds: whoever writes the sheet as it was last seen has looked, and says
what has changed. Where no worker runs at all nobody looks; that is for a probe, see `health/`.
"""

from .alert import Alert
from .herald import Herald
from .lookout import Lookout
from .receivers import Receiver, receiver_named
from .standing import standing_alerts

__all__ = ["Alert", "Herald", "Lookout", "Receiver", "receiver_named", "standing_alerts"]
