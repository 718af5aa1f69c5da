"""However one goes about in several tabs, none shows another patient than its own."""

import random

import pytest

from tests.browser.walking import MOST_TABS, Walk

pytestmark = pytest.mark.browser
SEED = 20_261_116


@pytest.mark.attack(62)
def test_five_hundred_steps_of_chance_never_show_another_patient(browser, site):
    walk = Walk(browser.new_context(), site, random.Random(SEED))
    walk.go(500)

    assert len(walk.stumbles) < 25, walk.stumbles
    assert walk.looks > 1000
    assert set(walk.done) >= {
        "open",
        "refresh",
        "back",
        "duplicate",
        "relaunch",
        "kill",
    }
    assert len(walk.tabs) <= MOST_TABS
    with site.runtime.database.tx() as tx:
        rows = tx.execute("SELECT count(*) AS n FROM launch WHERE stage = 'open'")
        assert rows.fetchone()["n"] > 20
