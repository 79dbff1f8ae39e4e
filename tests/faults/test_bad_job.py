"""Mistakes in a job file or a stage: found early, told with the line and the remedy."""

from __future__ import annotations

import pytest

HEAD = """
import hayate as hy

data = hy.csv("data.csv")
"""


def run(project, body: str, *words: str):
    project.write("data.csv", "a,b\n1,2\n3,4\n")
    (project.folder / "job.py").write_text(HEAD + body)
    return project.hayate("run", "job.py", *words)


def test_unknown_name_is_told_with_what_there_is(project):
    ran = run(project, "@hy.stage\ndef s(dta):\n    return dta\n")
    assert ran.code == 2, ran.err
    assert "dta" in ran.err and "data" in ran.err and "job.py" in ran.err


def test_cycle_is_told(project):
    ran = run(project, "@hy.stage\ndef x(y):\n    return y\n\n@hy.stage\ndef y(x):\n    return x\n")
    assert ran.code == 2, ran.err
    assert "cycle" in ran.err and "x" in ran.err and "y" in ran.err


def test_missing_parameter_is_told_with_the_option_to_give(project):
    ran = run(project, "n = hy.param(int)\n\n@hy.stage\ndef s(data, n):\n    return data\n")
    assert ran.code == 2, ran.err
    assert "--set n=" in ran.err


def test_stage_that_returns_none_is_told_with_its_line(project):
    ran = run(project, "@hy.stage\ndef s(data):\n    data.sum()\n")
    assert ran.code == 1, ran.err
    assert "None" in ran.err and "stage s" in ran.err and "job.py" in ran.err


def test_exception_comes_back_with_the_users_own_traceback(project):
    ran = run(project, "@hy.stage\ndef s(data):\n    return data['nope']\n")
    assert ran.code == 1, ran.err
    assert "KeyError" in ran.err and "job.py" in ran.err and "data['nope']" in ran.err
    assert "hayate/worker.py" not in ran.err


def test_exception_of_a_forked_stage_has_no_context_that_is_not_the_users(project):
    ran = run(project, "@hy.stage(rows=1)\ndef s(data):\n    return data['nope']\n")
    assert ran.code == 1, ran.err
    assert "KeyError" in ran.err and "data['nope']" in ran.err
    assert "WorkerProcess" not in ran.err, ran.err


def test_syntax_error_in_the_job_file_is_shown(project):
    ran = run(project, "def broken(:\n")
    assert ran.code != 0
    assert "SyntaxError" in ran.err and "job.py" in ran.err


def test_siblings_whose_schemas_conflict_name_both(project):
    body = """
@hy.stage(rows=1)
def s(data):
    import pandas as pd
    return pd.DataFrame({"v": [int(data["a"].iloc[0])] if data["a"].iloc[0] == 1 else ["text"]})
"""
    ran = run(project, body)
    assert ran.code == 1, ran.err
    assert "column v" in ran.err and "int64" in ran.err and "str" in ran.err


def test_missing_job_file_is_wrong_use(project):
    ran = project.hayate("run", "nowhere.py")
    assert ran.code == 2
    assert "nowhere.py" in ran.err


def test_unknown_option_is_wrong_use(project):
    assert project.hayate("run", "--no-such-option").code == 2


EDITED_WHILE_IT_RUNS = """
import shutil

@hy.stage
def first(data):
    shutil.copytree("edited", ".", dirs_exist_ok=True)
    return data

@hy.stage(rows=1)
def second(first):
    import late
    return first.assign(b=first["b"] * late.FACTOR + 1)

hy.output(second, "out.csv")
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "is_told"),
    [
        ("job.py", "+ 1", "+ 3", True),
        ("late.py", "= 2", "= 5", True),  # imported by the call itself
        ("job.py", "import late", "import late  # by now", False),
    ],
)
def test_an_edit_during_the_run_is_never_kept_as_what_was_planned(project, file, old, new, is_told):
    files = {"job.py": HEAD + EDITED_WHILE_IT_RUNS, "late.py": "FACTOR = 2\n"}
    for name, text in files.items():
        (project.folder / name).write_text(text)
    assert old in files[file]
    project.write("edited/" + file, files[file].replace(old, new))
    project.write("data.csv", "a,b\n1,2\n3,4\n")
    ran = project.hayate("run", "job.py")
    if is_told:
        assert ran.code == 2, ran.err
        assert f"{file} was edited while the job ran" in ran.err and "fix:" in ran.err
        (project.folder / file).write_text(files[file])
        ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert (project.folder / "out.csv").read_text() == "a,b\n1,5\n3,9\n"


def test_a_constant_that_differs_with_each_import_is_told(project):
    body = """
import os

def f(data, k):
    return data

s = hy.stage(f, name="s", inputs={"data": data, "k": [os.getpid()]})
"""
    ran = run(project, body)
    assert ran.code == 2, ran.err
    assert 'inputs["k"] of stage s' in ran.err and "hy.param" in ran.err
