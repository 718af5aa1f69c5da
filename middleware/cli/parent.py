"""A child process of ours ends when the one that started it does."""

from __future__ import annotations

import os
import signal
import threading


def stop_with_parent() -> None:
    """End this process when the one that started it does (its end of stdin closes)."""
    if os.environ.get("CARECUE_STOP_WITH_STDIN") != "1":
        return
    os.environ.pop("CARECUE_STOP_WITH_STDIN")

    def watch() -> None:
        while os.read(0, 4096):
            continue
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
