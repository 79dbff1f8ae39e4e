"""The meaning of code: what changes it, what does not, and how the change is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_files import load, write

from hayate.code_key import CodeKeys
from hayate.digest import Digester, NoContentError
from hayate.distributions import distributions_of, versions
from hayate.errors import UsageError

BASE = """
import functools
import numpy as np
import shoplib
from shoplib import clean as tidy

WINDOWS = [1, 7, 30]
UNUSED = 1
TABLE = {"a": np.mean, "b": lambda x: x + 1}
a = hy.csv("a.csv")
day = hy.param(int, default=1)

def helper(x):
    return x + 1

class Base:
    def scale(self): return 2

class Model(Base):
    def fit(self, x):
        return x * self.scale()

def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return factor * function(*args, **kwargs)
        return wrapper
    return decorate

@functools.cache
def cached(n): return n

@hy.stage(rows=10)
@scaled(3)
def s(a, day):
    from shoplib import late
    total: int = helper(day)
    return [Model().fit(w) for w in WINDOWS], TABLE, shoplib.session(a), tidy(a), cached(1), late()
"""
SHOPLIB = """
LIMIT = 5
def session(x): return x + LIMIT
def clean(x): return inner(x)
def inner(x): return x
def late(): return 1
def unused(): return 0
"""


def components(folder: Path, job: str = BASE, shoplib: str = SHOPLIB) -> dict[str, str]:
    write(folder, shoplib, "shoplib.py")
    loaded = load(folder, job)
    return CodeKeys(loaded.module.__name__).of(loaded.stages["s"])


def changed(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_components_have_names_for_people(tmp_path):
    names = components(tmp_path).keys()
    assert {
        *("s()", "helper()", "class Model", "class Base", "global WINDOWS", "global TABLE"),
        *("module shoplib.session()", "module shoplib.clean()", "module shoplib.inner()"),
        *("module shoplib.late()", "global shoplib.LIMIT", "cached()", "python", "numpy"),
        "pandas",
    } <= names
    assert not names & {"global UNUSED", "module shoplib.unused()", "global day", "hayate"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return x + 1", "    # adds one\n    return x  +  1"),
        ("    return x + 1", '    """Adds one."""\n    return x + 1'),
        ("    total: int = helper(day)", "    total = helper(day)"),
        ("def helper(x):", "\n\ndef helper(x: int) -> int:"),
        ("class Model(Base):", 'class Model(Base):\n    """A model."""'),
        ("UNUSED = 1", "UNUSED = 2"),
        ("WINDOWS = [1, 7, 30]", "WINDOWS = [1, 7] + [30]"),
        ("@hy.stage(rows=10)", "@hy.stage(rows=20, cores=1)"),
        ('a = hy.csv("a.csv")', 'a = hy.csv("b.csv")'),
        ("default=1", "default=2"),
        ("def decorate(function):", 'def decorate(function):\n        "text"'),
    ],
)
def test_what_does_not_change_the_meaning_does_not_count(tmp_path, old, new):
    assert old in BASE
    assert changed(components(tmp_path), components(tmp_path, BASE.replace(old, new))) == set()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("    return x + 1", "    return x + 2", "helper()"),
        ("WINDOWS = [1, 7, 30]", "WINDOWS = [1, 7, 31]", "global WINDOWS"),
        ("x * self.scale()", "x / self.scale()", "class Model"),
        ("def scale(self): return 2", "def scale(self): return 3", "class Base"),
        ("lambda x: x + 1", "lambda x: x + 2", "lambda()"),
        ("np.mean", "np.sum", "global TABLE"),
        ("@scaled(3)", "@scaled(4)", "s()"),
        (
            "return factor * function",
            "return factor + function",
            "scaled.<locals>.decorate.<locals>.wrapper()",
        ),
        ("def cached(n): return n", "def cached(n): return n + 1", "cached()"),
        ("total: int = helper(day)", "total: int = helper(day, *[])", "s()"),
        ("a = hy.csv", "np.seterr(all='raise')\na = hy.csv", "module-level statements of job.py"),
        ("@hy.stage(rows=10)", "@hy.stage(rows=10, as_='polars')", "polars"),
    ],
)
def test_an_edit_is_named(tmp_path, old, new, named):
    assert old in BASE
    assert named in changed(components(tmp_path), components(tmp_path, BASE.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("x + LIMIT", "x - LIMIT", "module shoplib.session()"),
        ("LIMIT = 5", "LIMIT = 6", "global shoplib.LIMIT"),
        ("def inner(x): return x", "def inner(x): return -x", "module shoplib.inner()"),
        ("def late(): return 1", "def late(): return 2", "module shoplib.late()"),
    ],
)
def test_an_edit_of_a_sibling_module_is_named_and_alone(tmp_path, old, new, named):
    assert old in SHOPLIB
    edited = components(tmp_path, shoplib=SHOPLIB.replace(old, new))
    assert changed(components(tmp_path), edited) == {named}


def test_an_unread_function_of_a_sibling_module_does_not_count(tmp_path):
    edited = components(tmp_path, shoplib=SHOPLIB.replace("return 0", "return 9"))
    assert changed(components(tmp_path), edited) == set()


def of_stage(folder: Path, text: str, name: str = "s") -> dict[str, str]:
    job = load(folder, text)
    return CodeKeys(job.module.__name__).of(job.stages[name])


def test_closures_and_defaults_count_by_value(tmp_path):
    text = """
    def make(k):
        def fit(factor=k * 2):
            return k
        return fit
    for k in (1, 2):
        hy.stage(make(k), name=f"s{k}")
    """
    one, two = of_stage(tmp_path, text, "s1"), of_stage(tmp_path, text, "s2")
    inner = "make.<locals>.fit()"
    assert changed(one, two) == {f"variable k of {inner}", f"defaults of {inner}"}


MAKE = """
def make(k, scale=1, *rest):
    def fit(x=scale): return k
    return fit
