# SPDX-License-Identifier: GPL-2.0-only
"""Starts the scripts of the tests that make and watch traffic by fork, not by exec: a Python that
begins takes longer than most of what it is then asked for, half a second on an emulated machine.
As a process it is forks.py FD and forks as asked at that socket; it depends on nothing of
netwatch."""

import json
import os
import select
import signal
import socket
import subprocess
import sys

MESSAGE_MAX = 4096


class Process:
    """As of subprocess, but no child of ours: there is no exit code."""

    def __init__(self, pid, stdin, stdout):
        self.pid = pid
        self.stdin, self.stdout = stdin, stdout
        self.pidfd = os.pidfd_open(pid)

    def end(self):
        """Kills it, and waits until it is gone."""
        if self.pidfd is None:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        select.select([self.pidfd], [], [])
        os.close(self.pidfd)
        self.pidfd = None
        self.stdin.close()
        self.stdout.close()

    def finish(self, seconds):
        """Ends its input; all that it still says."""
        self.stdin.close()
        said = b""
        while select.select([self.stdout], [], [], seconds)[0]:
            data = os.read(self.stdout.fileno(), 1 << 20)
            if not data:
                return said
            said += data
        raise AssertionError(f"process {self.pid} does not end")


class Server:
    """That process, from the first use on."""

    def __init__(self, python, script, environment):
        self.command = [python, script]
        self.environment = environment
        self.socket = self.process = None

    def begin(self):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self.process = subprocess.Popen(
                [*self.command, str(other.fileno())], stdin=subprocess.DEVNULL, cwd="/",
                env=self.environment, pass_fds=[other.fileno()],
            )

    def start(self, module, *arguments):
        """A process that runs the module's main()."""
        if not self.process:
            self.begin()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        words = json.dumps([module, *map(str, arguments)]).encode()
        socket.send_fds(self.socket, [words], [theirs_in, theirs_out])
        os.close(theirs_in)
        os.close(theirs_out)
        pid = self.socket.recv(MESSAGE_MAX)
        assert pid, f"{self.command} ended"
        return Process(int(pid), os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb"))

    def end(self):
        if self.process:
            self.socket.close()
            self.process.wait()


def reap():
    """Those that ended before the last one was begun: of that one, somebody may not have a pidfd."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def serve(requests):
    """Returns in each process that was asked for: (module, arguments); at the end: None."""
    while True:
        words, fds, _, _ = socket.recv_fds(requests, MESSAGE_MAX, 2)
        if not words:
            return None
        reap()
        pid = os.fork()
        if pid == 0:
            requests.close()
            for fd, to in zip(fds, (0, 1)):
                os.dup2(fd, to)
                os.close(fd)
            return json.loads(words)
        for fd in fds:
            os.close(fd)
        requests.send(str(pid).encode())


def main():
    # Those that may be asked for.
    import actor
    import frames

    modules = {"actor": actor, "frames": frames}
    if asked := serve(socket.socket(fileno=int(sys.argv[1]))):
        module, *sys.argv[1:] = asked
        modules[module].main()


if __name__ == "__main__":
    main()
