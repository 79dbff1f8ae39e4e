"""BigQuery and Google's credentials: what is asked, started, watched and cleaned up there.

Bytes are moved by the engine (`hayate._core`); this is the control around it. Google's packages are
the extra ``hayate[bigquery]`` and are imported only once they are needed.
"""

from hayate.google.parameters import Typed

__all__ = ["Typed"]
