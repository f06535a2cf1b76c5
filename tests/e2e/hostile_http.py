# SPDX-License-Identifier: GPL-2.0-only
"""Traffic with hostile HTTP in it, and its own count of it: hostile_http.py PORT REFUSED SECONDS.
Both ends are this process. Prints one JSON object; depends on nothing of netwatch."""

import json
import socket
import sys
import threading
import time

MEAN = [
    b'/"', b"/\\", b'/\\"', b"/a}\" 1 x{y=\"", b"/\xff\xfe", b"/\xc3\xa9", b"/\xe2\x80\xae",
    b"/\x01\x02\x1b[2J\x7f", b"/\t", b"/" + b"q" * 8192, b"/" + b'"\\' * 4096,
    b"/" + b"\xff" * 4000, b"/%0a%0d", b"*", b"http://u:p@h/\"", b"/#\"",
]
# method, target, status line of the answer: what must be told, each once
PLAIN = [
    (b"POST", b"/plain", b"201 Created"),
    (b"DELETE", b"/plain", b'404 "not\\ here"'),
    (b"GET", b"/plain", b"503 \xff\x1b[31m"),
]
HOSTILE = [(b"GET", target, b"200 OK") for target in MEAN] + [
    (b'X"Y', b"/", b"200 OK"), (b"get", b"/", b"200 OK"), (b"PUT", b"/", b'999 "}'),
    (b"M" * 300, b"/", b"200 OK"), (b"PUT", b"/", b"20 OK"), (b"PUT", b"/\r\nX: \n", b"200 OK"),
]


def read_head(connection):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    return data


class Traffic:
    def __init__(self, port, refused):
        self.port, self.refused = port, refused
        self.counts = {"connections": 0, "refused": 0, "bytes": 0, "plain": {}}
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind(("127.0.0.1", port))
        self.server.listen(64)

    def answer(self, status):
        connection, _ = self.server.accept()
        with connection:
            read_head(connection)
            connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            connection.recv(1)  # until the client has closed

    def ask(self, method, target, status):
        thread = threading.Thread(target=self.answer, args=(status,))
        thread.start()
        request = method + b" " + target + b" HTTP/1.1\r\nHost: h.test\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(request)
            answer = read_head(client)
        thread.join()
        self.counts["connections"] += 1
        self.counts["bytes"] += len(request) + len(answer)

    def refuse(self):
        with socket.socket() as client:
            self.counts["refused"] += client.connect_ex(("127.0.0.1", self.refused)) != 0

    def round(self):
        for row in HOSTILE:
            self.ask(*row)
        for method, target, status in PLAIN:
            self.ask(method, target, status)
            key = f"{method.decode()} {status[:3].decode()}"
            self.counts["plain"][key] = self.counts["plain"].get(key, 0) + 1
        self.refuse()


def main():
    port, refused, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    traffic = Traffic(port, refused)
    end = time.monotonic() + seconds
    while True:
        traffic.round()
        if time.monotonic() >= end:
            break
        time.sleep(0.05)
    print(json.dumps(traffic.counts))


if __name__ == "__main__":
    main()
