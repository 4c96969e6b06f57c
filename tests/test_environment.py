"""The package as a newcomer meets it: light to import, a command line that explains itself, files in step."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from wsdl.__main__ import app

ROOT = Path(__file__).parent.parent
DESIGN_COMMANDS = ["demo", "data prepare", "data check", "data audit", "generate p2", "generate repaint-p2", "train",
                   "generate lama", "generate pluralistic", "train-generator lama", "train-generator pluralistic",
                   "train-generator p2", "evaluate", "notebooks run", "notebooks refresh", "notebooks html",
                   "bench patches", "bench grad-cam", "bench attention", "bench explorer",
                   "faces render", "data bundle", "data unpack", "data halve", "data parse",
                   "data parse-score", "train-parser", "report table", "report site", "localize"]  # fmt: skip


def test_importing_wsdl_is_light():
    code = "import sys, wsdl; print([m for m in ('torch', 'numpy', 'pandas', 'diffusers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_the_command_line_starts_without_torch():
    code = "import sys, wsdl.__main__; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("command", DESIGN_COMMANDS)
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert len(result.stdout) > 100


def test_wrong_usage_exits_with_2_and_failure_with_1(tmp_path):
    def run(*words):
        return subprocess.run([sys.executable, "-m", "wsdl", *words], capture_output=True, text=True, cwd=ROOT)

    assert run("data", "prepare").returncode == 2
    failed = run("data", "prepare", "--images", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert failed.returncode == 1
    assert failed.stderr == f"wsdl: {tmp_path / 'none'}: no such folder.\n"


def test_environment_yml_is_in_step_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    wanted = {re.split(r"[>=<]", line)[0]: line for line in project["dependencies"]}
    named = [line for line in conda if isinstance(line, str)]
    assert f"python{project['requires-python']}" in named
    assert wanted["torch"].replace("torch", "pytorch") in named
    assert wanted["torchvision"] in named
    pip = next(line for line in conda if isinstance(line, dict))["pip"]
    extras = re.search(r"\[(.+)\]", pip[0]).group(1).split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_every_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("dependencies = [")[1].split("\n]")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert lines
    assert all("#" in line for line in lines)


@pytest.mark.parametrize("name", ["photos"])
def test_the_profiles_of_ci_are_valid(name):
    from wsdl.config import load_profile

    assert load_profile(str(ROOT / "ci" / f"{name}.json")).name == name
