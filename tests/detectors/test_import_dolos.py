"""Published weights of the paper's Patches as a run folder: the same maps, and one sentence for any other file."""

import numpy as np
import pytest
import torch
from factories import published_patches
from safetensors.torch import save_file

from wsdl.core.io import WsdlError
from wsdl.core.run import is_done
from wsdl.detectors import initialization, load_detector
from wsdl.detectors.import_dolos import import_dolos
from wsdl.detectors.patches import Patches
from wsdl.evaluation.evaluate import evaluate

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def trained():
    """A detector whose running statistics and head are not those of initialisation."""
    torch.manual_seed(3)
    model = Patches(299, has_masks=True)
    with torch.no_grad():
        model.train().logits(model.prepare(IMAGES))
    return model.eval()


def write(path, given: dict):
    torch.save(given, path)
    return path


@pytest.mark.parametrize("key", [None, "model", "state_dict"])
def test_an_imported_detector_gives_the_same_maps(trained, tmp_path, key):
    given = published_patches(trained)
    file = write(tmp_path / "patches.pth", {key: given, "optimizer": {}} if key else given)
    import_dolos(file, tmp_path / "run")
    assert is_done(tmp_path / "run")
    imported = load_detector(tmp_path / "run")
    x = trained.prepare(IMAGES)
    with torch.no_grad():
        assert torch.equal(imported.logits(x), trained.logits(x))
    assert np.array_equal(imported.predict(IMAGES).maps, trained.predict(IMAGES).maps)


def test_older_files_have_no_counters_and_newer_are_safetensors(trained, tmp_path):
    given = {f"module.{name}": t.contiguous() for name, t in published_patches(trained).items() if t.ndim}
    save_file(given, tmp_path / "patches.safetensors")
    import_dolos(tmp_path / "patches.safetensors", tmp_path / "run", "a")
    imported = load_detector(tmp_path / "run")
    assert torch.equal(imported.head.weight, trained.head.weight)
    assert imported.lanczos  # setup A


def test_an_imported_run_is_evaluated_like_any_other(trained, tmp_path, dataset):
    import_dolos(write(tmp_path / "patches.pth", published_patches(trained)), tmp_path / "run")
    row = evaluate(tmp_path / "run", dataset)["rows"][0]
    assert (row["method"], row["setup"]) == ("patches", "c")


def test_label_setups_do_not_start_from_imported_masks(trained, tmp_path):
    import_dolos(write(tmp_path / "patches.pth", published_patches(trained)), tmp_path / "run")
    with pytest.raises(WsdlError, match="was trained with masks"):
        initialization.find_initial_weights(str(tmp_path / "run"), has_masks=False)


def changed(given: dict, **changes) -> dict:
    """`given` with other tensors; None removes one."""
    return {name: t for name, t in (given | changes).items() if t is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"convout.weight": None}, r"convout\.weight is missing; give weights of the paper's Patches"),
        ({"convout.bias": torch.zeros(3)}, r"convout\.bias has the shape \(3,\), not \(2,\)"),
        ({"fc.weight": torch.zeros(2)}, r"fc\.weight is unknown"),
        ({"fc.weight": torch.zeros(2), "conv1.weight": None}, r"conv1\.weight is missing \(and 1 more\)"),
        ({"convout.bias": torch.tensor([0.0, torch.nan])}, r"convout\.bias holds NaN"),
    ],
)
def test_other_tensors_are_one_sentence(trained, tmp_path, changes, words):
    file = write(tmp_path / "patches.pth", changed(published_patches(trained), **changes))
    with pytest.raises(WsdlError, match=f"patches.pth: {words}"):
        import_dolos(file, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_other_files_are_one_sentence(trained, tmp_path):
    (tmp_path / "text.pth").write_text("not weights")
    write(tmp_path / "empty.pth", {"epoch": 3})
    torch.save(trained, tmp_path / "code.pth")  # a pickled module could run code
    for name, words in (
        ("text.pth", "is no valid file of PyTorch"),
        ("code.pth", "does not hold tensors and plain values alone"),
        ("empty.pth", "holds no tensors by name"),
        ("none.pth", "no such file"),
    ):
        with pytest.raises(WsdlError, match=f"{name}: .*{words}.*; .*give weights of the paper's Patches"):
            import_dolos(tmp_path / name, tmp_path / "run")


def test_another_file_does_not_replace_an_imported_one(trained, tmp_path):
    given = published_patches(trained)
    import_dolos(write(tmp_path / "one.pth", given), tmp_path / "run")
    import_dolos(tmp_path / "one.pth", tmp_path / "run")
    with pytest.raises(WsdlError, match=r"was begun with start = .*one\.pth"):
        import_dolos(write(tmp_path / "two.pth", changed(given, **{"convout.bias": torch.ones(2)})), tmp_path / "run")
