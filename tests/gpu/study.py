#!/usr/bin/env python3
"""Trains the study's 60M model for $STUDY_SECONDS (default 240), stopped half way by SIGTERM and resumed, and writes what it
found as a folder for sweeps/reports: study/ in $OUT, with report.md, points.csv, config.json and figures/. run.sh calls it.

The configuration is sweeps/presets/llama-60m.yaml, packed with the kit; measurements are only more frequent and every step's
loss is told, which changes no step. The data is that of the kit, made-up words, so that the losses are not the study's. On
a CPU a tiny model for 20 seconds, to see that all of this runs.
"""
import csv
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import time

from correctness import TINY, losses, warnings
from kit import DEVICE, ENVIRONMENT, HERE, ON_CPU, OUT, check, results, run_all

STUDY_SECONDS = float(os.environ.get("STUDY_SECONDS", 20 if ON_CPU else 240))
EXIT_STOPPED = 68
GRACE_SECONDS = 60  # for the last checkpoint
WIDTH, HEIGHT, MARGIN = 640, 320, 48


def read_preset(file):
    """Sections of `name: value` lines, which is all of YAML that a preset has."""
    config, section = {}, None
    for line in file.read_text().splitlines():
        line = line.partition("#")[0].rstrip()
        name, _, value = (part.strip() for part in line.partition(":"))
        if name and not line.startswith(" "):
            section = config.setdefault(name, {})
        elif name:
            try:
                section[name] = json.loads(value)
            except ValueError:
                section[name] = value
    return config


def configuration():
    if ON_CPU:
        config = json.loads(json.dumps(TINY))
        config["train"]["max_steps"] = 100_000
    else:
        config = read_preset(HERE / "llama-60m.yaml")
    config["train"]["log_every"] = 1
    config["data"]["set"] = "bytes"
    config["eval"].update(every=20)
    return config


def train_for(seconds, folder, config):
    """One attempt: its exit code, and what it said, with the second at which each record came."""
    command = [str(HERE / "bin/sink-trainer"), str(folder)]
    if not (folder / "job.json").exists():
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        command += ["--config", str(folder / "config.json"), "--data-root", str(HERE / "data"), "--device", DEVICE]
    file = folder / f"events-{len(list(folder.glob('events-*')))}.jsonl"
    with open(file, "wb") as events, open(folder / "words.log", "ab") as words:
        process = subprocess.Popen(command, pass_fds=(events.fileno(),), stdout=words, stderr=words,
                                   env=dict(ENVIRONMENT, SINK_EVENTS_FD=str(events.fileno())))
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    return {"code": code, "records": [json.loads(line) for line in file.read_text().splitlines() if line]}


def series(run, name):
    return {r["step"]: r["values"][name] for r in run["records"] if name in (r.get("values") or {})}


def of_type(run, kind):
    return [r for r in run["records"] if r.get("type") == kind]


def figure(title, lines):
    """An SVG of lines {name: {step: value}} over steps."""
    points = [(step, value) for line in lines.values() for step, value in line.items() if math.isfinite(value)]
    if not points:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points))
    place = lambda step, value: (MARGIN + (step - left) / max(right - left, 1) * (WIDTH - 2 * MARGIN),
                                 HEIGHT - MARGIN - (value - low) / ((high - low) or 1) * (HEIGHT - 2 * MARGIN))
    drawn = [f'<text x="{MARGIN}" y="24">{title}</text>']
    for anchor, x, y, text in (("end", MARGIN - 6, HEIGHT - MARGIN, f"{low:.3g}"), ("end", MARGIN - 6, MARGIN + 4, f"{high:.3g}"),
                               ("start", MARGIN, HEIGHT - 24, f"step {left}"), ("end", WIDTH - MARGIN, HEIGHT - 24, f"{right}")):
        drawn.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>')
    for dash, (name, line) in zip(("", "6 3"), lines.items()):
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line.items() if math.isfinite(point[1]))
        drawn.append(f'<polyline fill="none" stroke="#246" stroke-dasharray="{dash}" points="{path}"><title>{name}</title></polyline>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
            f'{"".join(drawn)}</svg>\n')


