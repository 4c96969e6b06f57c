"""The run folder: what is recorded about the environment."""

from wsdl.core.run import run_environment


def test_a_machine_without_git_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_environment()["git"] is None
