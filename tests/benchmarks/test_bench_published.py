"""`bench published`: measured, quoted and missing rows are told apart; the numbers are those of the metrics."""

import io
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch
from factories_published import write_noiseprint_weights
from helpers import run_command
from PIL import Image

from wsdl.benchmarks.localize import score_triples
from wsdl.benchmarks.published import (
    COLUMNS,
    MEASURED,
    NOT_GIVEN,
    NOT_INSTALLED,
    QUOTED,
    bench_published,
    format_published,
)
from wsdl.benchmarks.published_cost import RANDOM, bench_cost, measure_cost
from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.detectors.published import PUBLISHED, load_published
from wsdl.evaluation.baselines import BASELINES, row_label
from wsdl.evaluation.metrics import iou


class Half:
    """Marks the upper half of every image."""

    licence = "none"

    def predict(self, images):
        maps = np.zeros((len(images), 8, 8), np.float32)
        maps[:, :4] = 1
        return Prediction(maps, np.arange(len(images), dtype=np.float32))


@pytest.fixture
def half(monkeypatch):
    only = dict.fromkeys(PUBLISHED) | {"noiseprint": Half()}
    monkeypatch.setattr("wsdl.benchmarks.published.find_published", lambda folder: only)


@pytest.mark.usefixtures("half")
def test_rows_are_measured_quoted_or_without_weights(dataset, tmp_path):
    table = bench_published([dataset], tmp_path)
    assert list(table.method[: len(PUBLISHED)]) == list(PUBLISHED)
    by_kind = table.groupby("numbers").method.apply(list)
    assert by_kind[MEASURED][0] == "noiseprint"
    assert len(by_kind[MEASURED]) == 1 + len(BASELINES)
    assert by_kind[NOT_GIVEN] == ["mantranet", "psccnet", "trufor", "hifi-net"]
    assert set(table.on[table.numbers == MEASURED]) == {Dataset(dataset).info["name"]}
    assert set(table.on[table.numbers == QUOTED]) == {"repaint-p2, celebahq", "coco-glide"}
    assert table[table.numbers == QUOTED].ap.isna().all()
    assert table[table.numbers == NOT_GIVEN].iou.isna().all()


