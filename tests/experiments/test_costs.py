"""What a grid costs: what is left of every stage, in images, network calls, hours and disk."""

import pytest
from factories import C0

from wsdl.core.io import WsdlError
from wsdl.experiments import costs
from wsdl.experiments.costs import describe_costs, format_bytes, timed_generator
from wsdl.experiments.grid import make_grid
from wsdl.experiments.study import Study
from wsdl.generators.diffusion.repaint import repaint_calls


def rows(text: str) -> dict[str, list[str]]:
    """Stage -> its numbers."""
    lines = [line.replace(" MB", "MB").split() for line in text.splitlines()[1:]]
    return {" ".join(words[:-4]): words[-4:] for words in lines}


def test_fakes_trainings_and_their_total(words, tmp_path):
    grid = make_grid(**words, out=tmp_path / "out")
    found = rows(describe_costs(grid, {"made-up": 3600.0}, {C0: 1800.0}))
    calls = 48 * repaint_calls(4, 1, 1)  # 48 partial fakes; 16 full ones with 2 calls each
    assert found["made-up: p2"][:3] == ["16", "32", f"{32 / (32 + calls):.2f}"]
    assert found["made-up: repaint-p2"][:3] == ["48", str(calls), f"{calls / (32 + calls):.2f}"]
    assert found[grid.name(C0)][:3] == ["320", "0", "0.50"]
    assert found["total"][:3] == [str(16 + 48 + 320), str(32 + calls), "1.50"]


def test_what_exists_is_not_counted(words, tmp_path):
    grid = make_grid(**words, out=tmp_path / "out")
    folder = grid.at("made-up").data / "fake" / "p2" / "train"
    folder.mkdir(parents=True)
    for number in range(6):
        (folder / f"{number}.png").write_bytes(b"1234")
    assert rows(describe_costs(grid, {"made-up": 1.0}, {}))["made-up: p2"][0] == "10"
    assert describe_costs(grid, {}, {}) == ""


def test_disk_at_the_size_of_the_paper(tmp_path):
    """41,500 partial and 10,000 full fakes of 256 px: 10 GB decoded, and masks."""
    from wsdl.profiles import load_profile

    study = Study(tmp_path, load_profile("full"), "photos", images=str(tmp_path))
    full, partial, decoded = costs._fake_rows(study, 3600.0)
    assert (full[1:3], partial[1:3]) == ((10_000, 2_500_000), (41_500, 41_500 * 2_410))
    assert decoded[-1] == 256 * 256 * (3 * 51_500 + 41_500)
    assert format_bytes(decoded[-1]) == "12.8 GB"


def test_weights_that_are_not_here_are_timed_at_random(tmp_path, monkeypatch, capsys):
    def refuse(study):
        raise WsdlError("no connection.")

    monkeypatch.setattr(Study, "generator", refuse)
    monkeypatch.setattr(costs, "UNet2DModel", lambda **_: costs.pd)  # 113.7 M parameters
    monkeypatch.setattr(costs, "FullUNet", lambda unet: unet)
    monkeypatch.setattr(costs, "P2", lambda unet, size: (unet, size))
    from wsdl.profiles import load_profile

    study = Study(tmp_path, load_profile("full"), "photos", images=str(tmp_path))
    assert timed_generator(study) == (costs.pd, 256)
    assert "no connection. Its calls are timed with random weights." in capsys.readouterr().err
    with pytest.raises(WsdlError, match="no connection"):
        timed_generator(Study(tmp_path, load_profile("quick"), "made-up"))