def write_report(config, attempts, epsilon):
    folder = OUT / "study"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    both = lambda name: {step: value for run in attempts for step, value in series(run, name).items()}
    loss, valid, sinks, alpha = (both(n) for n in ("train_loss", "validation_loss/all", f"sink_rate/{epsilon}/1", "alpha_max/1"))
    rates = [r["tokens_per_second"] for run in attempts for r in of_type(run, "progress") if r.get("tokens_per_second")]
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    with open(folder / "points.csv", "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("step", "train_loss", "validation_loss", "sink_rate_percent", "alpha_1_strongest_head"))
        for step in sorted({*loss, *valid}):
            rows.writerow((step, *(line.get(step, "") for line in (loss, valid, sinks, alpha))))
    (folder / "figures/loss.svg").write_text(figure("Losses: training, and validation dashed", {"training": loss, "validation": valid}))
    (folder / "figures/sink_rate.svg").write_text(figure("Sink rate of position 1, percent", {"sink rate": sinks}))
    tokens = config["train"]["global_batch_size"] * config["train"]["sequence_length"]
    resumed_at = of_type(attempts[-1], "hello")[0]["start_step"]
    rate = statistics.median(rates) if rates else 0
    text = ["# The study's 60M model on a GPU, for as long as one was lent" if not ON_CPU else "# A tiny model, on a CPU", "",
            f"- **Commit**: {(HERE / 'commit').read_text().strip()}", f"- **Device**: {results.get('card', DEVICE)}",
            f"- **Configuration**: `config.json`; {tokens:,} tokens a step; the data is made-up words, not the study's",
            f"- **Time**: {STUDY_SECONDS:.0f} s, stopped by SIGTERM and resumed at step {resumed_at}",
            f"- **Speed**: {rate:,.0f} tokens/s, the median second of both attempts",
            f"- **Sink metric**: epsilon {epsilon}, T {config['eval']['tokens']}, position 1", "",
            "| Step | Tokens | Training loss | Validation loss | Sink rate % | alpha\\_1, strongest head |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |"]
    cell = lambda line, step, digits: f"{line[step]:.{digits}f}" if step in line else ""
    for step in sorted(valid):
        text.append(f"| {step} | {step * tokens:,} | {cell(loss, step, 3)} | {cell(valid, step, 3)} | {cell(sinks, step, 2)} | "
                    f"{cell(alpha, step, 3)} |")
    text += ["", "![Losses over steps.](figures/loss.svg)", "", "![Sink rate over steps.](figures/sink_rate.svg)", ""]
    (folder / "report.md").write_text("\n".join(text))
    results["study"] = {"tokens_per_s": round(rate), "steps": max(loss, default=0)}
    print("\n".join(text[2:]), flush=True)


def study():
    config = configuration()
    card = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True) \
        if not ON_CPU else None
    results["card"] = card.stdout.strip() if card else "cpu"
    started = time.time()
    with tempfile.TemporaryDirectory(prefix="sink-study-") as name:
        folder = pathlib.Path(name)
        attempts = [train_for(STUDY_SECONDS / 2, folder, config) for _ in range(2)]
        words = (folder / "words.log").read_text().strip()[-600:]
    first, second = attempts
    check("study: both attempts stop when they are told to", [run["code"] for run in attempts] == [EXIT_STOPPED] * 2, words)
    warned = [w for run in attempts for w in warnings(run)]
    check("study: no attempt warns", not warned, " ".join(warned))
    saved = [r["step"] for r in of_type(first, "checkpoint")]
    begun = [r["start_step"] for r in of_type(second, "hello")]
    steps = [*losses(first), *losses(second)]
    check("study: the second goes on where the first stopped", saved and begun == saved[-1:]
          and steps == list(range(1, len(steps) + 1)), f"saved {saved}, began at {begun}")
    values = [*losses(first).values(), *losses(second).values()]
    check("study: the loss is finite and falls", len(values) > 1 and all(map(math.isfinite, values)) and values[-1] < values[0],
          f"{values[0]:.3f} to {values[-1]:.3f} in {len(values)} steps and {time.time() - started:.0f} s" if values else "")
    write_report(config, attempts, config["eval"].get("epsilon", [0.3])[0])


if __name__ == "__main__":
    run_all("study", (study,))
