"""``python -m middleware.cli`` is the ``carecue`` command."""

from __future__ import annotations

from middleware.cli.main import main

main()
