"""Ids of jobs."""

import base64
import uuid

from hypothesis import given
from hypothesis import strategies as st

from flask_queues.ids import base32hex, bits_of, id_in, is_id, new_id, partition_bits


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_an_id_is_base32hex_of_its_128_bits(number: int) -> None:
    """What Python's own encoder writes, in small letters and without padding."""
    written = base64.b32hexencode(number.to_bytes(16, "big")).decode("ascii")
    assert base32hex(number) == written.rstrip("=").lower()


def test_an_id_is_a_uuid_of_version_7_that_tells_its_partition() -> None:
    """Any reader of RFC 9562 reads it; an engine reads which partition it may be in."""
    text = new_id("images:0")
    assert is_id(text)
    read = uuid.UUID(bytes=base64.b32hexdecode(text.upper() + "======"))
    assert (read.version, read.variant) == (7, uuid.RFC_4122)
    assert read.int >> 64 & 0xFFF == partition_bits("images:0")


def test_an_id_has_one_counterpart_in_each_partition() -> None:
    """The same whenever it is asked for; in its own partition that is itself."""
    text = new_id("images:0")
    moved = id_in("mail:0", text)
    assert is_id(moved)
    assert bits_of(moved) == partition_bits("mail:0")
    assert (id_in("images:0", text), id_in("images:0", moved)) == (text, text)
