"""What a job file declares, and its mistakes: each told with its line and what to do."""

from __future__ import annotations

import asyncio
import sys
import typing

import pytest
from job_files import HEAD, load, write, wrong_use

from hayate.errors import to_json
from hayate.job import load_job
from hayate.parameters import Param
from hayate.stages import Constant, StageOutput

SHOP = """
day = hy.param(dt.date, default=dt.date(2026, 11, 24))
clicks = hy.csv("data/clicks-*.csv.gz")
carts = hy.csv("data/carts.csv")

@hy.stage(partition_by="user_id", split=("clicks", "carts"))
def features(clicks, carts, day, window=7):
    return clicks

@hy.stage(outputs=("train", "valid"))
def cut(features):
    return features, features

@hy.stage(rows=200_000)
def scores(valid, train):
    return valid

hy.output(scores, "out/{day}.parquet")
hy.output("train", "out/train.csv")
"""


def test_parameters_of_a_stage_name_what_it_reads(tmp_path):
    job = load(tmp_path, SHOP)
    features, cut, scores = job.stages.values()
    assert features.parameters == ("clicks", "carts", "day")
    assert (features.mode, features.by) == ("partition", ("user_id",))
    assert features.split == ("clicks", "carts")
    assert isinstance(features.inputs["day"], Param)
    assert cut.outputs == ("train", "valid")
    assert scores.inputs == {"valid": StageOutput(cut, 1), "train": StageOutput(cut, 0)}
    assert (scores.mode, scores.rows, scores.split) == ("rows", 200_000, ("valid",))
    assert [bound.name for _, bound in job.graph.outputs] == ["scores", "train"]


def test_a_decorated_stage_is_still_the_plain_function(tmp_path):
    job = load(
        tmp_path,
        'clicks = hy.csv("a.csv")\n@hy.stage\ndef twice(clicks):\n  "doc"\n  return clicks * 2\n',
    )
    twice = job.module.twice
    assert twice(4) == 8 and twice.__name__ == "twice" and twice.__doc__ == "doc"
    assert twice is job.stages["twice"] and job.stages["twice"].function(4) == 8


def test_declarations_outside_of_a_job_only_make_their_objects(tmp_path):
    path = write(tmp_path, SHOP, "plain_shop.py")
    path.write_text(HEAD + SHOP)
    sys.path.insert(0, str(tmp_path))
    try:
        import plain_shop  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    assert plain_shop.features("rows", None, None) == "rows"


def test_stages_in_a_loop_read_nodes_parameters_and_plain_values(tmp_path):
    job = load(
        tmp_path,
        """
        train = hy.csv("a.csv")
        seed = hy.param(int, default=1)
        def fit(train, seed, k):
            return {"k": k}
        def blend(**folds):
            return sorted(folds)
        folds = {f"fold{k}": hy.stage(fit, name=f"fold{k}", inputs={"k": k}) for k in range(3)}
        blended = hy.stage(blend, inputs=folds)
        """,
    )
    assert list(job.stages) == ["fold0", "fold1", "fold2", "blend"]
    assert job.stages["fold2"].inputs["k"] == Constant(2)
    assert job.stages["blend"].parameters == ("fold0", "fold1", "fold2")
    assert job.stages["blend"].run({"fold1": 1, "fold0": 0}) == ["fold0", "fold1"]


def test_outputs_of_stages_in_a_loop_may_share_names(tmp_path):
    text = """
a = hy.csv("a.csv")
def cut(a):
    return a, a
cuts = [hy.stage(cut, name=f"cut{k}", outputs=("train", "valid")) for k in range(2)]
def fit(train):
    return 1
fits = [hy.stage(fit, name=f"fit{k}", inputs={"train": cuts[k]["train"]}) for k in range(2)]
"""
    job = load(tmp_path, text)
    assert job.stages["fit1"].inputs == {"train": StageOutput(job.stages["cut1"], 0)}
    error = wrong_use(tmp_path, text + "hy.stage(fit, name='last')\n")
    assert "cut0, cut1" in error.what and 'cut0["train"]' in error.fix


def test_an_async_stage_is_run_to_its_end(tmp_path):
    job = load(
        tmp_path,
        "import asyncio\n@hy.stage\nasync def s():\n  await asyncio.sleep(0)\n  return 5\n",
    )
    assert job.stages["s"].is_async and job.stages["s"].run({}) == 5
    assert asyncio.run(job.module.s()) == 5


def test_positional_only_parameters_can_be_read(tmp_path):
    job = load(tmp_path, "a = hy.csv('a.csv')\n@hy.stage\ndef s(a, /):\n  return a\n")
    assert job.stages["s"].run({"a": 3}) == 3


