# SPDX-License-Identifier: GPL-2.0-only
"""The independent witness of packets: an AF_PACKET socket per device that keeps the headers of
all TCP segments which leave or enter. As a process its arguments are NAMESPACE DEVICE...: it says
a line when it listens, and when stdin ends what it saw, as JSON. It depends on nothing of
netwatch, and works in guests that have no tcpdump."""

import ctypes
import ipaddress
import json
import select
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
PACKET_OUTGOING = 4
HEADERS_MAX = 256  # of IP with its options or extensions, and TCP
BUFFER = 512 << 20  # a buffer of 64 KiB counts in full until it is read
FINISH_S = 120
FLAGS = "FIN SYN RST PSH ACK URG ECE CWR".split()


class Witness:
    """That process, in a network namespace."""

    def __init__(self, place, namespace, *devices):
        self.process = place.forks.start("frames", namespace, *devices)
        assert self.process.stdout.readline() == b"listening\n"

    def segments(self):
        """All that were seen: tuples as of segment_of(). None was missed."""
        told = json.loads(self.process.finish(FINISH_S))
        assert told["dropped"] == 0, "the witness was too slow"
        return [tuple(tuple(x) if isinstance(x, list) else x for x in one) for one in told["seen"]]


def segment_of(event):
    """(direction, laddr, lport, raddr, rport, flags, seq, ack or None, window, length)"""
    packet, ends = event["packet"], event["connection"]
    return (
        packet["direction"], ends["laddr"], ends["lport"], ends["raddr"], ends["rport"],
        tuple(packet["flags"]), packet["seq"], packet.get("ack"), packet["window"],
        packet["length"],
    )


def behind_ipv6(data):
    """(protocol, where it begins)"""
    protocol, offset = data[6], 40
    while protocol in (0, 43, 44, 60):
        length = 8 if protocol == 44 else 8 * (data[offset + 1] + 1)
        protocol, offset = data[offset], offset + length
    return protocol, offset


def parse(data, size, outgoing):
    """None: no TCP. The size is the buffer's: a big one has 0 in the IP header."""
    if data[0] >> 4 == 4:
        protocol, offset, addresses = data[9], 4 * (data[0] & 15), (data[12:16], data[16:20])
    elif data[0] >> 4 == 6:
        protocol, offset = behind_ipv6(data)
        addresses = (data[8:24], data[24:40])
    else:
        return None
    if protocol != socket.IPPROTO_TCP:
        return None
    sport, dport, seq, ack, words, bits, window = struct.unpack(
        ">HHIIBBH", data[offset : offset + 16]
    )
    source, destination = (str(ipaddress.ip_address(address)) for address in addresses)
    ends = [(source, sport), (destination, dport)]
    local, remote = ends if outgoing else reversed(ends)
    flags = [name for bit, name in enumerate(FLAGS) if bits >> bit & 1]
    length = size - offset - 4 * (words >> 4)
    ack = ack if "ACK" in flags else None
    direction = "TX" if outgoing else "RX"
    return (direction, *local, *remote, flags, seq, ack, window, length)


def enter(path):
    """Into the network namespace at path."""
    with open(path, "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def watch(device):
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    made.setblocking(False)
    made.bind((device, ETH_P_ALL))
    return made


def take(watching, kept):
    """Headers only, and how long it was."""
    buffer = bytearray(HEADERS_MAX)
    try:
        while True:
            size, address = watching.recvfrom_into(buffer, HEADERS_MAX, socket.MSG_TRUNC)
            kept.append((bytes(buffer), size, address[2] == PACKET_OUTGOING))
    except BlockingIOError:
        pass


def main():
    enter(f"/run/netns/{sys.argv[1]}")
    watching = [watch(device) for device in sys.argv[2:]]
    print("listening", flush=True)
    kept, going_on = [], True
    while going_on:
        ready = select.select([*watching, sys.stdin], [], [])[0]
        going_on = sys.stdin not in ready
        for one in watching:
            take(one, kept)
    dropped = 0
    for one in watching:
        statistics = one.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        dropped += struct.unpack("II", statistics)[1]
    seen = [segment for one in kept if (segment := parse(*one))]
    print(json.dumps({"seen": seen, "dropped": dropped}))


if __name__ == "__main__":
    main()
