# SPDX-License-Identifier: GPL-2.0-only
"""What a service manager does last: activate.py FDS COMMAND... becomes COMMAND, with those descriptors
(with commas between) as 3 and the following, and the number of its own process in the environment."""

import os
import sys

fds = [int(word) for word in sys.argv[1].split(",") if word]
spare = [os.dup2(fd, 100 + index) for index, fd in enumerate(fds)]
for index, fd in enumerate(spare):
    os.dup2(fd, 3 + index)
pid = str(os.getpid())
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=pid, WATCHDOG_PID=pid)
os.environ.update(word.split("=", 1) for word in os.environ.get("INSTEAD", "").split())
os.execv(sys.argv[2], sys.argv[2:])
