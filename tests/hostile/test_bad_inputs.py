"""Bad inputs of all commands: each is answered by one sentence; nothing is lost or written elsewhere."""

import cases_datasets
import cases_images
import cases_pages
import cases_runs
import pytest
from bad_input import BadInput, meet

CASES = [*cases_images.CASES, *cases_datasets.CASES, *cases_runs.CASES, *cases_pages.CASES]


def test_every_case_has_its_own_name():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: BadInput, request, tmp_path, monkeypatch, capsys):
    meet(case, request, tmp_path, monkeypatch, capsys)
