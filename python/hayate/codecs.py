"""What stages return besides tables ↔ files: each kind of value in its own format.

NumPy arrays are ``.npy`` and mapped when loaded; plain values are JSON; LightGBM and XGBoost
boosters and scikit-learn estimators use their libraries' formats; the rest is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hayate import _core, tagged_json
from hayate.errors import InputError, UsageError, Where
from hayate.manifest import Manifest


@dataclass(frozen=True)
class Codec:
    """One format of values.

    Attributes:
        name: as in the manifest.
        extension: of the part's file.
        write: writes a value to a path; returns what has to be kept beside it (JSON).
        read: the value of a path and what was kept.
    """

    name: str
    extension: str
    write: Callable[[Any, str], dict[str, Any]]
    read: Callable[[str, dict[str, Any]], Any]


@dataclass(frozen=True)
class ValuePart:
    """How a value is stored: its codec, and what the part's sidecar keeps about it."""

    codec: Codec
    extra: dict[str, Any] = field(default_factory=dict)


def _write_npy(value: Any, path: str) -> dict[str, Any]:
    import numpy as np

    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.asanyarray(value), allow_pickle=False)
    return {}


def _read_npy(path: str, _: dict[str, Any]) -> Any:
    import numpy as np

    if os.path.getsize(path) == 0:
        raise ValueError("the file is empty")
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    return array.view(np.ndarray)


def _write_json(value: Any, path: str) -> dict[str, Any]:
    with open(path, "w", encoding="utf-8") as file:
        file.write(tagged_json.dumps(value))
    metrics = tagged_json.plain_metrics(value)
    return {"metrics": metrics} if metrics else {}


def _read_json(path: str, _: dict[str, Any]) -> Any:
    with open(path, encoding="utf-8") as file:
        return tagged_json.loads(file.read())


def _write_lightgbm(value: Any, path: str) -> dict[str, Any]:
    # All iterations; the best one, which predict() stops at, is kept beside the model.
    with open(path, "w", encoding="utf-8") as file:
        file.write(value.model_to_string(num_iteration=-1))
    return {
        "best_iteration": value.best_iteration,
        "best_score": tagged_json.dumps(_best_score(value)),
    }


def _best_score(booster: Any) -> dict[str, Any]:
    return {name: dict(scores) for name, scores in dict(booster.best_score).items()}


def _read_lightgbm(path: str, kept: dict[str, Any]) -> Any:
    import lightgbm

    with open(path, encoding="utf-8") as file:
        booster = lightgbm.Booster(model_str=file.read())
    booster.best_iteration = kept.get("best_iteration", -1)
    booster.best_score = tagged_json.loads(kept.get("best_score", "{}"))
    return booster


def _write_xgboost(value: Any, path: str) -> dict[str, Any]:
    with open(path, "wb") as file:
        file.write(value.save_raw(raw_format="ubj"))
    return {}


def _read_xgboost(path: str, _: dict[str, Any]) -> Any:
    import xgboost

    with open(path, "rb") as file:
        return xgboost.Booster(model_file=bytearray(file.read()))


def _write_skops(value: Any, path: str) -> dict[str, Any]:
    import skops.io

    skops.io.dump(value, path)
    return {}


def _read_skops(path: str, _: dict[str, Any]) -> Any:
    import skops.io

    return skops.io.load(path)


def _write_pickle(value: Any, path: str) -> dict[str, Any]:
    import cloudpickle

    with open(path, "wb") as file:
        cloudpickle.dump(value, file, protocol=5)
    return {}


def _read_pickle(path: str, _: dict[str, Any]) -> Any:
    import pickle

    with open(path, "rb") as file:
        return pickle.load(file)


NPY = Codec("npy", ".npy", _write_npy, _read_npy)
JSON = Codec("json", ".json", _write_json, _read_json)
LIGHTGBM = Codec("lightgbm", ".txt", _write_lightgbm, _read_lightgbm)
XGBOOST = Codec("xgboost", ".ubj", _write_xgboost, _read_xgboost)
SKOPS = Codec("skops", ".skops", _write_skops, _read_skops)
CLOUDPICKLE = Codec("cloudpickle", ".pkl", _write_pickle, _read_pickle)
_BY_NAME = {one.name: one for one in (NPY, JSON, LIGHTGBM, XGBOOST, SKOPS, CLOUDPICKLE)}


