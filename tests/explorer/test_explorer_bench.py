"""The benchmark of the explorer: its table, and its error without a browser."""

import pytest
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.benchmarks import explorer as bench_explorer
from wsdl.benchmarks.explorer import find_chromium
from wsdl.core.io import WsdlError


def test_without_a_browser_there_is_an_error(monkeypatch):
    monkeypatch.setattr(bench_explorer, "BROWSERS", ("no-such-browser",))
    with pytest.raises(WsdlError, match="Chromium"):
        bench_explorer.bench_explorer(size=32, steps=2)


def test_ratios_are_to_the_baseline():
    table = bench_explorer.latency_table({"slow": [100, 300, 200], "fast": [2, 4, 6]})
    assert table["median ms"].tolist() == [200, 4]
    assert table["times faster"].tolist() == [1, 50]


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; the benchmark of the explorer was not run")
def test_it_prints_every_loop():
    printed = CliRunner().invoke(app, ["bench", "explorer", "--size", "64", "--steps", "10"], catch_exceptions=False)
    assert printed.exit_code == 0
    lines = printed.stdout.splitlines()
    assert lines[0].split() == ["loop", "median", "ms", "p95", "ms", "least", "ms", "times", "faster"]
    assert [line.split(",")[0].strip() for line in lines[1:]] == ["interactive + matplotlib", "explorer", "explorer"]
