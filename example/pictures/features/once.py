"""However often it is pushed, it runs once: debounce, throttle and unique."""

from pictures import library
from pictures.extensions import queues


@queues.job("pictures:index", name="Build the index", unique=True, debounce=5)
def build_index() -> dict[str, int]:
    """Starts once nothing has asked for it for five seconds."""
    return {"pictures": library.count()}


@queues.job("pictures:tell-follower", name="Tell a follower", unique=lambda payload: payload["name"], throttle=60)
def tell_follower(name: str) -> str:
    """Each follower hears of new pictures once a minute at most."""
    return f"{name} was told"


def change_five() -> str:
    pushed = {build_index.push().id for _ in range(5)}
    return f"Pushed five times: the last of {len(pushed)} jobs runs, the others make way for it."


def tell_three() -> str:
    created = [tell_follower.push(name=name).created for name in ("clara", "clara", "dan")]
    return f"Pushed three times for two followers: {sum(created)} jobs are new."
