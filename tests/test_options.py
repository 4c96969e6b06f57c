"""Numbers out of range on the command line: exit code 2, the option in the message, nothing written."""

import pytest
from typer.testing import CliRunner

from wsdl.__main__ import app

OUT_OF_RANGE = [
    "generate p2 --count 0",
    "generate p2 --count -1",
    "generate p2 --steps -3",
    "generate p2 --batch 0",
    "generate repaint-p2 --T 0",
    "generate repaint-p2 --jump-length 0",
    "generate repaint-p2 --resamplings -1",
    "generate repaint-ldm --count 0",
    "generate lama --batch -8",
    "generate pluralistic --count -4",
    "generate sd-inpaint --steps 0",
    "generate sd-inpaint --batch 0",
    "train-generator p2 --data none --images 0",
    "train-generator lama --data none --images -1",
    "train-generator autoencoder --data none --images 0",
    "train-generator ldm --data none --autoencoder none --images 0",
    "train-parser --data none --images 0",
    "faces render --count 0",
    "faces render --count 4 --size 0",
    "data prepare --images none --size -128",
    "data parse --images none --size 0",
]


@pytest.mark.parametrize("command", OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused(command, tmp_path):
    result = CliRunner().invoke(app, [*command.split(), "--out", str(tmp_path / "out")])
    option = [word for word in command.split() if word.startswith("--")][-1]
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output
    assert not (tmp_path / "out").exists()
