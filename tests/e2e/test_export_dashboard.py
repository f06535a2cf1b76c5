# SPDX-License-Identifier: GPL-2.0-only
"""Grafana's dashboard and the alert rules in doc: they ask for what netwatch export serves."""

import json
import re
from pathlib import Path

import prometheus
from exporter import export

assert export

DOC = Path(__file__).resolve().parents[2] / "doc"


def dashboard():
    return json.loads((DOC / "netwatch-dashboard.json").read_text())


def dashboard_queries():
    """Expressions of all panels and variables, with Grafana's variables filled in."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if "expr" in node:
                found.append(node["expr"])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(dashboard())
    assert len(found) >= 10
    for name, text in ("$__rate_interval", "1m"), ("$instance", ".*"), ("$job", ".*"):
        found = [expression.replace(name, text) for expression in found]
    assert not any("$" in expression for expression in found)
    return found


def rule_queries():
    """Of each rule, with its lines joined."""
    text = (DOC / "netwatch.rules.yml").read_text()
    found = re.findall(r"^( +)(?:- )?expr: (?:\|-?\n((?:\1 +.*\n)+)|(.*)\n)", text, re.M)
    assert len(found) >= 5
    return [" ".join((block or line).split()) for _, block, line in found]


def test_rules():
    said = prometheus.check_rules(DOC / "netwatch.rules.yml")
    assert f"{len(rule_queries())} rules found" in said, said


def test_dashboard_queries(tmp_path):
    rules = [{"record": f"query:{i}", "expr": text} for i, text in enumerate(dashboard_queries())]
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    prometheus.check_rules(path)


def test_queries_name_what_is_served(export):
    """Every metric, and every label that they ask for."""
    _, types = prometheus.read(export("--port", 1).scrape())
    served = prometheus.names(types) | {"up"}
    for expression in dashboard_queries() + rule_queries():
        named = re.findall(r"\b(?:netwatch|http)_\w+(?=[{\[ )]|$)", expression)
        named = [name for name in named if not name.startswith("http_re")]  # labels
        assert named, expression
        assert set(named) <= served, expression


def test_dashboard_is_whole():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    for panel in panels:
        assert panel["title"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