def a(): return 1
def b(): return 2
class A:
    def m(self): return 1
class B(A): pass
"""


@pytest.mark.parametrize(
    ("head", "used", "old", "new"),
    [
        ("import numpy as np\nagg = np.mean", "agg", "np.mean", "np.median"),
        ("import numpy as np\nagg = np.add", "agg", "np.add", "np.subtract"),
        ("from numpy import mean as agg", "agg", "mean as", "median as"),
        ("import numpy.linalg as m", "m.norm", "numpy.linalg", "numpy.fft"),
        ("from pathlib import PurePath as P", "P", "PurePath", "Path"),
        ("f = sorted", "f", "sorted", "min"),
        ("f = 'a'.join", "f, 'b'.join", "'a'", "'b'"),
        ("import numpy as np\nf = make(np.mean)", "f", "np.mean", "np.median"),
        ("import math\nf = make(math)", "f", "(math)", "(functools)"),
        ("pick = a", "pick, a, b", "= a", "= b"),
        ("T = list[A]", "T, A, B", "[A]", "[B]"),
        ("Pick = A", "Pick, A, B", "= A", "= B"),
        ("pick = A().m", "pick, A, B", "A()", "B()"),
        ("x = make(1)\ny = make(2)\nc = make(1)", "x, y, c", "c = make(1)", "c = make(2)"),
        ("x = make(1)\ny = make(1, 2)\nc = make(1)", "x, y, c", "c = make(1)", "c = make(1, 2)"),
        ("x = make(a)\ny = make(b)\nc = make(a)", "x, y, c", "c = make(a)", "c = make(b)"),
        ("x = [make(a), make(b)]\nc = x[0]", "x, c", "x[0]", "x[1]"),
        (
            "x = functools.partial(a, 1)\ny = functools.partial(b, 1)\nc = functools.partial(a, 1)",
            "x, y, c",
            "c = functools.partial(a",
            "c = functools.partial(b",
        ),
        (
            "x = functools.partial(a, 1)\ny = functools.partial(a, 2)\nc = functools.partial(a, 1)",
            "x, y, c",
            "c = functools.partial(a, 1",
            "c = functools.partial(a, 2",
        ),
        ("x, y, z = 5, 6, 5", "x, y, z", "5, 6, 5", "5, 6, 6"),
        ("import one as lib, two", "lib.f, two.f, two.one.f", "one as lib, two", "two as lib, two"),
        ("from one import f", "f, two", "from one", "from two"),
    ],
)
def test_a_name_that_stands_for_another_thing_counts(tmp_path, head, used, old, new):
    write(tmp_path, "def f(): return 1\n", "one.py")
    write(tmp_path, "import one\ndef f(): return 2\ndef g(): return one.f()\n", "two.py")
    text = f"import functools\nimport two\n{MAKE}{head}\n@hy.stage\ndef s(): return {used}\n"
    assert text.count(old) >= 1
    place = text.rindex(old)
    edited = text[:place] + new + text[place + len(old) :]
    one = of_stage(tmp_path, text)
    assert changed(one, of_stage(tmp_path, text.replace(MAKE, MAKE + "# said\n"))) == set()
    assert changed(one, of_stage(tmp_path, edited))


def test_lambdas_on_one_line_are_told_apart(tmp_path):
    text = "f, g = lambda: 1, lambda: 2\n@hy.stage\ndef s(): return f()\n"
    one = of_stage(tmp_path, text)
    assert changed(one, of_stage(tmp_path, text.replace("lambda: 2", "lambda: 3"))) == set()
    assert changed(one, of_stage(tmp_path, text.replace("lambda: 1", "lambda: 3"))) == {"f()"}


def test_values_computed_at_import_count_in_classes_and_whole_modules(tmp_path):
    text = """
    import os
    import made
    class Model:
        SIZE = int(os.path.getsize(__file__ + ".size"))
        def fit(self): return self.SIZE
    @hy.stage
    def s(): return Model().fit(), vars(made)
    """
    write(tmp_path, "1", "job.py.size")
    write(tmp_path, "import os\nSIZE = os.path.getsize(__file__ + '.size')\n", "made.py")
    write(tmp_path, "1", "made.py.size")
    one = of_stage(tmp_path, text)
    assert changed(one, of_stage(tmp_path, text)) == set()
    write(tmp_path, "22", "job.py.size")
    write(tmp_path, "22", "made.py.size")
    assert changed(one, of_stage(tmp_path, text)) == {"global Model.SIZE", "global made.SIZE"}


@pytest.mark.parametrize("how", ["import pkg.gpu", "from pkg import gpu", "from pkg.gpu import f"])
def test_a_module_of_the_project_may_be_absent(tmp_path, how):
    text = f"""
    import pkg
    @hy.stage
    def s():
        try:
            {how}
        except ImportError:
            return 1
    """
    write(tmp_path, "", "pkg/__init__.py")
    one = of_stage(tmp_path, text)
    assert one["import pkg.gpu"] == "absent"
    write(tmp_path, "def f(): return 2\n", "pkg/gpu.py")
    assert "import pkg.gpu" in changed(one, of_stage(tmp_path, text))


def test_a_module_that_is_passed_around_counts_whole(tmp_path):
    text = "import shoplib\n@hy.stage\ndef s(): return getattr(shoplib, 'un' + 'used')()\n"
    write(tmp_path, SHOPLIB, "shoplib.py")
    one = of_stage(tmp_path, text)
    write(tmp_path, SHOPLIB.replace("return 0", "return 9"), "shoplib.py")
    assert "module shoplib" in changed(one, of_stage(tmp_path, text))


BY_NAME = [
    "import importlib\ndef helper(): return importlib.import_module('plug' + 'in').f()",
    "from importlib import import_module as find\ndef helper(): return find('plug' + 'in').f()",
    "def helper():\n    import importlib\n    return importlib.import_module('plug' + 'in').f()",
    "def helper(): return __import__('plug' + 'in').f()",
    "def helper(): return eval('__imp' + 'ort__(\"plug\" + \"in\").f()')",
    "import runpy\ndef helper(): return runpy.run_module('plug' + 'in')['f']()",
    "import pkgutil\ndef helper(): return pkgutil.resolve_name('plug' + 'in:f')()",
    "import sys\nimport plugin\ndef helper(): return sys.modules['plug' + 'in'].f()",
    "def helper():\n    import sys, plugin as _\n    return sys.modules['plug' + 'in'].f()",
    "from plugin import f as late\ndef helper(): return globals()['la' + 'te']()",
    "from plugin import f as late\ndef helper(): return helper.__globals__['la' + 'te']()",
    """
