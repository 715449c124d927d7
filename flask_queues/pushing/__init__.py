"""From a push to stored jobs: checked and made, counted and allowed, held until a commit, stored in slices."""

from .pusher import Pusher, ids_given

__all__ = ["Pusher", "ids_given"]
