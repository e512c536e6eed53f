"""Netlink messages are written and read as the kernel lays them out, and malformed ones end the reading."""

from __future__ import annotations

import struct

from harness.machine.network import netlink


def test_what_is_written_is_read_again() -> None:
    """Two messages in one datagram; a body is what was given, without the padding of the next."""
    first = netlink.message(16, netlink.REQUEST, netlink.attribute(3, b"eth0\0"))
    both = first + netlink.message(17, netlink.REQUEST | netlink.ACKNOWLEDGE, b"")
    assert list(netlink.messages(both)) == [(16, netlink.attribute(3, b"eth0\0")), (17, b"")]


def test_a_header_has_length_kind_flags_and_sequence() -> None:
    """In the byte order of this machine; the kernel fills in the port."""
    assert netlink.message(20, 0x301, b"body", sequence=7) == struct.pack("=IHHII", 20, 20, 0x301, 7, 0) + b"body"


def test_attributes_are_padded_to_four_bytes_and_found_by_kind() -> None:
    """The length of an attribute does not count the padding; the first of a kind is found."""
    data = netlink.attribute(1, b"x") + netlink.attribute(2, b"four") + netlink.attribute(2, b"later")
    assert len(data) == 8 + 8 + 12
    assert netlink.find_attribute(data, 1) == b"x"
    assert netlink.find_attribute(data, 2) == b"four"
    assert netlink.find_attribute(data, 2, start=16) == b"later"
    assert netlink.find_attribute(data, 3) is None


def test_lengths_of_zero_end_the_reading() -> None:
    """They would never advance; a reader that trusts them hangs."""
    assert len(list(netlink.messages(bytes(40)))) == 2
    assert netlink.find_attribute(bytes(12), 1) is None


def test_an_error_has_its_number_and_success_has_none() -> None:
    """The kernel sends numbers of errors negated."""
    assert netlink.error_number(struct.pack("=i", -17)) == 17
    assert netlink.error_number(struct.pack("=i", 0)) == 0