class Base: pass
class Child(Base):
    def run(self):
        import plugin
        return plugin.f()
def helper(): return [one().run() for one in Base.__subclasses__()][0]
""",
    """
class Helper:
    def __call__(self): return __import__('plug' + 'in').f()
helper = Helper()
""",
    "def made():\n    return lambda: __import__('plug' + 'in').f()\nhelper = made()",
]


@pytest.mark.parametrize("head", BY_NAME)
def test_what_is_reached_by_a_name_made_at_run_time_counts(tmp_path, head):
    text = f"{head}\n@hy.stage\ndef s(): return helper()\n"
    write(tmp_path, "def f(): return 1\n", "plugin.py")
    one = of_stage(tmp_path, text)
    assert load(tmp_path, text).stages["s"].function() == 1
    write(tmp_path, "def f(): return 1  # the same\n", "plugin.py")
    assert changed(one, of_stage(tmp_path, text)) == set()
    write(tmp_path, "def f(): return 2\n", "plugin.py")
    assert changed(one, of_stage(tmp_path, text)) <= {
        *("module plugin", "file plugin.py", "module plugin.f()")
    }
    assert changed(one, of_stage(tmp_path, text))


def test_names_made_at_run_time_reach_files_of_the_project_only(tmp_path):
    text = "@hy.stage\ndef s(): return eval('1')\n"
    one = of_stage(tmp_path, text)
    write(tmp_path, "", "venv/pyvenv.cfg")
    for folder in ("venv/lib", ".hidden", "__pycache__"):
        write(tmp_path, "def f(): return 1\n", f"{folder}/some.py")
    assert changed(one, of_stage(tmp_path, text)) == set()
    write(tmp_path, "def f(: no Python", "package/some.py")
    assert changed(one, of_stage(tmp_path, text)) == {"file package/some.py"}


@pytest.mark.parametrize("used", ["df.eval('a')", "importlib.resources.files(s)", "sys.version"])
def test_what_only_looks_like_a_name_made_at_run_time_reaches_no_more(tmp_path, used):
    write(tmp_path, "def f(): return 1\n", "plugin.py")
    text = (
        f"import importlib.resources, sys\n@hy.stage\ndef s(df): return {used}\ndf = hy.csv('a')\n"
    )
    assert not [name for name in of_stage(tmp_path, text) if "plugin" in name]


COMPILED = """
#include <Python.h>
static PyObject* f(PyObject*, PyObject*) { return PyLong_FromLong(RESULT); }
static PyMethodDef methods[] = {{"f", f, METH_NOARGS, ""}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast() { return PyModule_Create(&definition); }
"""


@pytest.mark.parametrize(
    "used",
    [
        "from fast import f\n@hy.stage\ndef s(): return f()",
        "import fast\n@hy.stage\ndef s(): fast.f()",
    ],
)
def test_a_compiled_module_of_the_project_counts_by_its_bytes(tmp_path, used):
    text = (
        "import json, sys\nfrom hayate.code_key import CodeKeys\nfrom hayate.job import load_job\n"
        "job = load_job(sys.argv[1], {})\n"
        "print(json.dumps(CodeKeys(job.module.__name__).of(job.stages['s'])))\n"
    )
    job = write(tmp_path, used + "\n")
    seen = []
    for result in ("1", "1", "2"):
        source = write(tmp_path, COMPILED, "fast.cc")
        library = tmp_path / ("fast" + sysconfig.get_config_var("EXT_SUFFIX"))
        include = f"-I{sysconfig.get_path('include')}"
        command = ["g++", "-shared", "-fPIC", f"-DRESULT={result}", include, str(source)]
        subprocess.run([*command, "-o", str(library)], check=True)
        # A loaded library stays in a process, so each key is made in a fresh one.
        out = subprocess.run(
            [sys.executable, "-c", text, str(job)], check=True, capture_output=True, text=True
        )
        seen.append(json.loads(out.stdout))
    assert changed(seen[0], seen[1]) == set()
    assert changed(seen[0], seen[2]) == {"module fast"}


def test_a_class_of_instances_counts(tmp_path):
    text = """
    import dataclasses
    @dataclasses.dataclass
    class Options:
        depth: int = 3
        def double(self): return self.depth * 2
    OPTIONS = Options(4)
    @hy.stage
    def s(): return OPTIONS.double()
    """
    one = of_stage(tmp_path, text)
    assert "class Options" in changed(one, of_stage(tmp_path, text.replace("* 2", "* 3")))
    assert "global OPTIONS" in changed(one, of_stage(tmp_path, text.replace("(4)", "(5)")))


def test_recursion_and_functions_that_call_each_other_end(tmp_path):
    text = """
    def even(n): return n == 0 or odd(n - 1)
    def odd(n): return n != 0 and even(n - 1)
    CYCLE = []
    CYCLE.append(CYCLE)
    @hy.stage
    def s(): return even(4), CYCLE, s
    """
    assert {"s()", "even()", "odd()", "global CYCLE"} <= of_stage(tmp_path, text).keys()


def test_another_stage_may_be_called_as_a_function(tmp_path):
    text = "@hy.stage\ndef t(): return 1\n@hy.stage\ndef s(): return t()\n"
    edited = of_stage(tmp_path, text.replace("return 1", "return 2"))
    assert changed(of_stage(tmp_path, text), edited) == {"t()"}


def test_loggers_locks_and_what_a_thread_holds_are_no_content(tmp_path):
    text = """
    import contextvars, logging, threading
    log = logging.getLogger(__name__)
    LOCK = threading.Lock()
    LOCAL = threading.local()
    CURRENT = contextvars.ContextVar("current")
    @hy.stage
    def s():
        with LOCK:
            log.info("x", LOCAL, CURRENT)
    """
    assert "s()" in of_stage(tmp_path, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("re.compile('a')", "re.compile('b')"),
        ("re.compile('a')", "re.compile('a', re.I)"),
        ("int | float", "int | str"),
    ],
)
def test_values_that_pickle_by_the_table_of_copyreg_count(tmp_path, one, other):
    text = f"import re\nX = {one}\n@hy.stage\ndef s(): return X\n"
    same = of_stage(tmp_path, text)
    assert "global X" in changed(same, of_stage(tmp_path, text.replace(one, other)))


@pytest.mark.parametrize("how", ["(as_='frame')\ndef s(a)", "\ndef s(a: hy.Frame)"])
def test_a_stage_that_takes_a_frame_of_hayate_needs_no_library(tmp_path, how):
    components = of_stage(tmp_path, f"a = hy.csv('a.csv')\n@hy.stage{how}: return a\n")
    assert {"s()", "python"} == components.keys()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("param(str", "param(hy_date", "type of p"),
        ("param(str", "param(Kind", "type of p"),
        ("'c': 1", "'c': '1'", "type of c"),
        ("'c': 1", "'c': True", "type of c"),
        ("A = 1", "A = 2", "members of Kind"),
        ("A = 1", "A = LIMIT + 1", "members of Kind"),
        ("def __str__(self): return 'a'", "def __str__(self): return 'b'", "class Kind"),
    ],
)
def test_the_types_of_parameters_count(tmp_path, old, new, named):
    text = """
    import enum
    from datetime import date as hy_date
    LIMIT = 1
    class Kind(enum.Enum):
        A = 1
        def __str__(self): return 'a'
    p = hy.param(str)
    e = hy.param(Kind)
    @hy.stage(inputs={'c': 1})
    def s(p, e, c): return p, e, c
    """
    assert old in text
    edited = of_stage(tmp_path, text.replace(old, new))
    assert named in changed(of_stage(tmp_path, text), edited)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("k = hy.param(int)\n@hy.stage\ndef s(): return k\n", "parameter k is read as a global"),
        (
            "k = hy.param(int)\ndef deep(): return k\n@hy.stage\ndef s(): return deep()\n",
            "parameter k is read as a global",
        ),
        (
            "k = hy.param(int)\nclass C:\n def m(self): return k\n@hy.stage\ndef s(): return C\n",
            "parameter k is read as a global",
        ),
        ("k = hy.csv('k')\n@hy.stage\ndef s(): return k\n", "source k is read as a global"),
        ("F = open('/dev/null')\n@hy.stage\ndef s(): return F\n", "global F cannot be compared"),
        ("G = (i for i in [])\n@hy.stage\ndef s(): return G\n", "global G cannot be compared"),
    ],
)
def test_what_cannot_be_followed_is_told_with_its_line(tmp_path, body, told):
    with pytest.raises(UsageError) as caught:
        of_stage(tmp_path, body)
    assert told in caught.value.what and caught.value.fix
    assert caught.value.where.object == str(tmp_path / "job.py") and caught.value.where.line


def test_a_parameter_may_have_the_name_of_a_global_one(tmp_path):
    assert "s()" in of_stage(tmp_path, "k = hy.param(int)\n@hy.stage\ndef s(k): return k\n")


def test_every_process_gives_the_same_components(tmp_path):
    write(tmp_path, SHOPLIB, "shoplib.py")
    write(
        tmp_path,
        textwrap.dedent(BASE) + "SETS = {'x', 'y', 'z'}\n@hy.stage\ndef t(): return SETS\n",
    )
    program = (
        "import json, sys\nfrom hayate.job import load_job\nfrom hayate.code_key import CodeKeys\n"
        "job = load_job(sys.argv[1])\nkeys = CodeKeys(job.module.__name__)\n"
        "print(json.dumps([keys.of(one) for one in job.stages.values()]))"
    )
    seen = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "job.py")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(json.dumps(json.loads(done.stdout)))
    assert len(seen) == 1


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=10,
)


def digest(value: object) -> str:
    return Digester(lambda found: found.__qualname__, lambda _: False).digest(value)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_values_have_one_digest_exactly_if_they_are_written_alike(one, other):
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


ORDERS = [("ab", False), ("ba", False), ("abc", False), ("ab", True)]
NAMES = [("x", "y"), ("x", "z"), (None, None)]


def test_tables_and_arrays_count_by_content():
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    for make in (
        lambda x: np.array([1.5, x]),
        lambda x: np.array(["a", x], dtype=object),
        lambda x: pd.DataFrame({"a": [1, 2], "b": ["u", str(x)]}),
        lambda x: pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [x, "1"]}),
        lambda x: pd.Series([x, 2], index=["p", "q"]),
        lambda x: pl.DataFrame({"a": [1, x]}),
        lambda x: pa.table({"a": [1, x]}),
    ):
        assert digest(make(3)) == digest(make(3)) != digest(make(4))
    assert digest(pd.Series([1, "1"], dtype=object)) != digest(pd.Series(["1", 1], dtype=object))
    assert digest(pd.Series([1, 2])) != digest(pd.Series([1.0, 2.0]))
    series = pd.Series(["a", "b"])
    different = [
        *(series, series.rename("x"), series.rename_axis("x")),
        *(series.astype(pd.CategoricalDtype(list(names), sorted_)) for names, sorted_ in ORDERS),
        *(series.to_frame(), series.to_frame().rename_axis(columns="x")),
        *(pd.Series([1, 2], pd.MultiIndex.from_product([[1], [2, 3]], names=n)) for n in NAMES),
    ]
    assert len({digest(one) for one in different}) == len(different)
    sliced = pa.table({"a": [0, 1, 3]}).slice(1)
    assert digest(sliced) == digest(pa.table({"a": [1, 3]}))


def test_a_value_without_content_is_told():
    with pytest.raises(NoContentError, match="generator"):
        digest({"a": [(i for i in ())]})


def test_distributions_come_with_their_requirements():
    assert distributions_of("pandas") == ("pandas",)
    found = versions("pandas")
    assert {"pandas", "numpy"} <= found.keys()
    assert distributions_of("no_such_module_anywhere") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("__LIMIT = 3", "__LIMIT = 4"),
        ("match 1:\n    case 1: put(1)", "match 1:\n    case 1: put(2)"),
        ("print(put(1))", "print(put(2))"),
        ("__LIMIT = 3", "__LIMIT = 3\nprint(put(1))"),
    ],
)
def test_what_looks_private_or_quiet_counts_all_the_same(tmp_path, old, new):
    text = """
put = list().append
__LIMIT = 3
match 1:
    case 1: put(1)
print(put(1))
a = hy.csv("a.csv")

@hy.stage
def s(a):
    return __LIMIT
"""
    assert old in text
    assert changed(components(tmp_path, text), components(tmp_path, text.replace(old, new)))


def test_what_only_says_something_does_not_count(tmp_path):
    quiet = BASE + '\nimport logging\nprint("day", 1)\nlogging.getLogger("x").info("a")\n'
    assert changed(components(tmp_path), components(tmp_path, quiet)) == set()
