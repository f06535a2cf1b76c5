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


class Screen:
    """What a full-screen program shows: the sequences that ours write, and no others."""

    SEQUENCE = re.compile(r"\x1b\[(\?\d+[hl]|[HJK]|[0-9;]*m)|\r|\n|[^\x1b\r\n]+", re.S)

    def __init__(self, shown, columns):
        self.columns = columns
        self.rows, self.row, self.column = [], 0, 0
        self.before = [], 0, 0  # the other screen
        self.alternate, self.cursor, self.wraps = False, True, True
        text = shown.decode(errors="replace")
        at = 0
        while found := self.SEQUENCE.match(text, at):
            at = found.end()
            self.take(found)
        assert at == len(text) or text[at] == "\x1b" and len(text) - at < 9, repr(text[at:at + 20])

    def take(self, found):
        code = found[1]
        if code is None:
            self.put(found[0])
        elif code[0] == "?":
            self.mode(code[1:-1], code[-1] == "h")
        elif code == "H":
            self.row = self.column = 0
        elif code == "K":
            self.line(self.line()[:self.column])
        elif code == "J":
            self.line(self.line()[:self.column])
            del self.rows[self.row + 1:]

    def mode(self, number, on):
        if number == "1049":
            self.alternate = on
            here = self.rows, self.row, self.column
            self.rows, self.row, self.column = ([], 0, 0) if on else self.before
            self.before = here
        elif number == "25":
            self.cursor = on
        elif number == "7":
            self.wraps = on

    def line(self, text=None):
        while len(self.rows) <= self.row:
            self.rows.append("")
        if text is not None:
            self.rows[self.row] = text
        return self.rows[self.row]

    def put(self, text):
        if text == "\r":
            self.column = 0
        elif text == "\n":
            self.row += 1
        else:
            if self.alternate:
                assert self.column + len(text) <= self.columns, f"too wide: {text}"
            was = self.line().ljust(self.column)
            self.line(was[:self.column] + text + was[self.column + len(text):])
            self.column += len(text)
