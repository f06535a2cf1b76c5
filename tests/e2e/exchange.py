# SPDX-License-Identifier: GPL-2.0-only
"""HTTP as fast as it goes, for tests that count: `exchange.py serve PORT` says when it listens
and answers each request /NAME/NUMBER/STATUS with that status until stdin ends. `exchange.py ask
PORT NAME COUNT SEED WINDOW` asks that often, on connections that come and go, up to WINDOW requests
at a time, and says which port asked for which numbers: lines of PORT FIRST COUNT."""

import random
import selectors
import socket
import sys

END = b"\r\n\r\n"


def respond(waiting):
    """The responses to the requests that are complete, and what is left."""
    *heads, rest = waiting.split(END)
    said = b""
    for head in heads:
        target = head.split(b" ", 2)[1]
        said += b"HTTP/1.1 %s Told\r\nContent-Length: %d\r\n\r\n%s" % (
            target.rsplit(b"/", 1)[1], len(target), target)
    return said, rest


def serve(port):
    ready = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print("listening", flush=True)
    ready.register(listener, selectors.EVENT_READ)
    ready.register(sys.stdin, selectors.EVENT_READ)
    waiting = {}
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                client = listener.accept()[0]
                ready.register(client, selectors.EVENT_READ)
                waiting[client] = b""
                continue
            data = key.fileobj.recv(65536)
            if not data:
                ready.unregister(key.fileobj)
                key.fileobj.close()
                del waiting[key.fileobj]
                continue
            said, waiting[key.fileobj] = respond(waiting[key.fileobj] + data)
            key.fileobj.sendall(said)


def receive(client, left):
    """So many responses; they have a body, but no empty line in it."""
    while left > 0:
        left -= client.recv(65536).count(END)


def status_of(number):
    return 200 + number * 7 % 300


def ask(port, name, count, seed, window):
    choose, number = random.Random(seed), 0
    while number < count:
        first = number
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(choose.choice([1, 1, 2, 20])):
                batch = min(choose.randint(1, window), count - number)
                for _ in range(batch):
                    client.sendall(f"GET /{name}/{number}/{status_of(number)} HTTP/1.1\r\n"
                                   f"Host: {name}\r\n\r\n".encode())
                    number += 1
                receive(client, batch)
            print(client.getsockname()[1], first, number - first)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        port, name, count, seed, window = sys.argv[2:]
        ask(int(port), name, int(count), int(seed), int(window))
