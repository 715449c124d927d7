"""What a manager is built of, floor upon floor: its parts, what it can tell, what it does for workers."""

from .ground import Ground
from .reading import Reading, checked_id, not_found
from .serving import Serving

__all__ = ["Ground", "Reading", "Serving", "checked_id", "not_found"]
