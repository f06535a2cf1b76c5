# SPDX-License-Identifier: GPL-2.0-only
"""A terminal of some width, and what was shown on it."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading

from harness import DEADLINE_S

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """Give .stdout to a process, then close() it here; text() waits for its end."""

    def __init__(self, columns):
        self.main, self.stdout = pty.openpty()
        fcntl.ioctl(self.stdout, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.columns = columns
        self.shown = b""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while data := os.read(self.main, 65536):
                self.shown += data
        except OSError:  # how a terminal ends
            pass

    def control(self):
        """For a new session's first process: this is its terminal."""
        fcntl.ioctl(self.stdout, termios.TIOCSCTTY, 0)

    def press(self, keys):
        os.write(self.main, keys)

    def close(self):
        os.close(self.stdout)
        return self

    def text(self):
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), "somebody holds the terminal"
        os.close(self.main)
        return self.shown.decode().replace("\r\n", "\n")

    def lines(self):
        """Without colours."""
        return ESCAPE.sub("", self.text()).splitlines()
