#!/usr/bin/env python3
"""How long the page of a coordinator with 10,000 jobs takes to show in a headless Chromium, and how it scrolls.

Usage: bench_page.py BIN_DIR [--jobs 10000] [--rounds 9]

Each round opens the page anew, from about:blank. A time is the browser's own, from the navigation to the first look
(every 5 ms) at which what is asked for is there: the sweep's card on the overview, rows of jobs on its page. Wanted: the
overview under 500 ms.
"""
import argparse
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import browser  # noqa: E402
from sink_cluster import Cluster  # noqa: E402

SWEEP = """schema: sink/v1
name: big
model: {{hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 257, max_position_embeddings: 64}}
train: {{max_steps: 1000000, global_batch_size: 8, micro_batch_size: 4, sequence_length: 64}}
data: {{set: tiny}}
eval: {{every: 50, sequences: 8, tokens: 32, validation_sequences: 8}}
limits: {{max_jobs: {jobs}}}
experiments:
  - name: seeds
    grid: {{train.weight_decay: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.05]}}
replicas: {replicas}
resources: {{devices: 1}}
"""
SHOWN = {"overview": ("#/", "document.querySelector('.card')"),
         "sweep": ("#/sweep/big", "document.querySelectorAll('.body .row').length > 10")}
# Runs in each document before its own scripts.
LOOK = "const look = () => {{ if ({sign}) window.shownAt = performance.now(); else setTimeout(look, 5); }}; look();"
SCROLL = """(async () => {
  const scroller = document.querySelector('.scroll'), frames = [];
  let last = performance.now();
  for (let i = 0; i < 120; ++i) {
    scroller.scrollTop = i * 2500;
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return [...frames.sort((a, b) => a - b), document.querySelectorAll('.body .row').length];
})()"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    program = browser.find()
    if not program:
        sys.exit("no Chromium; deploy/bootstrap.sh --tests installs it")
    with Cluster(options.bin_dir) as cluster:
        cluster.start_coordinator()
        file = cluster.path / "big.yaml"
        file.write_text(SWEEP.format(jobs=options.jobs, replicas=options.jobs // 10))
        cluster.sinkctl("--timeout", "120", "submit", file)
        base = f"http://{(cluster.path / 'coordinator/page.addr').read_text().strip()}/"
        with browser.Browser(program) as page:
            page.look(1280)
            page.open(cluster.sinkctl("page").strip())
            page.wait("Boolean(document.querySelector('.card'))", 60)
            for name, (fragment, sign) in SHOWN.items():
                script = page.call("Page.addScriptToEvaluateOnNewDocument", source=LOOK.format(sign=sign))["identifier"]
                times = []
                for _ in range(options.rounds):
                    page.open("about:blank")
                    page.open(base + fragment)
                    times.append(page.wait("location.protocol === 'http:' && window.shownAt", 60))
                page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
                print(f"{name} of {options.jobs} jobs: shown after {statistics.median(times):.0f} ms "
                      f"({min(times):.0f} to {max(times):.0f}), load {os.getloadavg()[0]:.1f}", flush=True)
            *frames, rows = page.evaluate(SCROLL)
            print(f"scrolling: {statistics.median(frames):.1f} ms a frame, 95 % within {frames[113]:.1f}, "
                  f"the longest {frames[-1]:.1f}; {rows} rows are elements")
            if page.errors:
                sys.exit(f"errors of the console: {page.errors}")


main()
