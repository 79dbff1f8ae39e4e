"""hayate run, as a user runs it: results, order, resume, reasons."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq

JOB = """
import hayate as hy

FACTOR = 2
data = hy.csv("data/*.csv.gz")


@hy.stage(partition_by="user_id")
def features(data):
    spent = data.groupby("user_id")["price"].transform("sum")
    return data.assign(spent=spent * FACTOR)


@hy.stage
def mean(features):
    return {"mean": float(features["spent"].mean())}


@hy.stage(rows=40)
def scores(features, mean):
    return features[["event_id"]].assign(over=features["spent"] > mean["mean"])


hy.output(scores, "out/scores.parquet")
hy.output(scores, "out/scores.csv")
"""


def prepare(project, clicks) -> None:
    project.write_gzip("data/a-0.csv.gz", clicks(0, 60))
    project.write_gzip("data/a-1.csv.gz", clicks(60, 40))
    (project.folder / "job.py").write_text(JOB)


def test_whole_job_gives_what_pandas_gives(project, clicks):
    prepare(project, clicks)
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    data = pd.concat([pd.read_csv(path) for path in sorted((project.folder / "data").iterdir())])
    spent = data.groupby("user_id")["price"].transform("sum") * 2
    expected = dict(zip(data["event_id"], spent > spent.mean(), strict=True))
    scores = pq.read_table(project.folder / "out/scores.parquet").to_pandas()
    assert dict(zip(scores["event_id"], scores["over"], strict=True)) == expected
    text = pd.read_csv(project.folder / "out/scores.csv")
    assert text["event_id"].tolist() == scores["event_id"].tolist()
    assert text["over"].tolist() == scores["over"].tolist()
    assert project.leftovers() == []


def test_result_does_not_depend_on_the_number_of_cores(project, clicks):
    prepare(project, clicks)
    assert project.hayate("run", "job.py", "-j", "1", "--store", "one").code == 0
    one = (project.folder / "out/scores.csv").read_bytes()
    assert project.hayate("run", "job.py", "-j", "4", "--store", "four").code == 0
    assert (project.folder / "out/scores.csv").read_bytes() == one


def test_second_run_does_nothing_and_an_edit_reruns_what_depends_on_it(project, clicks):
    prepare(project, clicks)
    assert project.hayate("run", "job.py").code == 0
    plan = project.hayate("plan", "job.py").out
    assert "code of" not in plan

    job = project.folder / "job.py"
    job.write_text(JOB.replace("FACTOR = 2", "FACTOR = 2  # twice"))
    assert project.hayate("plan", "job.py").out == plan

    job.write_text(JOB.replace("> mean", ">= mean"))
    changed = project.hayate("plan", "job.py").out
    (line,) = [line for line in changed.splitlines() if "scores()" in line]
    assert "changed" in line

    job.write_text(JOB.replace("FACTOR = 2", "FACTOR = 3"))
    assert "FACTOR" in project.hayate("plan", "job.py").out
    assert project.hayate("run", "job.py").code == 0


def test_changed_shard_reruns_and_a_touched_one_does_not(project, clicks):
    prepare(project, clicks)
    assert project.hayate("run", "job.py").code == 0
    unchanged = project.hayate("plan", "job.py").out
    shard = project.folder / "data/a-1.csv.gz"
    shard.touch()
    assert project.hayate("run", "job.py").code == 0
    assert project.hayate("plan", "job.py").out == unchanged
    project.write_gzip("data/a-1.csv.gz", clicks(60, 41))
    assert "a-1.csv.gz" in project.hayate("plan", "job.py").out


def test_group_by_keeps_the_order_of_first_appearance(project):
    project.write("data.csv", "k,v\nb,1\na,2\nb,3\n,4\na,5\nc,6\n")
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv")

        @hy.stage(group_by="k")
        def sums(data):
            return data.head(1).assign(v=data["v"].sum())

        hy.output(sums, "out.csv")
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert (project.folder / "out.csv").read_text() == "k,v\nb,4\na,7\n,4\nc,6\n"


def test_split_gives_the_same_keys_of_both(project):
    project.write("a.csv", "k,v\n1,10\n2,20\n3,30\n")
    project.write("b.csv", "k,w\n3,3\n1,1\n1,11\n")
    project.write(
        "job.py",
        """
        import hayate as hy

        a = hy.csv("a.csv")
        b = hy.csv("b.csv")

        @hy.stage(partition_by="k", split=("a", "b"))
        def joined(a, b):
            return a.merge(b, on="k", how="inner")

        hy.output(joined, "out.csv")
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    lines = (project.folder / "out.csv").read_text().splitlines()
    assert lines[0] == "k,v,w"
    assert sorted(lines[1:]) == ["1,10,1", "1,10,11", "3,30,3"]


