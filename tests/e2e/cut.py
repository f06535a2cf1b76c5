# SPDX-License-Identifier: GPL-2.0-only
"""A way to the collector that a test can cut: a socket whose connections are passed on."""

import contextlib
import os
import select
import socket
import threading

import wire


class Wire:
    """A UNIX socket in front of the collector's. Who connects is, to the collector, root."""

    def __init__(self, path, target):
        self.path, self.target = str(path), target
        self.open()

    def open(self):
        self.whole = True
        self.passed = 0  # bytes of the collector
        self.most = None  # cut behind so many
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        ends = []
        with self.listener, contextlib.ExitStack() as stack:
            while self.whole and (self.most is None or self.passed < self.most):
                ready, _, _ = select.select([self.listener, *(one for one, _ in ends)], [], [], 0.01)
                for one in ready:
                    if one is self.listener:
                        client = stack.enter_context(self.listener.accept()[0])
                        collector = stack.enter_context(socket.socket(socket.AF_UNIX))
                        collector.connect(self.target)
                        ends += [(client, collector), (collector, client)]
                    else:
                        self.move(ends, one)

    def move(self, ends, one):
        other = dict(ends).get(one)
        if not other:  # it was just closed
            return
        pair = (one, other), (other, one)
        from_client = ends.index((one, other)) % 2 == 0
        try:
            data = one.recv(65536)
            if not from_client and self.most is not None:
                data = data[: self.most - self.passed]
            other.sendall(data)
        except OSError:
            data = b""
        if not from_client:
            self.passed += len(data)
        if not data:
            for way in pair:
                ends.remove(way)
            for end in one, other:
                end.close()

    def cut(self, behind=None):
        """All connections break off, perhaps only behind so many bytes more, in the middle of
        something; and nobody is there until open()."""
        if behind is None:
            self.whole = False
        else:
            self.most = self.passed + behind
        self.thread.join(wire.DEADLINE_S)
        assert not self.thread.is_alive()
        os.unlink(self.path)

    def end(self):
        if os.path.exists(self.path):
            self.cut()