def codec_of(value: Any) -> Codec:
    """The codec that stores `value` without loss."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value) is numpy.ndarray:
        return CLOUDPICKLE if value.dtype.hasobject else NPY
    lightgbm = sys.modules.get("lightgbm")
    if lightgbm is not None and type(value) is lightgbm.Booster:
        # A metric may return anything; only a pickle keeps what is no number.
        return LIGHTGBM if _is_plain(_best_score(value)) else CLOUDPICKLE
    xgboost = sys.modules.get("xgboost")
    if xgboost is not None and type(value) is xgboost.Booster:
        return XGBOOST
    if _skops_knows(value):
        return SKOPS
    return JSON if _is_plain(value) else CLOUDPICKLE


def _is_plain(value: Any) -> bool:
    try:
        tagged_json.dumps(value)
    except tagged_json.NotPlainError:
        return False
    return True


def _skops_knows(value: Any) -> bool:
    """Whether it is an estimator that skops loads again without having to trust its file."""
    sklearn = sys.modules.get("sklearn.base")
    if sklearn is None or not isinstance(value, sklearn.BaseEstimator):
        return False
    try:
        import skops.io
    except ImportError:
        return False
    try:
        return not skops.io.get_untrusted_types(data=skops.io.dumps(value))
    except Exception:  # what skops cannot take is pickled
        return False


def write_value(
    value: Any,
    directory: str,
    number: int,
    extra: dict[str, Any] | None = None,
    codec: Codec | None = None,
) -> dict[str, Any]:
    """Stores a value as part `number` of a frame; returns the part's sidecar.

    Args:
        value: anything but a table.
        directory: of the frame; made if it is not there.
        number: of the part.
        extra: kept in the sidecar beside what the codec keeps.
        codec: instead of the one that suits the value.

    Raises:
        UsageError: the value cannot be stored even by pickling.
        StorageError: the disk is full or failed.
    """
    codec = codec or codec_of(value)
    file = f"part-{number:05d}{codec.extension}"
    if codec is JSON:
        file = f"part-{number:05d}.value.json"  # part-00000.json is the sidecar's name
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, file)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        kept = codec.write(value, temporary)
        os.replace(temporary, path)
    except OSError:
        raise
    except Exception as error:
        raise UsageError(
            f"a value of type {type(value).__name__} cannot be stored: {error}",
            fix="Return a data frame, a NumPy array, a model, or plain values.",
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    described = {**(extra or {}), **kept, "type": type(value).__name__}
    written: dict[str, Any] = json.loads(
        _core.adopt_part(directory, number, file, codec.name, json.dumps(described))
    )
    return written


def read_value(path: str, codec: str, extra: dict[str, Any]) -> Any:
    """The value of a part.

    Raises:
        InputError: the file is damaged or a library that it needs is missing; names the file.
    """
    if codec not in _BY_NAME:
        raise InputError(
            f'the part\'s codec "{codec}" is not known to this version',
            Where(object=path),
            "Use the version of hayate that wrote it, or run again with --fresh.",
        )
    try:
        return _BY_NAME[codec].read(path, extra)
    except ImportError as error:
        raise InputError(
            f"the value needs a module that cannot be imported: {error}",
            Where(object=path),
            "Install it, or run again with --fresh.",
        ) from error
    except Exception as error:
        raise InputError(
            f"the stored value cannot be read: {type(error).__name__}: {error}",
            Where(object=path),
            "Run again with --fresh.",
        ) from error


def load_values(manifest: Manifest) -> Any:
    """What a stage that made no table returned: the value, or for a split stage the list of values.

    The list is in the order of the partitions; for ``group_by`` one value per group, groups by
    first appearance.
    """
    # A partition without rows has no value; its part is a table without columns.
    parts = [part for part in manifest.parts if part["codec"] != "arrow"]
    extras = [part.get("extra") or {} for part in parts]
    values = [
        read_value(manifest.part_path(part), part["codec"], extra)
        for part, extra in zip(parts, extras, strict=True)
    ]
    if any("first_rows" in extra for extra in extras):
        return [value for _, value in sorted(_by_group(values, extras), key=lambda pair: pair[0])]
    if len(values) == 1 and extras[0].get("mode") == "once":
        return values[0]
    if extras and all(extra.get("mode") == "items" for extra in extras):
        return [result for results in values for result in results]
    return values


def _by_group(values: list[Any], extras: list[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
    for results, extra in zip(values, extras, strict=True):
        yield from zip(extra["first_rows"], results, strict=True)
