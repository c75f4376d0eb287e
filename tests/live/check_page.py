#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The flame graph page in a real browser.

    check_page.py PAGE.html [PROFILE.pb.gz] [--empty EMPTY.html] [--screenshot DIR]

PAGE is any page wireprof wrote; with PROFILE, the same profile as pprof, the totals of every class of
every label are compared. What depends on the sample profile (tests/page/make_page.c) is checked if the
page holds it. The page reports its state in document.body.dataset. Exit status 0 only if all is well.
"""
import argparse
import collections
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.parse

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from pprof import Profile

NONE = "(none)"


# --- the browser ---

class Page:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="wireprof-page-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=1440,900", f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        except BaseException:
            shutil.rmtree(self.profile, ignore_errors=True)
            raise

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, path, fragment=""):
        # By way of about:blank: going from one hash of a page to another would not load it again.
        self.driver.get("about:blank")
        self.driver.get("file://" + urllib.parse.quote(os.path.abspath(path)) + ("#" + fragment if fragment else ""))
        self.until(lambda: self.state("ready"), "the page to start")

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def state(self, name):
        return self.js("return document.body.dataset[arguments[0]] || ''", name)

    def number(self, name):
        return float(self.state(name) or 0)

    def fragment(self):
        return self.js("return location.hash.slice(1)")

    def css(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def rows(self):
        """[[cell text]] of the table, as shown."""
        return self.js("return [...document.querySelectorAll('#rows tr')].map(r => [...r.cells].map(c => c.textContent))")

    def row(self, name):
        return self.driver.find_elements(By.CSS_SELECTOR, "#rows tr")[[r[0] for r in self.rows()].index(name)]

    def press(self, keys):
        ActionChains(self.driver).send_keys(keys).perform()

    def until(self, condition, what):
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"timed out waiting for {what}")
            time.sleep(0.02)

    def shot(self, directory, name):
        if directory:
            self.driver.save_screenshot(os.path.join(directory, name + ".png"))


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, wanted, what, tolerance=0.0):
    same = abs(got - wanted) <= tolerance if isinstance(wanted, float) else got == wanted
    check(same, f"{what}: got {got!r}, wanted {wanted!r}")


# --- the checks; each opens the page afresh ---

def check_class_click(page, path):
    """A click on a class shows it alone, in the graph, the totals and the hash; the hash brings it back."""
    page.open(path)
    everything, all_frames = page.number("total"), page.number("frames")
    first, second = page.rows()[0][0], page.rows()[1][0]
    key = page.js("return state.by")
    page.row(first).click()
    one, frames = page.number("total"), page.number("frames")
    check(0 < one < everything, f"class {first} alone has {one} of {everything}")
    check(0 < frames != all_frames, "the graph did not change")
    wanted = key + "=" + urllib.parse.quote(first, safe="()*!~'")  # as encodeURIComponent() does it
    equal(page.fragment(), wanted, "hash after a click")
    equal(page.row(first).get_attribute("aria-selected"), "true", "row is marked")
    check(page.row(second), "other classes stay in the table")

    ActionChains(page.driver).key_down(Keys.CONTROL).click(page.row(second)).key_up(Keys.CONTROL).perform()
    two = page.number("total")
    check(one < two <= everything, "ctrl-click adds a class")
    fragment = page.fragment()
    check(fragment.count(key + "=") == 2, f"two values in the hash: {fragment}")
    page.open(path, fragment)
    equal(page.number("total"), two, "the hash gives the same selection", 1e-6)
    equal(page.fragment(), fragment, "the hash stays as it was opened")
    page.js("location.hash = arguments[0]", wanted)
    page.until(lambda: page.number("total") == one, "hashchange to be followed")
    equal(page.number("frames"), frames, "frames by hashchange")
    page.js("history.back()")
    page.until(lambda: page.number("total") == two, "Back to be followed")
    page.css("#clear").click()
    equal(page.number("total"), everything, "cleared", 1e-6)
    equal(page.fragment(), "", "hash when cleared")


def check_shift_range(page, path):
    page.open(path)
    names = [row[0] for row in page.rows()]
    page.row(names[0]).click()
    last = min(2, len(names) - 1)
    ActionChains(page.driver).key_down(Keys.SHIFT).click(page.row(names[last])).key_up(Keys.SHIFT).perform()
    chosen = [r[0] for r in page.rows() if page.row(r[0]).get_attribute("aria-selected") == "true"]
    equal(chosen, names[:last + 1], "shift-click selects a range")
    page.css("#clear").click()
    page.row(names[0]).click()
    page.row(names[0]).click()
    equal(page.fragment(), "", "a second click takes the class back")


def check_totals(page, path, pprof):
    """Every class of every label: what the page selects is what pprof has."""
    samples = [(s.count, s.nanoseconds, {k: str(v) for k, v in s.labels.items()}) for s in Profile(pprof).samples]
    page.open(path)
    period = page.js("return raw.period_ns")
    keys = sorted({key for _, _, labels in samples for key in labels})
    equal(sorted(page.js("return [...keys.keys()]")), keys, "labels")
    for key in keys:
        wanted = collections.Counter()
        for _, cpu, labels in samples:
            wanted[labels.get(key, NONE)] += cpu
        page.js("change({filters: new Map(), by: arguments[0]}); table.all = true; showTable()", key)
        equal(sorted(r[0] for r in page.rows()), sorted(wanted), f"classes of {key}")
        for value, cpu in list(wanted.items())[:40]:
            page.js("setFilter(arguments[0], new Set([keys.get(arguments[0]).index.get(arguments[1])]))", key, value)
            # a nanosecond of rounding for each run of samples of the class
            equal(page.number("total") * period, float(cpu), f"CPU of {key}={value}", len(samples))
    page.js("change({filters: new Map()})")
    equal(page.number("total"), float(sum(count for count, _, _ in samples)), "samples of all", 0.51)


def check_search(page, path):
    page.open(path)
    name = page.js("return frames.name[stacks.frames[stacks.start[1] - 1]]")
    page.press("/")
    check(page.js("return document.activeElement.id") == "search", "/ goes to the search")
    page.press(f'"{name}"')
    # Counted here in another way: per stack, from the raw arrays.
    wanted = page.js("""
        let sum = 0;
        for (let i = 0; i < samples.count; i++) {
            const s = samples.stack[i];
            const names = [...stacks.frames.slice(stacks.start[s], stacks.start[s + 1])].map(f => frames.name[f]);
            if (names.includes(arguments[0])) sum += samples.weight[i];
        }
        return sum / 1e6;""", name)
    check(wanted > 0, "something to find")
    equal(page.number("matched"), float(wanted), "matched samples", 1e-6)
    share = f"{100 * wanted / page.number('total'):.1f} %"
    check(share in page.css("#matched").text, f"{share} in {page.css('#matched').text!r}")
    equal(urllib.parse.unquote(page.fragment()), f'search="{name}"', "hash of a search")
    check("Matched" in page.css("#columns").text, "the classes tell their matched share")
    page.js("document.activeElement.blur()")
    page.press("n")
    check(page.js("return graph.cursor && view.frameHit[view.tree.frame[graph.cursor.node]]"), "n goes to a match")
    if page.number("zoom"):  # it was too narrow to be seen
        page.press(Keys.ESCAPE)
    page.press(Keys.ESCAPE)
    equal(page.state("matched"), "0", "Escape ends the search")
    page.press("/")
    page.press("/(/")
    check("regular expression" in page.css("#matched").text, "a bad regular expression is told")
    page.js("setSearch('/^/')")
    check(page.number("matched") <= page.number("total"), "recursion counts once")
    check("100.0 %" in page.css("#matched").text, "everything matches the empty pattern")


def check_zoom(page, path):
    page.open(path)
    box = page.css("#canvas").size
    ActionChains(page.driver).move_to_element_with_offset(page.css("#canvas"), 40 - box["width"] // 2, 48 - box["height"] // 2).perform()
    check(page.css("#tip").is_displayed() and "samples" in page.css("#tip").text, "a tooltip over a frame")
    name = page.css("#tip b").text
    equal(page.css("#details div").text, name, "the details bar names the frame")
    ActionChains(page.driver).click().perform()
    check(page.number("zoom") > 0, "a click zooms")
    zoomed, fragment = page.number("frames"), page.fragment()
    check("zoom=" in fragment, "zoom is in the hash")
    page.open(path, fragment)
    equal(page.number("frames"), zoomed, "zoom from the hash")
    equal(page.css("#details div").text, name, "zoomed on the same frame")
    page.press(Keys.ESCAPE)
    equal(page.number("zoom"), 0.0, "Escape resets the zoom")
    equal(page.fragment(), "", "hash after the reset")
    page.js("canvas.focus()")
    page.press(Keys.ARROW_DOWN)
    page.press(Keys.ARROW_DOWN)
    page.press(Keys.ENTER)
    check(page.number("zoom") > 0, "zoom by keyboard")
    page.css("#reset").click()
    equal(page.number("zoom"), 0.0, "the reset button")
    check(page.js("""return view.tree.children(0).every(n => view.tree.total[n] > 0) &&
        Math.abs(view.tree.total[0] - view.tree.self.reduce((a, b) => a + b)) < 1""", ), "selfs sum to the total")


def check_views(page, path):
    """Leaf first, root at bottom, split by class: the weight stays, the shape changes."""
    page.open(path)
    total = page.number("total")
    leaf = page.js("return frames.name[stacks.frames[stacks.start[1] - 1]]")
    page.css("#reverse").click()
    equal(page.fragment(), "reverse=1", "hash of leaf first")
    equal(page.number("total"), total, "total of leaf first", 1e-6)
    # In the reversed tree the first level is self time.
    same = page.js("""
        const self = functionRows().find(r => r.name === arguments[0]).self;
        const node = view.tree.children(0).find(n => frames.name[view.tree.frame[n]] === arguments[0]);
        return Math.abs(view.tree.total[node] - self) < 1;""", leaf)
    check(same, "first level of leaf first is self time")
    page.css("#invert").click()
    equal(page.fragment(), "reverse=1&invert=1", "hash of both")
    equal(page.js("return rectAt(5, graph.full - 5).node"), 0, "the root is at the bottom")
    page.css("#forward").click()
    page.css("#invert").click()
    page.css("#split").click()
    equal(page.fragment(), "split=1", "hash of split")
    names = page.js("return view.tree.children(0).map(n => frameName(view.tree.frame[n]))")
    equal(sorted(names), sorted(r[0] for r in page.rows()), "split: the first level is the classes")
    equal(page.number("total"), total, "total of split", 1e-6)


def check_functions(page, path):
    page.open(path)
    page.css("#tab-functions").click()
    equal(page.fragment(), "tab=functions", "hash of the table")
    rows = page.js("return functionRows().map(r => [r.self, r.total, r.whole])")
    check(all(0 <= self <= total <= whole + 1 for self, total, whole in rows), "self <= total <= selection")
    first = page.rows()[0][0]
    page.row(first).click()
    equal(page.css("#search").get_attribute("value"), f'"{first}"', "a click searches the function")
    check(page.number("matched") > 0, "and finds it")
    header = page.driver.find_elements(By.CSS_SELECTOR, "#columns button")[0]
    header.click()
    names = [r[0] for r in page.rows()]
    equal(names, page.js("return arguments[0].sort((a, b) => a < b ? -1 : a > b ? 1 : 0)", names), "sorted by name")
    equal(page.css("#columns th").get_attribute("aria-sort"), "ascending", "the header tells the order")


def check_theme(page, path):
    page.open(path)
    before = page.js("return getComputedStyle(document.body).backgroundColor")
    page.css("#theme").click()
    after = page.js("return getComputedStyle(document.body).backgroundColor")
    check(before != after, "dark mode changes the background")
    equal(page.css("#theme").get_attribute("aria-pressed"), "true", "dark mode is pressed")
    page.open(path)
    equal(page.js("return getComputedStyle(document.body).backgroundColor"), after, "dark mode is remembered")
    page.css("#theme").click()


def check_bad_hash(page, path):
    page.open(path, "nosuchlabel=1&comm=no%20such%20command&zoom=999999999&by=foo&%ff=1&invert=7")
    text = page.css("#notice").text
    for word in ("nosuchlabel", "no such command", "zoom to", "foo", "percent-encoded", "invert", "All samples"):
        check(word in text, f"{word!r} is told: {text!r}")
    check(page.number("frames") > 0, "and the page is not blank")
    page.css("#notice button").click()
    check(not page.css("#notice").is_displayed(), "the message goes away")


def check_names(page):
    """Each control has an accessible name."""
    nameless = page.js("""return [...document.querySelectorAll('button, input, select, canvas')]
        .filter(e => e.checkVisibility() && !e.getAttribute('aria-label') && !e.textContent.trim()).map(e => e.outerHTML)""")
    equal(nameless, [], "controls without a name")


def check_sample_profile(page, path, shots):
    """What only the made-up profile has."""
    page.open(path, "db_operation_name=SORT")
    page.shot(shots, "class")
    equal(page.number("total"), 1211.0, "SORT", 1e-6)
    page.js("setFilter('phase', new Set([keys.get('phase').index.get('execute')]))")
    equal(page.fragment(), "db_operation_name=SORT&phase=execute", "two labels")
    page.open(path, "db_operation_name=SORT&phase=idle")
    check("No sample passes" in page.css("#nothing").text, "an empty selection says so")
    page.css("#nothing button").click()
    check(page.number("frames") > 0, "and offers the way out")
    page.open(path, "db_operation_name=GET&db_operation_name=INCR&attribution=pipeline")
    check("27.3 samples" in page.css("#summary").text, f"thirds: {page.css('#summary').text}")
    page.open(path, "db_operation_name=(none)")
    equal(page.number("total"), 67.0, "samples without the label", 1e-6)
    page.open(path, 'search="luaV_execute"&tab=functions')
    equal(page.number("matched"), 25.0, "recursion counts once", 1e-6)
    total = page.js("return functionRows().find(r => r.name === 'luaV_execute').total")
    equal(total / 1e6, 25.0, "and in the table of functions", 1e-6)
    hostile = "<img src=x onerror=window.pwned=2>"
    page.open(path, "db_operation_name=" + urllib.parse.quote(hostile) + "&tab=functions&split=1&search=/./")
    equal(page.number("total"), 11.0, "the hostile class", 1e-6)
    check(hostile in page.css("#chips").text, "a hostile name is text")
    page.js("canvas.focus()")
    for _ in range(4):
        page.press(Keys.ARROW_DOWN)
    page.open(path, "tab=functions&search=pwned")
    names = [row[0] for row in page.rows()]
    for name in (hostile, "</script><script>window.pwned=1</script>", "<!--<script>", "a\"b'c\\d&amp;${window.pwned=3}"):
        check(name in names, f"{name} is in the table as it is")
    check(page.number("matched") > 0, "hostile names can be searched")


def check_still_safe(page, where):
    equal(page.js("return typeof window.pwned"), "undefined", f"{where}: no name became a script")
    equal(page.js("return document.querySelectorAll('img, iframe, object, embed').length"), 0, f"{where}: no name became markup")


def check_logs(page):
    errors = [entry for entry in page.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    equal(errors, [], "console")
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            check(url.startswith(("file:", "data:", "about:", "chrome:", "chrome-untrusted:")), f"a request to {url}")


def check_empty(page, path):
    page.open(path)
    check("no samples" in page.css("#nothing").text, "an empty profile says so")
    page.js("change({reverse: true}); change({tab: 'functions'}); setSearch('x')")
    equal(page.state("total"), "0", "total of nothing")


def take_shots(page, path, shots):
    if not shots:
        return
    os.makedirs(shots, exist_ok=True)
    page.open(path)
    page.shot(shots, "light")
    page.css("#theme").click()
    page.open(path, "split=1&tab=functions")
    page.shot(shots, "dark")
    page.css("#theme").click()
    page.open(path)
    page.driver.set_window_size(480, 1000)
    page.until(lambda: page.js("return graph.width < 480"), "the narrow layout")
    page.shot(shots, "narrow")
    check(page.js("return document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out of a narrow screen")
    page.driver.set_window_size(1440, 900)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page")
    parser.add_argument("pprof", nargs="?")
    parser.add_argument("--empty", help="a page without samples")
    parser.add_argument("--screenshot", metavar="DIR")
    options = parser.parse_args()
    page = Page()
    failed = 0
    try:
        page.open(options.page)
        made_up = page.js("return raw.strings.includes('<!--<script>')")
        checks = [check_class_click, check_shift_range, check_search, check_zoom, check_views, check_functions,
                  check_theme, check_bad_hash]
        runs = [(c.__doc__ or c.__name__, c, (options.page,)) for c in checks]
        runs.append(("the page looks as it should", take_shots, (options.page, options.screenshot)))
        if options.pprof:
            runs.append(("totals agree with pprof", check_totals, (options.page, options.pprof)))
        if made_up:
            runs.append(("the sample profile", check_sample_profile, (options.page, options.screenshot)))
        if options.empty:
            runs.append(("an empty profile", check_empty, (options.empty,)))
        runs.append(("accessible names", check_names, ()))
        runs.append(("console and network", check_logs, ()))
        for title, function, arguments in runs:
            try:
                function(page, *arguments)
                check_still_safe(page, function.__name__)
                print(f"ok    {function.__name__}")
            except Exception as error:  # one failed check does not hide the next
                failed += 1
                print(f"FAIL  {function.__name__} ({title.splitlines()[0]}): {error}")
    finally:
        page.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