def test_annotations_and_as_say_the_form_of_an_input(tmp_path):
    job = load(
        tmp_path,
        """
        import typing
        import pandas as pd, polars as pl, pyarrow as pa
        if typing.TYPE_CHECKING:
            import nowhere
        a = hy.csv("a.csv")
        k = hy.param(int)
        @hy.stage
        def plain(a: "pl.DataFrame", k: int): return a
        @hy.stage
        def later(a: "nowhere.Table"): return a
        @hy.stage
        def table(a: pa.Table): return a
        @hy.stage(as_={"a": "frame"})
        def stronger(a: pa.Table): return a
        @hy.stage(as_="arrow")
        def all_of_them(a, plain: pd.DataFrame): return a
        """,
    )
    assert {name: made.as_ for name, made in job.stages.items()} == {
        "plain": {"a": "polars", "k": None},
        "later": {"a": None},
        "table": {"a": "arrow"},
        "stronger": {"a": "frame"},
        "all_of_them": {"a": "arrow", "plain": "arrow"},
    }


def test_a_constant_is_a_copy_for_each_call(tmp_path):
    job = load(tmp_path, "def f(k): return k\ns = hy.stage(f, name='s', inputs={'k': [1]})\n")
    spec = {"type": "constant", "value": ""}
    job.stages["s"].value("k", spec).append(2)
    assert job.stages["s"].value("k", spec) == [1]


def test_a_parameter_of_a_task_is_of_the_jobs_own_type(tmp_path):
    job = load(
        tmp_path,
        """
        import enum
        class Size(enum.Enum):
            BIG = 1
        size = hy.param(Size)
        @hy.stage
        def s(size): return size
        """,
    )
    value = job.stages["s"].value("size", {"type": "enum", "value": "BIG"})
    assert value is job.module.Size.BIG


def test_sibling_modules_and_packages_are_imported_afresh(tmp_path):
    write(tmp_path, "import shoplib.deep\nx = shoplib.deep.X\n")
    write(tmp_path, "", "shoplib/__init__.py")
    write(tmp_path, "X = 1\n", "shoplib/deep.py")
    assert load_job(str(tmp_path / "job.py")).module.x == 1
    # An edit of the same length within the same second, which Python's own cache would miss.
    write(tmp_path, "X = 2\n", "shoplib/deep.py")
    assert load_job(str(tmp_path / "job.py")).module.x == 2


def test_a_job_of_another_folder_gets_its_own_modules(tmp_path):
    for name in ("one", "two"):
        write(tmp_path, f"X = {name!r}\n", f"{name}/shoplib.py")
        write(tmp_path / name, "import shoplib\nx = shoplib.X\n")
    seen = [load_job(str(tmp_path / name / "job.py")).module.x for name in ("one", "two")]
    assert seen == ["one", "two"]


def test_parameters_and_sources_may_stand_in_a_sibling_module(tmp_path):
    write(tmp_path, "import hayate as hy\nk = hy.param(int)\na = hy.csv('a.csv')\n", "common.py")
    job = load(tmp_path, "import common\n@hy.stage\ndef s(a, k): return a\n", k="3")
    assert job.values() == {"k": 3} and job.stages["s"].parameters == ("a", "k")


