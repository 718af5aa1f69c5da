"""What the tests of peers tell of an answer."""

from __future__ import annotations

from typing import Any

import requests

from tests.product import Product, Row

CURRENT = [("Encounter/e1", "3", "update")]


def in_2xx(answer: requests.Response) -> bool:
    """Most servers: any success will do."""
    return 200 <= answer.status_code < 300


def told(product: Product) -> list[tuple[Any, ...]]:
    """Return what is to be read; nothing may have been set aside."""
    rows: list[Row] = product.kept()
    assert {row["state"] for row in rows} == {"stored"}
    return [
        (row["focus"], row["version"], row["interaction"]) for row in product.told()
    ]
