"""An append-only journal of JSON lines, so that a restart finds the same state.

One line is `[kind, record, ...]`: what was appended together is cut off together.
It may not know what the records mean.
"""

import threading
from pathlib import Path
from typing import Any

import orjson

FILE_NAME = "journal.jsonl"


class Journal:
    """Keeps records by kind in `data_dir/journal.jsonl`; None keeps nothing.

    A last line that a kill cut short is dropped at opening; a broken line before
    it raises ValueError, for then the file is not what was written.
    """

    def __init__(self, data_dir: Path | None) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[str, list[dict[str, Any]]] = {}
        self._file = None
        if data_dir is None:
            return
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / FILE_NAME
        if path.exists():
            whole = self._load(path)
            with path.open("r+b") as file:
                file.truncate(whole)
        self._file = path.open("ab")

    def recorded(self, kind: str) -> list[dict[str, Any]]:
        """Answer, once, the records of a kind found at opening, oldest first."""
        return self._recorded.pop(kind, [])

    def append(self, kind: str, *records: dict[str, Any]) -> None:
        """Write records of a kind as one flushed line: all of them or none."""
        if self._file is None:
            return
        line = orjson.dumps([kind, *records]) + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        """Close the file; later appends raise ValueError."""
        if self._file is not None:
            with self._lock:
                self._file.close()

    def _load(self, path: Path) -> int:
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                kind, *records = orjson.loads(line)
                self._recorded.setdefault(kind, []).extend(records)
                whole += len(line)
        return whole
