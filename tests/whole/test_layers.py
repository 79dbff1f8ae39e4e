"""The layers of ARCHITECTURE.md: an include points down, never up or sideways."""

import re
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "src" / "hayate"
MAY_INCLUDE = {
    "base": set(),
    "source": {"base"},
    "cloud": {"base", "source"},
    "inflate": {"base"},
    "csv": {"base"},
    "frame": {"base"},
    "observe": {"base"},
    "ingest": {"base", "source", "inflate", "csv", "frame"},
    "output": {"base", "csv", "frame"},
    "shuffle": {"base", "frame"},
    "worker": {
        "base",
        "source",
        "inflate",
        "csv",
        "frame",
        "ingest",
        "output",
        "shuffle",
        "observe",
    },
}
MAY_INCLUDE["job"] = MAY_INCLUDE["worker"] | {"worker"}
MAY_INCLUDE["cli"] = MAY_INCLUDE["job"] | {"job"}
# Where rows are touched. Elsewhere only what is light: status, result and forward declarations.
TOUCH_ROWS = {"csv", "frame", "ingest", "output", "shuffle", "cli"}
LIGHT_ARROW = {"arrow/status.h", "arrow/result.h", "arrow/type_fwd.h"}


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def test_every_folder_of_the_engine_is_a_known_layer() -> None:
    assert {path.name for path in ENGINE.iterdir() if path.is_dir()} == set(MAY_INCLUDE)


def test_includes_point_down_the_layers_only() -> None:
    wrong = []
    for path in sorted(ENGINE.rglob("*.[ch]*")):
        layer = path.relative_to(ENGINE).parts[0]
        for name in includes(path):
            if name.startswith("hayate/"):
                other = name.split("/")[1]
                if other != layer and other not in MAY_INCLUDE.get(layer, set()):
                    wrong.append(f"{path.relative_to(ENGINE)} includes {name}")
    assert wrong == []


def test_arrow_is_seen_only_where_rows_are_touched() -> None:
    wrong = []
    for path in sorted(ENGINE.rglob("*.[ch]*")):
        layer = path.relative_to(ENGINE).parts[0]
        for name in includes(path):
            heavy = name.startswith(("arrow/", "parquet/")) and name not in LIGHT_ARROW
            codec = layer == "inflate" and name == "arrow/util/compression.h"
            if heavy and not codec and layer not in TOUCH_ROWS:
                wrong.append(f"{path.relative_to(ENGINE)} includes {name}")
    assert wrong == []
