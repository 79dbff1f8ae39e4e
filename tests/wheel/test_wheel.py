"""pip install . into a fresh environment, beside the lowest and the highest pyarrow and pandas."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.all

JOB = """
import hayate as hy

data = hy.csv("data.csv")

@hy.stage(partition_by="k")
def doubled(data):
    return data.assign(v=data["v"] * 2)

hy.output(doubled, "out.csv")
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(clone)]
    subprocess.run(words, check=True)
    (built,) = folder.glob("hayate-*.whl")
    # What was built must work without the folder that it was built in.
    clone.rename(folder / "gone")
    return built


@pytest.mark.parametrize(
    "pins",
    [["pyarrow==16.0.0", "pandas==2.2.0", "numpy<2"], ["pyarrow==26.0.1", "pandas==3.1.1"]],
    ids=["lowest", "highest"],
)
def test_wheel_runs_a_job_beside_any_pyarrow_and_pandas(wheel, tmp_path, pins):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = venv / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(wheel), *pins], check=True)
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("HAYATE", "PYTHON"))
    }
    env["PATH"] = f"{venv / 'bin'}:/usr/bin:/bin"
    work = tmp_path / "work"
    work.mkdir()
    (work / "job.py").write_text(JOB)
    (work / "data.csv").write_text("k,v\n" + "".join(f"{i % 3},{i}\n" for i in range(30)))
    subprocess.run(
        ["hayate", "run", str(work / "job.py")], cwd="/", env=env, check=True, timeout=120
    )
    lines = (work / "out.csv").read_text().splitlines()
    assert lines[0] == "k,v"
    assert sorted(int(line.split(",")[1]) for line in lines[1:]) == [2 * i for i in range(30)]
    script = (
        "import hayate as hy, pandas as pd\n"
        "df = hy.read_csv('data.csv')\n"
        "out = hy.map(lambda part: part.assign(v=part['v'] + 1), df, partition_by='k')\n"
        "assert out['v'].sum() == df['v'].sum() + 30\n"
        "hy.save(out, 'x.arrow')\n"
        "pd.testing.assert_frame_equal(hy.load('x.arrow'), out)\n"
    )
    subprocess.run([str(python), "-c", script], cwd=work, env=env, check=True, timeout=120)
    done = subprocess.run(
        ["hayate", "--cmake-dir"], cwd="/", env=env, check=True, capture_output=True, text=True
    )
    assert (Path(done.stdout.strip()) / "hayateConfig.cmake").exists()