@pytest.mark.usefixtures("half")
def test_a_measured_row_has_the_iou_of_its_maps(dataset, tmp_path):
    data = Dataset(dataset)
    fakes = data.select(kind="partial", split="test").index
    half = np.zeros((data.size, data.size), np.uint8)
    half[: data.size // 2] = 1
    expected = np.mean([iou(half, np.asarray(data.masks[i], np.uint8)) for i in fakes])
    table = bench_published([dataset], tmp_path)
    row = table[table.numbers == MEASURED].set_index("method").loc["noiseprint"]
    assert row.iou == pytest.approx(100 * expected, abs=3)  # BICUBIC moves the border of the marked half
    assert row.iou_low <= row.iou <= row.iou_high
    assert row.n == len(fakes)


def test_weights_that_are_given_for_a_package_that_is_missing(dataset, triples, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "IMDLBenCo", None)
    (tmp_path / "weights/trufor").mkdir(parents=True)
    torch.save({"state_dict": {"layer": torch.zeros(2)}}, tmp_path / "weights/trufor/trufor.pth.tar")
    table = bench_published([dataset], tmp_path / "weights", triples=triples)
    reasons = table[table.on.isin(["mine", Dataset(dataset).info["name"]])].groupby("method").numbers.apply(set)
    assert reasons["trufor"] == {NOT_INSTALLED}
    assert reasons["psccnet"] == {NOT_GIVEN}


@pytest.fixture
def triples(dataset, tmp_path):
    """Three test fakes of the dataset with their real faces, as triples of one set."""
    data = Dataset(dataset)
    fakes = data.select(kind="partial", split="test").head(3)
    for i, source in zip(fakes.index, data.source_index(fakes), strict=True):
        for part, pixels in (("real", data.images[source]), ("fake", data.images[i]), ("mask", 255 * data.masks[i])):
            (tmp_path / "triples/mine" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / "triples/mine" / part / f"{i}.png")
    return tmp_path / "triples"


@pytest.mark.usefixtures("no_parser")
def test_triples_and_our_detectors_have_rows(dataset, triples, run_folder):
    table = bench_published([dataset], None, detectors=[run_folder], triples=triples)
    rows = table[table.on == "mine"].set_index("method")
    images = score_triples(triples, (str(run_folder),))
    of = images[images.method == str(run_folder)]
    assert rows.iou[str(run_folder)] == pytest.approx(100 * of.iou.mean(), abs=0.1)
    assert rows.pbca["baseline: all-real"] == pytest.approx(100 - rows.pbca["baseline: all-fake"])
    assert (rows.numbers["trufor"], rows.n["baseline: random"]) == (NOT_GIVEN, 3)
    measured = table[(table.on != "mine") & (table.numbers == MEASURED)]
    assert list(measured.method) == [run_folder, *map(row_label, BASELINES)]


def test_markdown_has_a_column_per_dataset_and_quotes_apart():
    row = {"method": "trufor", "numbers": MEASURED, "on": "mine", "iou": 20.0, "iou_low": 10.0, "iou_high": 30.0}
    quoted = {"method": "trufor", "numbers": QUOTED, "on": "coco-glide", "iou": 29.2, "pbca": 81.4}
    missing = {"method": "psccnet", "numbers": NOT_GIVEN, "on": "mine"}
    text = format_published(pd.DataFrame([row | {"pbca": 80.0}, missing, quoted], columns=COLUMNS))
    assert "| method | mine |" in text
    assert "| trufor | 20.0 (10.0 to 30.0) / 80.0 |" in text
    assert "| psccnet | weights not given |" in text
    assert text.index("Stated by the paper") < text.index("| trufor | 29.2 / 81.4 |")


def test_the_cost_of_each_method_and_of_which_weights(tmp_path, capsys, monkeypatch):
    names = "noiseprint", "trufor", "hifi-net"  # a process each
    monkeypatch.setattr("wsdl.benchmarks.published_cost.PUBLISHED", names)
    weights = write_noiseprint_weights(tmp_path / "noiseprint", (101,)).parent
    table = bench_cost(weights, images=1, size=64).set_index("method")
    assert table.numbers["noiseprint"] == MEASURED
    assert table.images_per_second["noiseprint"] == pytest.approx(1 / table.seconds["noiseprint"])
    assert 100 < table.peak_mb["noiseprint"] < 10_000
    assert table.numbers["hifi-net"] == RANDOM
    expected = RANDOM if find_spec("IMDLBenCo") else NOT_INSTALLED
    assert table.numbers["trufor"] == expected
    assert table.seconds[table.numbers == NOT_INSTALLED].isna().all()
    assert "research and other use without profit" in capsys.readouterr().err


def test_the_cost_with_damaged_weights_names_the_file(tmp_path):
    weights = write_noiseprint_weights(tmp_path / "noiseprint", (101,))
    next(weights.glob("*.pth")).write_bytes(b"damaged")
    with pytest.raises(WsdlError, match=r"model_qf101\.pth"):
        measure_cost("noiseprint", weights, 1, 64)


def test_the_cost_without_weights_is_that_of_random_ones():
    assert measure_cost("noiseprint", None, 1, 64)["numbers"] == RANDOM


def test_the_command_prints_either_table(dataset, tmp_path, half, monkeypatch):
    printed = run_command("bench", "published", "--weights", tmp_path, "--data", dataset)
    assert set(pd.read_csv(io.StringIO(printed)).numbers) == {MEASURED, QUOTED, NOT_GIVEN}
    monkeypatch.setattr("wsdl.benchmarks.published_cost.PUBLISHED", ())
    assert "images_per_second" in run_command("bench", "published")


def test_a_missing_folder_is_one_sentence(dataset):
    with pytest.raises(WsdlError, match="nowhere: no such folder; give that of the published weights by --weights"):
        bench_published([dataset], "nowhere")


def test_methods_are_loaded_once(tmp_path):
    folder = write_noiseprint_weights(tmp_path, (101,))
    assert load_published("noiseprint", folder) is load_published("noiseprint", str(folder))
