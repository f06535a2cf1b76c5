# SPDX-License-Identifier: GPL-2.0-only
"""The traffic's side: a process of some user in some network namespace that opens, uses and
closes TCP connections as it is told, one JSON command a line, and tells what it did. It
depends on nothing of netwatch, so that its word is independent."""

import ctypes
import fcntl
import ipaddress
import json
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time

SO_COOKIE = 57
IPV6_CHECKSUM = 7
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
PIPE_BYTES = 1 << 20  # for what is served before anybody asks

libc = ctypes.CDLL(None, use_errno=True)
sockets = {}
served_pipe = None


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def plain(address):
    """How netwatch prints it: a v4-mapped address is IPv4."""
    return address.removeprefix("::ffff:")


def describe(connection):
    """The connection as the stream must show it."""
    local, remote = connection.getsockname(), connection.getpeername()
    cookie = connection.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
    return {
        "fd": connection.fileno(),
        "id": struct.unpack("=Q", cookie)[0],
        "laddr": plain(local[0]),
        "lport": local[1],
        "raddr": plain(remote[0]),
        "rport": remote[1],
        "pid": os.getpid(),
        "uid": os.getuid(),
        "netns": os.stat("/proc/self/ns/net").st_ino,
    }


def kept(connection):
    sockets[connection.fileno()] = connection
    return describe(connection)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def receive_all(connection):
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    return count


def enter(path):
    """Into the network namespace at path."""
    fd = os.open(path, os.O_RDONLY)
    checked(libc.setns(fd, CLONE_NEWNET))
    os.close(fd)


def become(uid, gid=None):
    os.setgroups([])
    os.setgid(uid if gid is None else gid)
    os.setuid(uid)


def rename(name):
    """comm, as hex."""
    checked(libc.prctl(PR_SET_NAME, ctypes.create_string_buffer(bytes.fromhex(name)), 0, 0, 0))


def listen(address="127.0.0.1", port=0, dual=False, backlog=1024):
    server = socket.socket(family_of(address))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if dual:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((address, port))
    server.listen(backlog)
    sockets[server.fileno()] = server
    return {"fd": server.fileno(), "port": server.getsockname()[1]}


def listen_unbound():
    """The kernel chooses the port when it listens already."""
    server = socket.socket()
    server.listen()
    sockets[server.fileno()] = server
    return server.getsockname()[1]


