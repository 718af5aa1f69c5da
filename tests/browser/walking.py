"""A walk of chance through several tabs: what may be seen in each, step by step."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field

from playwright.sync_api import Error

PEOPLE = {"rosa": "Rosa", "james": "James", "grace": "Grace", "carlos": "Carlos"}
LEAST_TABS, MOST_TABS = 2, 6
WAIT_MS = 30_000
# A frame between two pages may not answer at all, and then it shows none.
LOOK_MS = 10_000
LAUNCH = re.compile(r"/l/([0-9a-f-]{36})/")
CHART = re.compile(r"/ehr/patient/([a-z]+)")
# What is done how often: as people do, who rather look than launch.
WAYS = {
    "refresh": 5,
    "back": 5,
    "turn": 5,
    "ask": 4,
    "reload": 1,
    "relaunch": 2,
    "again": 1,
    "steal": 1,
    "open": 2,
    "duplicate": 1,
    "kill": 3,
}
READ = """() => [document.body?.dataset.patient ?? '',
    document.body ? document.body.innerText : '']"""


@dataclass
class Walk:
    """The tabs of one browser, and what was done in them."""

    context: object
    site: object
    chance: random.Random
    tabs: list = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    whose: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    stumbles: list[str] = field(default_factory=list)

    def go(self, steps: int) -> None:
        """Take so many steps."""
        for number in range(steps):
            self.step(number)

    def step(self, number: int) -> None:
        """Do one thing in one tab, then look into every tab."""
        name = self.choose()
        tab = self.chance.choice(self.tabs) if self.tabs else None
        try:
            getattr(self, name)(tab)
        except Error as error:
            # The browser was on its way elsewhere; what it shows is looked at as ever.
            self.stumbles.append(f"{number}: {name}: {error.message.splitlines()[0]}")
            stuck = self.tabs[-1] if name in {"open", "duplicate"} else tab
            self.recover(stuck, f"step {number}: {name}")
        self.done[name] = self.done.get(name, 0) + 1
        for each in self.tabs:
            self.look(each, f"step {number}: {name}")

    def choose(self) -> str:
        """Choose what to do, within the number of tabs."""
        if len(self.tabs) < LEAST_TABS:
            return "open"
        ways = dict(WAYS)
        if len(self.tabs) == MOST_TABS:
            del ways["open"], ways["duplicate"]
        if len(self.tabs) == LEAST_TABS:
            del ways["kill"]
        return self.chance.choices([*ways], weights=[*ways.values()])[0]

    def open(self, _) -> None:
        """Open a chart in a new tab, and the app in it."""
        tab = self.context.new_page()
        self.tabs.append(tab)
        self.launch(tab, self.chance.choice(sorted(PEOPLE)))

    def relaunch(self, tab) -> None:
        """Go to another chart in the same tab, and open the app there."""
        self.launch(tab, self.chance.choice(sorted(PEOPLE)))

    def again(self, tab) -> None:
        """Open the app once more from the same chart."""
        self.launch(tab, person_of(tab))

    def refresh(self, tab) -> None:
        """Load the app's frame again."""
        frame = self.frame(tab)
        frame.goto(frame.url, wait_until="domcontentloaded")

    def reload(self, tab) -> None:
        """Load the whole tab again."""
        tab.reload(wait_until="domcontentloaded")
        self.wait(tab)

    def back(self, tab) -> None:
        """Go back in a tab, and forward again."""
        for way in ("back", "forward"):
            run(tab, f"history.{way}()")
            tab.wait_for_timeout(60)
            self.look(tab, way)
        self.settle(tab)

    def turn(self, tab) -> None:
        """Turn to another tab."""
        tab.bring_to_front()

    def ask(self, tab) -> None:
        """Open a form of the page."""
        self.frame(tab).locator("a[href$='/pause']:visible, h1:visible").first.click()

    def duplicate(self, tab) -> None:
        """Open what stands in a tab in another one as well."""
        twin = self.context.new_page()
        twin.goto(tab.url, wait_until="domcontentloaded")
        self.tabs.append(twin)
        self.wait(twin)

    def steal(self, tab) -> None:
        """Put the address of one tab's frame into another's."""
        other = self.chance.choice(self.tabs)
        mine, theirs = self.frame(tab), self.frame(other)
        where = theirs.url
        mine.goto(where, wait_until="domcontentloaded")

    def kill(self, tab) -> None:
        """End a tab in the middle of a load."""
        run(self.frame(tab), "location.reload()")
        self.close(tab)

    def launch(self, tab, person: str) -> None:
        """Open a chart in a tab, and click on the app."""
        tab.goto(f"{self.site.ehr}/ehr/patient/{person}", wait_until="commit")
        tab.get_by_role("link", name="Launch CareCue").click()
        self.wait(tab)

    def recover(self, stuck, when: str) -> None:
        """Look at the tab that did not come, and give it up, and those without a chart."""
        for tab in list(self.tabs):
            if tab is stuck:
                self.look(tab, when)
            if tab is stuck or not CHART.search(tab.url):
                self.close(tab)

    def close(self, tab) -> None:
        """End a tab; the driver sets no limit to that, and now and then it never ends."""
        self.tabs.remove(tab)
        try:
            ended = tab._impl_obj.close(reason=None, run_before_unload=None)
            tab._sync(asyncio.wait_for(ended, WAIT_MS / 1000))
        except TimeoutError:
            self.stumbles.append("a tab was left behind")

    def settle(self, tab) -> None:
        """Open the app again where going back and forth has led out of it."""
        tab.wait_for_load_state("domcontentloaded")
        chart = CHART.search(tab.url)
        try:
            inside = chart is not None and tab.locator("iframe.app").count() == 1
        except Error:
            inside = False
        if not inside:
            self.launch(tab, chart[1] if chart else min(PEOPLE))

    def wait(self, tab) -> None:
        """Wait until the app stands in its frame."""
        tab.frame_locator("iframe.app").locator("h1:visible").first.wait_for(
            timeout=WAIT_MS
        )

    def frame(self, tab) -> object:
        """Return the app's frame of a tab, once the app stands in it."""
        self.wait(tab)
        found = [one for one in tab.frames if one.url.startswith(self.site.app)]
        assert found, [one.url for one in tab.frames]
        return found[0]

    def look(self, tab, when: str) -> None:
        """Hold that a tab shows its own patient or nobody."""
        for frame in tab.frames:
            if not frame.url.startswith(self.site.app):
                continue
            try:
                found = frame.wait_for_function(READ, timeout=LOOK_MS)
                patient, text = found.json_value()
            except Error:
                # The frame is on its way to another page, and shows none now.
                continue
            self.looks += 1
            lid = LAUNCH.search(frame.url)
            if lid is None or not patient:
                assert not [name for name in PEOPLE.values() if name in text], when
                continue
            # A launch is of the chart that it was opened from, wherever it is shown.
            person = self.whose.setdefault(lid[1], person_of(tab))
            others = [name for key, name in PEOPLE.items() if key != person]
            assert patient == f"Patient/{person}", when
            assert not [name for name in others if name in text], when
            assert PEOPLE[person] in text or not text.strip(), when


def run(where, what: str) -> None:
    """Let a page do something as soon as it is asked; an Error when it never answers."""
    call = f"() => {{ setTimeout(() => {{ {what}; }}, 0); return true; }}"
    where.wait_for_function(call, timeout=WAIT_MS)


def person_of(tab) -> str:
    """Return whose chart the EHR shows around the app."""
    return CHART.search(tab.url)[1]
