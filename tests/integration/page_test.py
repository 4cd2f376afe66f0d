"""The coordinator's page in a headless Chromium, over a sweep that runs: nothing without a login; then every page at
1280 and 390 pixels, light and dark; no error of the console, no request that leaves the machine, and no serious finding
of axe-core where that is installed. Then what a person does: filter, priority, play the map, cancel; and what a viewer
may not, who is out when revoked.

Usage: page_test.py SOURCE_DIR BIN_DIR. With SINK_SCREENSHOTS=DIR it leaves the pictures there.
"""
import importlib.util
import os
import pathlib
import sys
import urllib.error
import urllib.request

import browser
from sink_cluster import Cluster, skip, wait_for

BIN = pathlib.Path(sys.argv[2])


def axe():
    """The source of axe-core, or nothing."""
    spec = importlib.util.find_spec("axe_playwright_python")
    found = sorted(pathlib.Path(spec.origin).parent.rglob("axe.min.js")) if spec else []
    return found[0].read_text() if found else None


def check_accessible(page, source, where):
    page.evaluate(source + "; 0")
    findings = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations"
                             ".filter((v) => v.impact === 'serious' || v.impact === 'critical')"
                             ".map((v) => v.id + ': ' + v.nodes.map((n) => n.html).slice(0, 3).join(' ')))")
    assert not findings, f"{where}: {findings}"


def log_in(cluster, page):
    """Opens a link of sinkctl page, as whoever SINK_CREDENTIALS says."""
    page.open("about:blank")
    page.open(cluster.sinkctl("page").strip())
    page.wait("Boolean(document.querySelector('.card'))")
    assert page.evaluate("location.pathname + location.hash") == "/", page.evaluate("location.href")


def shows_nothing_without_a_login(page, base, source):
    for width, dark in ((1280, False), (390, True)):
        page.look(width, dark=dark)
        page.open("about:blank")
        page.open(f"{base}#/sweep/live")
        page.wait("document.body?.innerText.includes('sinkctl page')")
        shown = page.evaluate("document.documentElement.outerHTML")
        assert "app.js" not in shown and "learning_rate" not in shown, shown
        if source:
            check_accessible(page, source, "login")
    for path in ("api/events?topic=overview", "api/study?sweep=live"):
        try:
            urllib.request.urlopen(base + path, timeout=10)
            raise AssertionError(f"{path} is told without a login")
        except urllib.error.HTTPError as refused:
            assert refused.code == 403, refused


def shows_every_page(page, base, jobs, source):
    pages = {"overview": ("#/", ".card"),
             "sweep": ("#/sweep/live", ".charts path.curve"),
             "job": (f"#/job/{jobs[0]['id']}", ".charts path.curve"),
             "heat": (f"#/job/{jobs[0]['id']}", ".heat i"),
             "log": (f"#/job/{jobs[0]['id']}", ".log div"),
             "compare": (f"#/compare/{jobs[0]['id']},{jobs[1]['id']}?metric=train_loss", "path.curve"),
             "workers": ("#/workers", "tbody td strong")}
    for width in (1280, 390):
        for dark in (False, True):
            page.look(width, dark=dark)
            for name, (fragment, sign) in pages.items():
                where = f"{name}-{width}-{'dark' if dark else 'light'}"
                page.open("about:blank")
                page.open(base + fragment)
                page.wait(f"Boolean(document.querySelector({sign!r}))")
                if name in ("heat", "log"):
                    page.evaluate(f"document.querySelector({sign!r}).scrollIntoView({{block: 'center'}})")
                too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert too_wide <= 0, f"{where}: {too_wide} pixels wider than the screen"
                if source:
                    check_accessible(page, source, where)
                if folder := os.environ.get("SINK_SCREENSHOTS"):
                    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
                    page.screenshot(f"{folder}/{where}.png")


def follows_the_menu(page, base):
    """From page to page, and again to the one that is shown, within one document: each is whole every time."""
    page.look(1280)
    page.open("about:blank")
    page.open(base)
    page.wait("Boolean(document.querySelector('.card'))")
    for name, sign in (("workers", "tbody td strong"), ("overview", ".card"), ("workers", "tbody td strong")):
        page.evaluate(f"document.querySelector('nav a[data-page={name}]').click()")
        page.wait(f"Boolean(document.querySelector({sign!r}))")
    page.evaluate("document.querySelector('tbody').dataset.before = ''; location.hash = '#/workers?again=1'; 0")
    page.wait("Boolean(document.querySelector('tbody:not([data-before]) td strong'))")


def press(page, key):
    page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=key)


