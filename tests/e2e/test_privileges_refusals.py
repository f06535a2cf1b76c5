# SPDX-License-Identifier: GPL-2.0-only
"""What the collector needs of its surroundings, taken away: one sentence and an exit code
where it cannot start, a word on what is missing where it can."""

import pytest

import harness
import wire
from privileges import NO_BTF, NO_CGROUPS, mounted, run_collector, without_capabilities

CHECK = "cgroup v2"


def check_refused(place, path, code, *named):
    done = run_collector(place, "--socket", path / "sock")
    assert done.returncode == code and not done.stdout, done
    assert done.stderr.count("\n") == 1, done
    for words in named:
        assert words in done.stderr, done
    assert not list(path.iterdir())


@pytest.mark.kernels
def test_no_btf(place, tmp_path):
    check_refused(mounted(place, NO_BTF), tmp_path, 78, "no BTF", "/sys/kernel/btf/vmlinux")


@pytest.mark.kernels
def test_root_without_capabilities(place, tmp_path):
    check_refused(without_capabilities(place), tmp_path, 77, "not permitted", "CAP_BPF")


@pytest.fixture
def bare(place):
    """A place without cgroup v2, and a collector that runs there."""
    place = mounted(place, NO_CGROUPS)
    place.collector_runs = harness.Collector(place)
    yield place
    place.collector_runs.stop()


def test_no_cgroups(bare, subscribe, actor):
    """It serves, says what becomes of it, and the client there too."""
    collector = bare.collector_runs
    row, = (row for row in wire.check(collector.socket).facility if row.name == CHECK)
    assert not row.usable and "no cgroup2" in row.reason, row
    assert "--cgroup" in row.without, row
    server, client = actor(), actor()
    port = server.server()
    here = subscribe("-a", "--dport", port, socket=collector.socket)
    there = harness.Client(
        bare, collector.socket, *harness.CONN, "-v", "-a", "-o", "json", "--dport", port
    )
    try:
        there.wait_subscribed()
        client.connects(count=2, address="127.0.0.1", port=port)
        for watch in here, there:
            assert all("cgroup_id" in event["connection"] for event in watch.wait_events(6))
        assert all("cgroup" in event["connection"] for event in here.stopped_events())
        assert not any("cgroup" in event["connection"] for event in there.stopped_events())
    finally:
        there.kill()
    for path in "/sys/fs/cgroup", "/", "nw-test":
        refused = harness.Client(bare, collector.socket, "subscribe", "--cgroup", path)
        assert refused.wait() == 2 and not refused.out.lines, refused
        assert "no cgroup2 file system is mounted" in refused.err.text(), refused
