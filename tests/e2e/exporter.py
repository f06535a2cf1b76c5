# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of netwatch export share: a running one, and HTTP traffic of a user."""

import http.client
import json
import os
import re
import subprocess

import pytest

import prometheus
from harness import ALICE, PYTHON, Client, Collector, wait_until
from prometheus import value

SCRAPED_S = float(os.environ.get("NETWATCH_PROMETHEUS_S", "4"))
SERVING = r"serving http://(?:[\d.]+|\[::1\]):(\d+)/metrics\n"


class Export:
    """A running netwatch export, of which the client is the process."""

    def __init__(self, client):
        self.client = client
        wait_until(lambda: re.search(SERVING, client.err.text()), "it serves")
        self.port = int(re.search(SERVING, client.err.text())[1])

    def request(self, method="GET", path="/metrics", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def scrape(self):
        status, _, text = self.request()
        assert status == 200, text
        return text

    def samples(self):
        return prometheus.read(self.scrape())[0]

    def value(self, name, **labels):
        return value(self.samples(), name, **labels)

    def wait_value(self, wanted, name, **labels):
        wait_until(lambda: self.value(name, **labels) == wanted, f"{name} {labels} is {wanted}")


@pytest.fixture
def export(netwatch):
    """A live one, at a port that was free."""

    def start(*options, **more):
        client = netwatch("export", "--listen", "127.0.0.1:0", "-v", *options, **more)
        return Export(client.wait_subscribed())

    return start


@pytest.fixture(scope="module")
def shared_export(request):
    """With a collector of its own: the tests' must have no subscriber in between."""
    place = request.config.netwatch_place
    collector = Collector(place)
    client = Client(place, collector.socket, "export", "--listen", "127.0.0.1:0", "--port", "1")
    yield Export(client)
    assert client.stop() == 0
    collector.stop()


class Traffic:
    """hostile_http.py, of ALICE."""

    def __init__(self, place, seconds=0):
        self.port, self.refused = prometheus.free_port(), prometheus.free_port()
        self.command = [PYTHON, place.path / "hostile_http.py", str(self.port), str(self.refused),
                        str(seconds)]

    def ports(self):
        return "--port", f"{self.port},{self.refused}"

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, user=ALICE, group=ALICE, extra_groups=[], cwd="/",
        )

    def finish(self):
        out, _ = self.process.communicate(timeout=SCRAPED_S + 120)
        assert self.process.returncode == 0
        return json.loads(out)