def listen_many(address, port, count):
    """At one port of so many addresses, from this one on."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first = ipaddress.ip_address(address)
    for number in range(count):
        server = socket.socket()
        server.bind((str(first + number), port))
        server.listen(1)
        sockets[server.fileno()] = server


def refused_port(address="127.0.0.1", port=0):
    """A port that nobody listens on: bound, so that nobody else gets it."""
    server = socket.socket(family_of(address))
    server.bind((address, port))
    sockets[server.fileno()] = server
    return server.getsockname()[1]


def accept(fd):
    return kept(sockets[fd].accept()[0])


def connect(address, port, source=None, mapped=False):
    """mapped: over an IPv6 socket to the v4-mapped address."""
    client = socket.socket(socket.AF_INET6 if mapped else family_of(address))
    try:
        if source:
            client.bind((source, 0))
        client.connect((f"::ffff:{address}" if mapped else address, port))
    except OSError as error:
        client.close()
        return {"error": error.errno}
    return kept(client)


def attempt(address, port):
    """Begins to connect, and does not wait."""
    client = socket.socket(family_of(address))
    client.setblocking(False)
    sockets[client.fileno()] = client
    client.connect_ex((address, port))


def reconnect(refused, address, port):
    """A socket whose first try was refused connects to another port."""
    client = socket.socket(family_of(address))
    client.connect_ex((address, refused))
    client.connect((address, port))
    return kept(client)


def hold(count, address, port):
    """So many connections, kept open."""
    return [connect(address, port) for _ in range(count)]


def open_as(address, port, uid):
    """A connection whose socket was given to another user before it connected."""
    client = socket.socket(family_of(address))
    os.fchown(client.fileno(), uid, -1)
    client.connect((address, port))
    return kept(client) | {"uid": uid}


def give(fd, uid):
    """A socket belongs to whom its file was given."""
    os.fchown(fd, uid, -1)


def send(fd, count):
    sockets[fd].sendall(b"x" * count)


def say(fd, data, piece=0):
    """Bytes, as hex; with piece so many at a time, each at once."""
    data = bytes.fromhex(data)
    if not piece:
        sockets[fd].sendall(data)
        return
    sockets[fd].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), piece):
        sockets[fd].sendall(data[at:at + piece])


def send_file(fd, count):
    """The same from a file, by sendfile."""
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * count)
        file.seek(0)
        sockets[fd].sendfile(file)


def receive(fd, count):
    left = count
    while left:
        data = sockets[fd].recv(left)
        if not data:
            raise EOFError(f"{left} of {count} bytes missing")
        left -= len(data)


def timed_send(fd, count):
    """The moments before and after, in ns of CLOCK_MONOTONIC."""
    begin = time.monotonic_ns()
    sockets[fd].sendall(b"x" * count)
    return begin, time.monotonic_ns()


def timed_receive(fd, count):
    """The same, of one read or several."""
    begin = time.monotonic_ns()
    receive(fd, count)
    return begin, time.monotonic_ns()


def sends_each(fd, count, size):
    """So many segments: the kernel does not join what ends a record."""
    sockets[fd].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(count):
        sockets[fd].sendall(b"x" * size, socket.MSG_EOR)


def waiting(fd):
    """Bytes in the socket's queue."""
    answer = fcntl.ioctl(sockets[fd], termios.FIONREAD, bytes(4))
    return struct.unpack("i", answer)[0]


def receive_end(fd):
    """Reads to the end; how much came, or the errno."""
    try:
        return receive_all(sockets[fd])
    except OSError as error:
        return -error.errno


def chatter(fd, count):
    """Sends so many bytes again and again, as long as it goes; another thread reads what comes."""
    connection = sockets[fd]

    def send_forever():
        try:
            while True:
                connection.sendall(b"x" * count)
                time.sleep(0.001)
        except OSError:
            pass

    threading.Thread(target=send_forever, daemon=True).start()
    threading.Thread(target=receive_end, args=[fd], daemon=True).start()


def tcp_info(fd):
    """What getsockopt says, as hex."""
    return sockets[fd].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256).hex()


def shutdown(fd, how=socket.SHUT_WR):
    """No more from this side."""
    sockets[fd].shutdown(how)


def make(family="AF_INET"):
    """A socket that is nothing yet."""
    made = socket.socket(getattr(socket, family))
    sockets[made.fileno()] = made
    return made.fileno()


def bind(fd, address, port=0):
    sockets[fd].bind((address, port))


def port_of(fd):
    return sockets[fd].getsockname()[1]


def option(fd, level, name, value):
    """A socket option; value: a number, or bytes as hex."""
    value = bytes.fromhex(value) if isinstance(value, str) else value
    sockets[fd].setsockopt(level, name, value)


def use(fd, address, port):
    """Connects what was made before."""
    sockets[fd].connect((address, port))
    return describe(sockets[fd])


def raw_segment(laddr, lport, raddr, rport, seq, ack, flags):
    """A TCP segment that no socket has sent, of an IPv6 address: there the kernel makes the
    checksum."""
    header = struct.pack(">HHIIBBHHH", lport, rport, seq, ack, 5 << 4, flags, 1000, 0, 0)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, IPV6_CHECKSUM, 16)
        raw.bind((laddr, 0))
        raw.sendto(header, (raddr, 0))


def open_mailbox(path):
    box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    box.bind(path)
    sockets[box.fileno()] = box
    return box.fileno()