MISTAKES: list[tuple[str, str, str, str, int]] = [
    ("cycle", "@hy.stage\ndef x(y): ...\n@hy.stage\ndef y(x): ...\n", "x reads y reads x", "", 3),
    ("unknown", "data = hy.csv('a')\n@hy.stage\ndef s(dta): ...\n", '"dta"', "mean data?", 4),
    ("itself", "@hy.stage\ndef s(s): ...\n", "s reads s", "", 3),
    ("twice", "@hy.stage\ndef s(): ...\n@hy.stage\ndef s(): ...\n", "name of another", "", 5),
    ("unnamed source", "hy.csv('a')\n", "not bound", "name=", 3),
    ("unnamed param", "[hy.param(int)]\n", "not bound", "", 3),
    ("no data", "@hy.stage(rows=5)\ndef s(): ...\n", "reads no source", "rows= out", 3),
    ("split", "a = hy.csv('a')\n@hy.stage(rows=5, split='b')\ndef s(a): ...\n", '"b"', "are a", 4),
    (
        "split once",
        "a = hy.csv('a')\n@hy.stage(split='a')\ndef s(a): ...\n",
        "is not split",
        "partition_by=",
        4,
    ),
    (
        "split of a param",
        "a = hy.csv('a')\nk = hy.param(int)\n@hy.stage(rows=5, split='k')\ndef s(a, k): ...\n",
        "no rows",
        "a.",
        5,
    ),
    (
        "grouped frame",
        "d = hy.csv('d.csv')\n@hy.stage(group_by='a', as_='frame')\ndef s(d): ...\n",
        "as a frame, which cannot be grouped",
        "",
        4,
    ),
    ("two modes", "@hy.stage(rows=5, group_by='a')\ndef s(a): ...\n", "group_by and rows", "", 3),
    ("rows", "@hy.stage(rows=0)\ndef s(a): ...\n", "rows=0", "200_000", 3),
    ("as", "@hy.stage(as_='dask')\ndef s(a): ...\n", "dask", "polars", 3),
    ("star", "@hy.stage\ndef s(*a): ...\n", "*a", "", 3),
    ("inputs", "def f(a): ...\nhy.stage(f, inputs={'b': 1})\n", '"b"', "are a", 4),
    ("list", "a = hy.csv('a')\ndef f(x): ...\nhy.stage(f, inputs={'x': [a]})\n", "several", "", 5),
    ("no function", "hy.stage(3)\n", "not a function", "@hy.stage", 3),
    ("lambda", "hy.stage(lambda: 1)\n", "no name for a stage", "name=", 3),
    (
        "two outputs",
        "@hy.stage(outputs=('a', 'b'))\ndef s(): ...\nhy.output(s, 'x.csv')\n",
        "2",
        "s[",
        5,
    ),
    (
        "reads two outputs",
        "@hy.stage(outputs=('a', 'b'))\ndef s(): ...\n@hy.stage\ndef t(s): ...\n",
        "2 outputs",
        "a, b",
        5,
    ),
    ("output name", "@hy.stage\ndef s(): ...\nhy.output('t', 'x.csv')\n", '"t"', "s", 5),
    ("extension", "@hy.stage\ndef s(): ...\nhy.output(s, 'x.txt')\n", "x.txt", ".parquet", 5),
    ("uri", "a = hy.csv('gs://b/x.csv')\n", "local", "", 3),
    ("paths", "a = hy.csv([])\n", "paths", "", 3),
    ("schema", "a = hy.csv('a', schema=['x'])\n", "schema=", "", 3),
    ("delimiter", "a = hy.csv('a', delimiter='||')\n", "delimiter", "", 3),
    ("columns", "a = hy.csv('a', columns=['x', 'x'])\n", "more than once", "", 3),
    (
        "same path",
        "@hy.stage\ndef s(): ...\n" + "hy.output(s, 'x.csv')\n" * 2,
        "two outputs",
        "",
        6,
    ),
]


@pytest.mark.parametrize(
    ("text", "what", "fix", "line"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_is_told_with_its_line_and_the_remedy(tmp_path, text, what, fix, line):
    error = wrong_use(tmp_path, text)
    assert what in error.what and fix in error.fix and error.fix
    assert (error.where.object, error.where.line) == (str(tmp_path / "job.py"), line)


def test_a_missing_job_file_is_wrong_use(tmp_path):
    with pytest.raises(Exception, match=r"nowhere\.py does not exist"):
        load_job(str(tmp_path / "nowhere.py"))


def _error_of(folder, text: str) -> dict[str, typing.Any]:
    path = write(folder, text)
    with pytest.raises(BaseException) as caught:
        load_job(str(path))
    return to_json(caught.value)


def test_an_exception_in_the_job_file_keeps_only_the_users_frames(tmp_path):
    write(tmp_path, "def broken(x):\n    return 1 / x\n", "shoplib.py")
    error = _error_of(tmp_path, "import shoplib\nshoplib.broken(0)\n")
    assert error["fault"] == "user_code" and error["what"].startswith("ZeroDivisionError")
    assert error["where"] == {"object": str(tmp_path / "shoplib.py"), "line": 2}
    shown = error["traceback"]
    assert "job.py" in shown and "return 1 / x" in shown
    assert "hayate/loading.py" not in shown and "importlib" not in shown


def test_a_syntax_error_is_told_with_its_line(tmp_path):
    error = _error_of(tmp_path, "def broken(:\n")
    assert error["where"] == {"object": str(tmp_path / "job.py"), "line": 3}
    assert "SyntaxError" in error["traceback"]


def test_an_exit_in_the_job_file_is_told(tmp_path):
    error = _error_of(tmp_path, "import sys\nsys.exit(3)\n")
    assert error["fault"] == "user_code" and error["what"] == "SystemExit: 3"


def test_a_simple_constant_is_the_planned_one(tmp_path):
    job = load(tmp_path, "def f(k): return k\ns = hy.stage(f, name='s', inputs={'k': 4})\n")
    assert job.stages["s"].value("k", {"type": "int", "value": 3}) == 3
