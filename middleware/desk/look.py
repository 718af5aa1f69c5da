"""The stylesheet that the clinician's app and the console share.

Each serves it below its own static path, so that no proxy has to learn another.
"""

from __future__ import annotations

from pathlib import Path

LOOK = Path(__file__).parent / "static" / "look.css"