def pass_to(fd, path):
    """Hands a socket to the process with that mailbox, and keeps none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as post:
        post.connect(path)
        socket.send_fds(post, [b"x"], [fd])
    close(fd)


def take(box):
    """What was passed to the mailbox."""
    _, (fd,), _, _ = socket.recv_fds(sockets[box], 1, 1)
    return kept(socket.socket(fileno=fd))


def close(fd):
    sockets.pop(fd).close()


def reset(fd):
    """Aborts: close with a linger time of zero."""
    sockets[fd].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    close(fd)


def connects(count, address, port, payload=0, mapped=False):
    """Connects, sends payload, reads what the server answers to its end, closes; again."""
    done = []
    for _ in range(count):
        with socket.socket(
            socket.AF_INET6 if mapped else family_of(address)
        ) as client:
            client.connect((f"::ffff:{address}" if mapped else address, port))
            told = describe(client)
            client.sendall(b"x" * payload)
            client.shutdown(socket.SHUT_WR)
            told["received"] = receive_all(client)
            told["sent"] = payload
            done.append(told)
    return done


def failures(count, address, port):
    for _ in range(count):
        with socket.socket(family_of(address)) as client:
            client.connect_ex((address, port))


def serve_one(connection, answer):
    with connection:
        told = describe(connection)
        told["received"] = receive_all(connection)
        connection.sendall(b"y" * answer)
        told["sent"] = answer
    os.write(served_pipe[1], json.dumps(told).encode() + b"\n")


def serve_forever(server, answer):
    while True:
        serve_one(server.accept()[0], answer)


def fork_server(server, answer, uid=None):
    """A worker that lives as long as this process."""
    pid = os.fork()
    if pid:
        return pid
    if uid is not None:
        become(uid)
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    os.close(0)
    serve_forever(server, answer)
    return None


def serve(fd, mode="thread", workers=1, answer=0, uid=None):
    """Accepts and answers until the process ends: in threads, or in forked workers that
    may become another user. The pids that accept."""
    global served_pipe
    if not served_pipe:
        served_pipe = os.pipe()
        fcntl.fcntl(served_pipe[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    if mode == "fork":
        return [fork_server(sockets[fd], answer, uid) for _ in range(workers)]
    for _ in range(workers):
        thread = threading.Thread(
            target=serve_forever, args=(sockets[fd], answer), daemon=True
        )
        thread.start()
    return [os.getpid()]


def served(count):
    """What the servers did, count connections of it."""
    with os.fdopen(os.dup(served_pipe[0]), "rb", buffering=0) as pipe:
        return [json.loads(read_line(pipe)) for _ in range(count)]


def read_line(pipe):
    line = b""
    while not line.endswith(b"\n"):
        line += pipe.read(1)
    return line


def drop_served():
    """Somebody must empty the pipe when nobody asks what was served."""

    def drain():
        while os.read(served_pipe[0], 65536):
            pass

    threading.Thread(target=drain, daemon=True).start()


def whoami():
    with open("/proc/self/comm", "rb") as comm:
        return {"pid": os.getpid(), "uid": os.getuid(), "comm": comm.read()[:-1].hex()}


COMMANDS = [
    enter, become, rename, listen, listen_many, listen_unbound, refused_port, accept, connect,
    attempt, reconnect, hold, open_as, give, send, say, send_file, receive, timed_send, timed_receive,
    sends_each, waiting, receive_end, chatter, tcp_info, shutdown, make, bind, port_of, option,
    use, raw_segment, open_mailbox, pass_to, take, close, reset, connects, failures, serve, served, drop_served,
    whoami,
]


def main():
    commands = {command.__name__: command for command in COMMANDS}
    for line in sys.stdin:
        name, options = json.loads(line)
        try:
            answer = {"ok": commands[name](**options)}
        except Exception as error:  # told to the test, which fails with it
            answer = {"error": f"{name}: {error!r}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