def obeys_keys(page, base):
    page.look(1280)
    page.open("about:blank")
    page.open(base)
    page.wait("Boolean(document.querySelector('.card'))")
    press(page, "w")
    page.wait("location.hash === '#/workers' && Boolean(document.querySelector('tbody td strong'))")
    press(page, "o")
    page.wait("location.hash === '#/' && Boolean(document.querySelector('.card'))")
    for theme in ("dark", "light"):
        press(page, "t")
        page.wait(f"document.documentElement.dataset.theme === {theme!r}")
    page.evaluate("localStorage.removeItem('theme'); delete document.documentElement.dataset.theme; 0")
    press(page, "?")
    page.wait("document.querySelector('dialog').open")
    page.evaluate("document.querySelector('dialog').close(); 0")
    page.evaluate("location.hash = '#/sweep/live'; 0")
    page.wait("document.querySelectorAll('.body .row').length === 2")
    press(page, "/")
    page.wait("Boolean(document.activeElement?.matches('[data-focus]'))")
    press(page, "w")  # a letter of the filter now
    page.wait("document.activeElement.value === 'w' && location.hash.startsWith('#/sweep/live')")


AXES = "[...document.querySelectorAll('.charts svg.chart')].map((chart) => chart.getAttribute('aria-label'))"


def draws_curves_as_asked(page, base):
    """A panel for each setting, over tokens or time, by the address and by hand; the paper's value as a dashed line."""
    page.look(1280)
    page.open("about:blank")
    page.open(f"{base}#/sweep/live?metric=train_loss&axis=tokens&apart=1")
    page.wait("document.querySelectorAll('.charts.small-panels figure').length === 2")  # two learning rates
    page.wait(f"{AXES}.length === 2 && {AXES}.every((label) => label.includes('2 lines over tokens.'))")
    page.evaluate("(() => { const axis = [...document.querySelectorAll('select')].find((select) =>"
                  " [...select.options].some((option) => option.value === 'time'));"
                  " axis.value = 'time'; axis.dispatchEvent(new Event('change')); })()")
    page.wait(f"{AXES}.every((label) => label.includes('over hours of training'))")
    assert "axis=time" in page.evaluate("location.hash"), "the axis is not in the address"
    dashed = page.evaluate("""import("/curves.js").then(({experimentCharts}) => experimentCharts(
        "rates", [{label: "a", jobs: ["x"], paper: 2.5}, {label: "b", jobs: ["y"], paper: NaN}], "train_loss", "steps",
        {x: {train_loss: [[1, 2], [4, 3]]}, y: {train_loss: [[1, 2], [5, 4]]}}, new Map(), false)
        .map((figure) => [figure.querySelectorAll("line.paper").length, figure.querySelectorAll("path.curve").length]))""")
    assert dashed == [[1, 2]], dashed
    page.evaluate("location.hash = '#/workers'; 0")
    page.wait("Boolean(document.querySelector('tbody td strong'))")


def stays_quick_for_days(page):
    """What comes of a job at some steps a second does not pile up in the page."""
    curve = page.evaluate("""import("/chart.js").then(({mergeCurves}) => {
        const all = {};
        for (let step = 0; step < 100000; step += 10)
            mergeCurves(all, {job: {loss: [Array.from({length: 10}, (_, i) => step + i), Array(10).fill(step)]}});
        mergeCurves(all, {job: {loss: [[99999, 100000], [7, 8]]}});
        const [steps, values] = all.job.loss;
        return {points: steps.length, first: steps[0], newest: steps.slice(-2), told: values.slice(-2),
                gap: Math.max(...steps.slice(1).map((step, i) => step - steps[i]))};
    })""")
    assert curve["points"] <= 1600 and curve["first"] == 0 and curve["gap"] < 500, curve
    assert curve["newest"] == [99999, 100000] and curve["told"] == [7, 8], curve


def shows_no_pace_while_the_disk_is_full(page):
    """Of a job whose coordinator's disk is full: neither its rate nor when it ends, and why."""
    known, unknown = page.evaluate("""import("/job.js").then(({jobPage}) => {
        const id = "a".repeat(32), view = {main: document.createElement("div"), topics: new Map()};
        jobPage(view, id, new URLSearchParams());
        const progress = {step: "50", max_steps: "100", tokens: "5000", tokens_per_second: 100};
        const texts = [false, true].map((full) => {
            const details = {job: {state: "RUNNING", progress}, disk_full: full};
            view.topics.get(`job/${id}`)("whole", {details, why: {reasons: full ? ["no room"] : []}});
            return view.main.textContent;
        });
        view.leave();
        return texts;
    })""")
    assert "tokens/s" in known and " left" in known, known
    assert "tokens/s" not in unknown and " left" not in unknown and "no room" in unknown, unknown


