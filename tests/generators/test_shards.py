"""Several workers fill one dataset: byte for byte as one worker does, however often they are killed."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from children import CONTEXT, compared, run_main

from wsdl.core.io import WsdlError, seed_for
from wsdl.data.dataset import Dataset
from wsdl.generators import write_fakes as module
from wsdl.generators.diffusion import p2
from wsdl.generators.shards import ALL, Shard, parse_shard
from wsdl.generators.write_fakes import generate_full, generate_partial

FULL = {"steps": 2, "batch": 4}
PARTIAL = {"T": 4, "jump_length": 2, "resamplings": 2, "batch": 4}


@pytest.fixture(scope="module")
def whole(faces, weights, tmp_path_factory) -> Path:
    """What one worker makes: 22 full and 22 partial fakes, 6 batches of each."""
    out = shutil.copytree(faces, tmp_path_factory.mktemp("whole") / "data")
    generate_full(out, weights, 22, 0, **FULL)
    generate_partial("repaint-p2", out, out, weights, 22, 0, **PARTIAL)
    return out


def test_a_shard_is_a_part_of_a_number_of_parts():
    assert parse_shard("2/3") == Shard(2, 3)
    assert parse_shard("") == ALL
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    assert [sum(shard.has(batch) for shard in shards) for batch in range(10)] == [1] * 10


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/2/3", "-1/2", "a/b", "1/0"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(WsdlError, match=r"^--shard: is '.*', but must be .*\.$"):
        parse_shard(text)


def test_the_last_shard_lists_all(faces, weights, whole, tmp_path, capsys):
    data = shutil.copytree(faces, tmp_path / "data")
    before = (data / "manifest.csv").read_bytes()
    for number in (3, 1, 2):
        assert (data / "manifest.csv").read_bytes() == before
        generate_full(data, weights, 22, 0, **FULL, shard=Shard(number, 3))
    assert "has 6 of 22 fakes by p2; other shards make more." in capsys.readouterr().err
    for number in (1, 2):
        generate_partial("repaint-p2", data, data, weights, 22, 0, **PARTIAL, shard=Shard(number, 2))
    assert compared(data) == compared(whole)


def test_a_call_without_a_shard_makes_the_rest(faces, weights, whole, tmp_path):
    data = shutil.copytree(faces, tmp_path / "data")
    generate_full(data, weights, 22, 0, **FULL, shard=Shard(2, 4))
    generate_full(data, weights, 22, 0, **FULL)
    generate_partial("repaint-p2", data, data, weights, 22, 0, **PARTIAL)
    assert compared(data) == compared(whole)


def test_what_another_worker_made_meanwhile_is_not_made_again(faces, weights, whole, tmp_path, monkeypatch):
    data, sampled, sample = shutil.copytree(faces, tmp_path / "data"), [], p2.P2.sample

    def count_batches(*args, **more):
        sampled.append(more["first"])
        return sample(*args, **more)

    def make_all_first(*_) -> None:
        monkeypatch.setattr(module, "_print_cost", lambda *_: None)
        monkeypatch.setattr(module, "wait_for_shards", lambda _: None)
        generate_full(data, weights, 22, 0, **FULL)

    monkeypatch.setattr(p2.P2, "sample", count_batches)
    monkeypatch.setattr(module, "_print_cost", make_all_first)
    generate_full(data, weights, 22, 0, **FULL, shard=Shard(1, 2))
    assert sampled == [0, 4, 8, 12, 16, 20]
    generate_partial("repaint-p2", data, data, weights, 22, 0, **PARTIAL)
    assert compared(data) == compared(whole)


def run_and_kill(command: str, messages: Path, at: int) -> None:
    """`run_main`, killed right after it has put `at` files in their place; 0: never."""
    replace, renames = os.replace, []

    def replace_and_die(source, target) -> None:
        replace(source, target)
        renames.append(target)
        if len(renames) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_and_die
    run_main(command, messages)


@pytest.mark.parametrize("generator", ["p2 --steps 2", "repaint-p2 --T 4 --jump-length 2 --resamplings 2"])
def test_killed_workers_end_in_the_same_bytes(generator, faces, weights, whole, tmp_path):
    """Three workers at once, two of them on the same shard, each killed at random and started again."""
    data = shutil.copytree(faces, tmp_path / "data")
    rng = np.random.default_rng(seed_for("shards", generator))
    command = f"generate {generator} --weights {weights} --count 22 --batch 4 --out {data} --shard"
    for attempt in range(3):
        logs = [tmp_path / f"{worker}.log" for worker in range(3)]
        kills = rng.integers(2, 9, size=3) if attempt < 2 else [0, 0, 0]
        workers = [
            CONTEXT.Process(target=run_and_kill, args=(f"{command} {shard}", log, int(at)))
            for shard, log, at in zip(("1/2", "2/2", "2/2"), logs, kills, strict=True)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0], [log.read_text() for log in logs]
    name = generator.split()[0]
    once, made = compared(whole), compared(data)
    here = [key for key in once if key.startswith(f"fake/{name}/")]
    assert here
    assert {key: made.get(key) for key in here} == {key: once[key] for key in here}
    assert len([key for key in made if key.startswith("fake/")]) == len(here)
    rows = [dataset.select(generator=name).to_csv(index=False) for dataset in map(Dataset, (whole, data))]
    assert rows[0] == rows[1]
