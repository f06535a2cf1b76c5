# SPDX-License-Identifier: GPL-2.0-only
"""The live page of netwatch export: what it tells, in which form, and to whom."""

import json
import re
import shutil
import subprocess

import pytest

from exporter import Export, Traffic, export, shared_export
from harness import ALICE, DEADLINE_S, wait_until

assert export and shared_export


def live_path(exporter):
    wait_until(lambda: "live page" in exporter.client.err.text(), "it tells the live page")
    return re.search(r"live page: http://127\.0\.0\.1:\d+(/live/[0-9a-f]{32}/)\n",
                     exporter.client.err.text())[1]


def look(exporter, path, after=""):
    status, headers, text = exporter.request(path=f"{path}events?after={after}")
    assert status == 200 and headers["Content-Type"] == "application/json"
    return json.loads(text)


def test_live_events(place, export, netwatch):
    """From when somebody looks on: the same objects as the stream has, but for reports."""
    traffic = Traffic(place)
    exporter = export(*traffic.ports(), uid=ALICE)
    path = live_path(exporter)
    begin = look(exporter, path)
    assert begin == {"events": [], "missed": 0, "next": 1}
    stream = netwatch("subscribe", "--events", "conn,http,error,retransmit", "-a", "--no-existing",
                      "-v", "-o", "json", *traffic.ports(), uid=ALICE).wait_subscribed()
    traffic.start()
    traffic.finish()
    wanted = stream.stopped_events()
    wait_until(lambda: look(exporter, path)["next"] > len(wanted), "all have come")
    seen, after = [], begin["next"]
    while answer := look(exporter, path, after):
        assert not answer["missed"]
        seen += answer["events"]
        after = answer["next"]
        if not answer["events"]:
            break
    assert len(seen) == len(wanted) > 100

    def key(event):
        return json.dumps(event, sort_keys=True)

    assert sorted(map(key, seen)) == sorted(map(key, wanted))


def test_live_page(place, export):
    """Its script fills the table; what it got is text, and hides nothing."""
    node = shutil.which("node")
    if not node:
        pytest.skip("NOT TRIED: the script of the live page; there is no node")
    traffic = Traffic(place)
    exporter = export(*traffic.ports(), uid=ALICE)
    path = live_path(exporter)
    page = subprocess.Popen(
        [node, place.path / "live_page.js", f"http://127.0.0.1:{exporter.port}{path}", "50"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    line = page.stdout.readline()
    assert line == "looking\n", page.communicate()
    traffic.start()
    traffic.finish()
    out, err = page.communicate(timeout=DEADLINE_S)
    assert page.returncode == 0, err
    rows = json.loads(out)
    assert all(len(row) == 7 for row in rows)
    assert {row[1] for row in rows} >= {"conn", "http"}
    assert any(row[2] == "ESTABLISHED" and f"127.0.0.1:{traffic.port}" in row[3:5] for row in rows)
    assert any('target=/"' in row[6] for row in rows)
    assert not any(re.search("[\0-\x1f\x7f-\x9f\u202a-\u202e]", cell) for row in rows for cell in row)


def test_live_misses(export, actor):
    """More than it keeps: it says how many are missing."""
    client = actor(uid=ALICE)
    port = client.refused_port()
    exporter = export("--port", port, "--events", "conn", uid=ALICE)
    path = live_path(exporter)
    begin = look(exporter, path)["next"]
    client.failures(count=700, address="127.0.0.1", port=port)
    exporter.wait_value(700, "netwatch_tcp_connects_total", result="refused")
    answer = look(exporter, path, begin)
    assert len(answer["events"]) == 1024 and answer["missed"] == 1400 - 1024
    assert answer["next"] == begin + 1400


def test_who_may_look(shared_export):
    """Who knows the address, by an address; nobody else, and with nothing from elsewhere."""
    path = live_path(shared_export)
    status, headers, text = shared_export.request(path=path)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script>|<style|style=|\bon\w+=|https?:", text)
    for name in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert shared_export.request(path=path + name)[0] == 200
    wrong = "f" if path[6] != "f" else "e"
    for other in (
        "/live", "/live/", "/live/x", f"/live/{wrong}{path[7:]}", path[:-1], f"{path[:-2]}{wrong}/",
        path + "x", path + "../../metrics", f"/live/{'0' * 32}/events", path[:20] + "/",
    ):
        status, _, text = shared_export.request(path=other)
        assert status == (404 if other != path[:-2] + path[-2] + "/" else 200), other
    for name in "", "events", "page.js":
        assert shared_export.request(path=path + name, Host="evil.test")[0] == 403
        assert shared_export.request("POST", path=path + name)[0] == 405
    for after in "-1", "x", "99999999999999999999", "0", "1&x=2":
        assert look(shared_export, path, after)["events"] == []


def test_no_live_page_beyond_the_loopback(netwatch):
    client = netwatch("export", "--listen", "0.0.0.0:0", "-v", "--port", "1").wait_subscribed()
    exporter = Export(client)
    assert exporter.request()[0] == exporter.request(Host="any.test")[0] == 200
    assert exporter.request(path="/live/")[0] == 404 and "live" not in client.err.text()
    assert client.stop() == 0