def does_what_a_person_does(page, base, jobs):
    page.look(1280)
    page.open(f"{base}#/sweep/live")
    page.wait("document.querySelectorAll('.body .row').length === 2")
    page.evaluate("(() => { const box = document.querySelector('input[type=search]'); box.value = '0.004';"
                  " box.dispatchEvent(new Event('input')); })()")
    page.wait("document.querySelectorAll('.body .row').length === 1")
    assert "find=0.004" in page.evaluate("location.hash"), "the filter is not in the address"
    page.evaluate("document.querySelector('input[type=number]').value = '7';"
                  " [...document.querySelectorAll('button')].find((b) => b.textContent === 'Set priority').click()")
    page.wait("document.getElementById('said').textContent === 'Set priority: 2 changed'")
    page.open(f"{base}#/job/{jobs[0]['id']}")
    page.wait("document.querySelectorAll('.heat i').length === 8")  # 2 layers of 4 heads
    step = page.evaluate("document.querySelector('input[type=range]').getAttribute('aria-valuetext')")
    page.wait(f"document.querySelector('input[type=range]').getAttribute('aria-valuetext') !== {step!r}")  # it is live
    page.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Play').click()")
    page.wait("[...document.querySelectorAll('button')].some((b) => b.textContent === 'Pause')")
    page.wait("Boolean(document.querySelector('.log div'))")


CANCEL = "[...document.querySelectorAll('button')].find((b) => b.textContent === 'Cancel')"


def cancels(cluster, page, base, jobs):
    page.open("about:blank")  # a button of the job before would be found
    page.open(f"{base}#/job/{jobs[1]['id']}")
    page.wait(f"(() => {{ const b = {CANCEL}; window.confirm = () => true; b?.click(); return Boolean(b); }})()")
    page.wait("document.querySelector('.state').textContent === 'cancelled'")
    wait_for("the job is cancelled", 30, lambda: cluster.jobs("live")[1]["state"] == "CANCELLED")


def a_viewer_looks_until_revoked(cluster, page, base, jobs):
    token = cluster.path / "vera.token"
    cluster.sinkctl("user", "token", "vera", "--role", "viewer", "--ttl", "1h", "--out", token)
    os.environ["SINK_CREDENTIALS"] = str(token)
    log_in(cluster, page)
    del os.environ["SINK_CREDENTIALS"]
    page.open(f"{base}#/job/{jobs[0]['id']}")
    page.wait("Boolean(document.querySelector('.state.RUNNING'))")
    assert page.evaluate("document.getElementById('who').textContent") == "token/vera (viewer)"
    assert not page.evaluate(f"Boolean({CANCEL})"), "a viewer has a button to cancel"
    cluster.sinkctl("user", "revoke", "token/vera")
    page.wait("document.body?.innerText.includes('sinkctl page')", 10)
    assert not page.evaluate("Boolean(document.querySelector('.state'))")


def main():
    program = browser.find()
    if not program:
        skip("no Chromium; deploy/bootstrap.sh --tests installs it")
    source = axe()
    if not source:
        print("no axe-core: accessibility is not checked; deploy/bootstrap.sh --tests installs it")
    with Cluster(BIN) as cluster:
        cluster.pack_corpus()
        cluster.start_coordinator()
        base = f"http://{(cluster.path / 'coordinator/page.addr').read_text().strip()}/"
        for name in ("worker-1", "worker-2"):
            cluster.start_worker(name)
        cluster.submit("live", 100000, ["1e-3", "4e-3"], batch=64)  # some steps a second, as a study's
        wait_for("two measurements", 120, lambda: all((job["step"] or 0) > 100 for job in cluster.jobs("live")))
        jobs = cluster.jobs("live")
        with browser.Browser(program) as page:
            shows_nothing_without_a_login(page, base, source)
            log_in(cluster, page)
            shows_every_page(page, base, jobs, source)
            follows_the_menu(page, base)
            obeys_keys(page, base)
            draws_curves_as_asked(page, base)
            stays_quick_for_days(page)
            shows_no_pace_while_the_disk_is_full(page)
            does_what_a_person_does(page, base, jobs)
            cancels(cluster, page, base, jobs)
            a_viewer_looks_until_revoked(cluster, page, base, jobs)
            assert not page.errors, page.errors
            away = [url for url in page.requests if not url.startswith((base, "about:", "data:"))]
            assert not away, f"requests that leave the machine: {away}"


main()
