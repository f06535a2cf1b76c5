# SPDX-License-Identifier: GPL-2.0-only
"""Segments made by hand, which no kernel would send: into a connection of this host, over the
loopback, by a raw socket. What is right at the moment is asked of the sockets themselves
(TCP_REPAIR)."""

import ctypes
import os
import socket
import struct

TCP_TIMESTAMP, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 24, 19, 20, 21
REPAIR_ON, REPAIR_OFF = 1, -1  # off without a window probe
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
DATA = PSH | ACK
KERNEL_TYPES = "/sys/kernel/btf/vmlinux"

libc = ctypes.CDLL(None, use_errno=True)


def has_enumerator(name):
    """Has the running kernel's BTF that name?"""
    with open(KERNEL_TYPES, "rb") as types:
        return b"\0" + name.encode() + b"\0" in types.read()


def borrow(pid, fd):
    """A process's socket."""
    pidfd = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    assert pidfd >= 0, os.strerror(ctypes.get_errno())
    mine = libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    assert mine >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=mine)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(source, target, seq, ack, flags, payload=b"", options=b"", doff=None, good=True):
    """A segment from (address, port) to (address, port)."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    length = 20 + len(options) + len(payload)
    doff = length - len(payload) if doff is None else doff

    def header(check):
        return (
            struct.pack("!HHII", source[1], target[1], seq % 2**32, ack % 2**32)
            + struct.pack("!BBHHH", doff // 4 << 4, flags, 65535, check, 0)
            + options
            + payload
        )

    ends = socket.inet_pton(family, source[0]) + socket.inet_pton(family, target[0])
    pseudo = struct.pack("!BBH", 0, 6, length)
    if family == socket.AF_INET6:
        pseudo = struct.pack("!IHBB", length, 0, 0, 6)
    check = checksum(ends + pseudo + header(0))
    return header(check if good else check ^ 0x1234)


def ip(source, target, segment):
    """Of IPv4 the kernel fills in length and checksum."""
    if ":" in source:
        ends = [socket.inet_pton(socket.AF_INET6, end) for end in (source, target)]
        return struct.pack("!IHBB16s16s", 6 << 28, len(segment), 6, 64, *ends) + segment
    ends = [socket.inet_aton(end) for end in (source, target)]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 6, 0, *ends) + segment


class Sender:
    """Sends segments from source to target."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        self.raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, *args, **options):
        segment = tcp(self.source, self.target, *args, **options)
        packet = ip(self.source[0], self.target[0], segment)
        self.raw.sendto(packet, (self.target[0], 0))

    def close(self):
        self.raw.close()


class Victim:
    """A connection of some process, told by both ends as an actor describes them: segments go to
    its first end as if from the other one."""

    def __init__(self, pid, told, peer_pid, peer):
        self.socket = borrow(pid, told["fd"])
        self.peer = borrow(peer_pid, peer["fd"])
        self.sender = Sender((told["raddr"], told["rport"]), (told["laddr"], told["lport"]))

    def queue_seq(self, queue):
        self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
            return self.socket.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) % 2**32
        finally:
            self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF)

    def rcv_nxt(self):
        return self.queue_seq(RECEIVE_QUEUE)

    def snd_nxt(self):
        return self.queue_seq(SEND_QUEUE)

    def timestamp(self, ago):
        """The option as the other end would have written it so long ago."""
        now = self.peer.getsockopt(socket.IPPROTO_TCP, TCP_TIMESTAMP)
        return struct.pack("!BBBBII", 1, 1, 8, 10, (now - ago) % 2**32, 0)

    def send(self, seq=0, ack=0, flags=DATA, payload=b"", **options):
        """seq and ack count from what is expected; what was sent, in absolute numbers."""
        seq, ack = (self.rcv_nxt() + seq) % 2**32, (self.snd_nxt() + ack) % 2**32
        self.sender.send(seq, ack, flags, payload, **options)
        return {"seq": seq, "ack": ack, "length": len(payload)}

    def close(self):
        for one in self.socket, self.peer, self.sender:
            one.close()
