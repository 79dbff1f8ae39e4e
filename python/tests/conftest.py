"""Lets the tests import what they share (data_frames.py) in pytest's importlib mode."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
