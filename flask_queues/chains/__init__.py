"""Jobs that follow others: chains, the pages of long ones, and what follows a job that was pushed before."""

from .chains import (
    Chain,
    Link,
    Made,
    anew,
    check_end,
    check_links,
    check_not_unique,
    followed,
    given_back,
    is_read_out,
    joined,
    read_out,
    types_of,
    written,
)
from .followers import Followers
from .pages import ENDS, ChainPages, chain_beyond, copy_pages
from .record import ChainRecord, find_chain

__all__ = [
    "ENDS",
    "Chain",
    "ChainPages",
    "ChainRecord",
    "Followers",
    "Link",
    "Made",
    "anew",
    "chain_beyond",
    "check_end",
    "check_links",
    "check_not_unique",
    "copy_pages",
    "find_chain",
    "followed",
    "given_back",
    "is_read_out",
    "joined",
    "read_out",
    "types_of",
    "written",
]