def test_stages_in_a_loop_several_outputs_and_parameters(project):
    project.write("data.csv", "v\n" + "".join(f"{i}\n" for i in range(10)))
    project.write("lib.py", "def scaled(frame, k):\n    return frame.assign(v=frame['v'] * k)\n")
    project.write(
        "job.py",
        """
        import hayate as hy
        import lib

        limit = hy.param(int)
        data = hy.csv("data.csv")

        @hy.stage(outputs=("low", "high"))
        def halves(data, limit):
            return data[data["v"] < limit], data[data["v"] >= limit]

        async def fold(x, k):
            print(f"fold {k} has {len(x)} rows")
            return lib.scaled(x, k)

        low = halves["low"]
        folds = [hy.stage(fold, name=f"fold{k}", inputs={"x": low, "k": k}) for k in (1, 2)]
        hy.output(folds[1], "out-{limit}.csv")
        """,
    )
    ran = project.hayate("run", "job.py", "--set", "limit=3")
    assert ran.code == 0, ran.err
    assert (project.folder / "out-3.csv").read_text() == "v\n0\n2\n4\n"
    (log,) = (project.folder / ".hayate/runs").glob("*/log")
    assert "fold 2 has 3 rows" in log.read_text()


def test_what_stages_say_reaches_the_log_of_the_run(project):
    project.write("data.csv", "v\n1\n2\n")
    project.write("shop/__init__.py", "")
    project.write(
        "shop/rates.py",
        """
        import logging

        from . import names

        log = logging.getLogger(__name__)

        def rated(rows):
            log.info("rates of %s", names.SHOP)
            return rows
        """,
    )
    project.write("shop/names.py", "SHOP = 'Nihonbashi'\n")
    project.write(
        "job.py",
        """
        import asyncio
        import os
        import warnings

        import hayate as hy
        from shop import rates

        data = hy.csv("data.csv")

        @hy.stage(rows=1)
        async def forked(data):
            await asyncio.sleep(0)
            print("printed by", data["v"].iloc[0])
            return rates.rated(data)

        @hy.stage
        async def whole(forked):
            warnings.warn("rates are old")
            os.write(1, b"from below Python\\n")
            return {"rows": len(forked)}
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    (log,) = (project.folder / ".hayate/runs").glob("*/log")
    text = log.read_text()
    for said in ("printed by 1", "printed by 2", "INFO shop.rates: rates of Nihonbashi"):
        assert said in text, text
    for said in ("rates are old", "from below Python"):
        assert said in text, text


def test_stages_of_a_loop_read_each_other(project):
    project.write("data.csv", "v\n1\n2\n3\n")
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv")

        def fold(data, k):
            return data[data["v"] != k]

        def total(**folds):
            return {name: int(rows["v"].sum()) for name, rows in folds.items()}

        folds = {
            f"fold{k}": hy.stage(fold, name=f"fold{k}", inputs={"data": data, "k": k})
            for k in (1, 2, 3)
        }
        totals = hy.stage(total, name="totals", inputs=folds)
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    for name, value in {"fold1": 5, "fold2": 4, "fold3": 3}.items():
        assert f"{name} {value}" in ran.out + ran.err


def test_filtered_rows_are_written_without_their_labels(project):
    keep = [1, 0, 1, 0, 1, 1, 1, 0, 0, 1]
    project.write("data.csv", "x,keep\n" + "".join(f"{i},{k}\n" for i, k in enumerate(keep)))
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv")

        @hy.stage(rows=5)
        def some(data):
            return data[data["keep"] == 1]

        @hy.stage(rows=5)
        def uneven(data):
            return data[data["x"] % 5 != 3]

        @hy.stage(as_="arrow")
        def seen(some, uneven):
            return {"some": str(some.column_names), "uneven": str(uneven.column_names)}

        hy.output(some, "some.csv")
        hy.output(uneven, "uneven.csv")
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    for name, rows in {"some": [0, 2, 4, 5, 6, 9], "uneven": [0, 1, 2, 4, 5, 6, 7, 9]}.items():
        expected = "x,keep\n" + "".join(f"{i},{keep[i]}\n" for i in rows)
        assert (project.folder / f"{name}.csv").read_text() == expected
        assert f"{name} ['x', 'keep']" in ran.out + ran.err


def test_object_of_a_class_of_the_job_is_a_result_elsewhere(project):
    project.write("data.csv", "v\n1\n")
    project.write(
        "lib.py", "class Rate:\n    def __init__(self, rate):\n        self.rate = rate\n"
    )
    project.write(
        "pricing.py",
        """
        import hayate as hy
        from lib import Rate

        data = hy.csv("data.csv")

        class Model:
            def __init__(self, rate):
                self.rate = rate

        @hy.stage
        def model(data):
            return Model(Rate(int(data["v"].sum())))

        @hy.stage
        def checked(model):
            assert isinstance(model, Model) and isinstance(model.rate, Rate)
            return {"rate": model.rate.rate}
        """,
    )
    ran = project.hayate("run", "pricing.py")
    assert ran.code == 0, ran.err
    elsewhere = "import hayate as hy; print(hy.result('pricing.py', 'model').rate.rate)"
    done = subprocess.run(
        [sys.executable, "-c", elsewhere], cwd=project.folder, capture_output=True, text=True,
        env=project.environment() | {"PYTHONSAFEPATH": "1"}, check=False,
    )  # fmt: skip
    assert done.stdout == "1\n", done.stderr


def test_second_run_at_once_is_refused_with_no_wait(project, clicks):
    import os

    prepare(project, clicks)
    os.mkfifo(project.folder / "fifo")
    (project.folder / "job.py").write_text(
        JOB.replace("    spent =", "    open('fifo').read()\n    spent =")
    )
    first = project.start("run", "job.py", "-j", "1")
    writer = os.open(project.folder / "fifo", os.O_WRONLY)
    second = project.hayate("run", "job.py", "--no-wait")
    os.close(writer)
    _, error = first.communicate(timeout=60)
    assert first.returncode == 0, error
    assert second.code == 1
    assert "another run" in second.err


def test_from_fresh_and_targets_choose_what_runs(project, clicks):
    prepare(project, clicks)
    ran = project.hayate("run", "job.py", "mean")
    assert ran.code == 0, ran.err
    assert not (project.folder / "out").exists()
    assert project.hayate("run", "job.py").code == 0
    plan = project.hayate("plan", "job.py", "--from", "mean").out
    (line,) = [line for line in plan.splitlines() if line.lstrip().startswith("mean")]
    assert "--from" in line
    assert project.hayate("run", "job.py", "--fresh").code == 0


def test_a_stage_may_take_the_frame_itself(project):
    project.write("data.csv", "x\n1\n2\n")
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv")

        @hy.stage(as_="frame")
        def count(data):
            import pandas as pd

            return pd.DataFrame({"rows": [data.rows], "kind": [type(data).__name__]})

        @hy.stage
        def same(data: hy.Frame):
            return data.to("pandas")

        hy.output(count, "count.csv")
        hy.output(same, "same.csv")
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert (project.folder / "count.csv").read_text() == "rows,kind\n2,Frame\n"
    assert (project.folder / "same.csv").read_text() == "x\n1\n2\n"
