#!/usr/bin/env python3
"""What the parts of a step cost on the device of $SINK_DEVICE: in PyTorch, which gives the ceilings of kernels/README.md, and
ours, each kernel alone (kernels_bench). run.sh calls it. On a CPU tiny ones, to see that all of this runs."""
import json
import subprocess
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from kit import DEVICE, ENVIRONMENT, HERE, ON_CPU, check, results, run_all

LENGTH = 64 if ON_CPU else 2048
ROWS = 128 if ON_CPU else 32768
GB_PER_MS, TFLOP_PER_MS = 2.97, 0.781  # an H100's, as measured
OPTIONS = {"device": DEVICE, "dtype": torch.float32 if ON_CPU else torch.bfloat16}


def milliseconds(call, rounds=20):
    for _ in range(3):
        call()
    times = []
    for _ in range(2 if ON_CPU else rounds):
        if ON_CPU:
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
            continue
        begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def ceilings():
    source = torch.empty(1 << (20 if ON_CPU else 29), **OPTIONS)
    target = torch.empty_like(source)
    copied = 2 * source.numel() * source.element_size()
    print(f"copy {copied / milliseconds(lambda: target.copy_(source), 10) / 1e6:.0f} GB/s")
    side = 256 if ON_CPU else 8192
    square = torch.randn(side, side, **OPTIONS)
    print(f"product of {side}^3 {2 * side**3 / milliseconds(lambda: square @ square, 10) / 1e9:.0f} TFLOP/s", flush=True)


def attention():
    from torch.nn.attention import SDPBackend, sdpa_kernel
    backends = (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
    for hidden, heads, batch in ((64, 4, 2),) if ON_CPU else ((768, 8, 16), (2048, 16, 8)):
        dim = hidden // heads
        q, k, v = (torch.randn(batch, heads, LENGTH, dim, requires_grad=True, **OPTIONS) for _ in range(3))
        flops = 2 * batch * heads * LENGTH * LENGTH * dim
        for backend in (SDPBackend.MATH,) if ON_CPU else backends:
            with sdpa_kernel(backend):
                attend = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
                out = attend()
                gradient = torch.randn_like(out)
                forward = milliseconds(attend)
                backward = milliseconds(lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True))
            print(f"attention {backend.name} head {dim}: forward {forward:.3f} ms {flops / forward / 1e9:.0f} TFLOP/s, "
                  f"backward {backward:.3f} ms {2.5 * flops / backward / 1e9:.0f} TFLOP/s", flush=True)


def products():
    shapes = ((64, 192, ROWS),) if ON_CPU else ((768, 2304, ROWS), (768, 768, ROWS), (768, 3072, ROWS), (1536, 768, ROWS),
                                                 (768, 50432, 8192))
    for inner, outer, rows in shapes:
        x, w, y = torch.randn(rows, inner, **OPTIONS), torch.randn(outer, inner, **OPTIONS), torch.randn(rows, outer, **OPTIONS)
        times = [milliseconds(call) for call in (lambda: x @ w.t(), lambda: y @ w, lambda: y.t() @ x)]
        rates = [f"{2 * rows * inner * outer / t / 1e9:.0f}" for t in times]
        print(f"product {rows} x {inner} x {outer}: forward, dx, dw {' '.join(rates)} TFLOP/s", flush=True)


def optimizer():
    parameter = nn.Parameter(torch.randn(100_000 if ON_CPU else 136_500_000, device=DEVICE))
    parameter.grad = torch.randn_like(parameter)
    adamw = torch.optim.AdamW([parameter], fused=True)
    print(f"AdamW of {parameter.numel() / 1e6:.1f}M values {milliseconds(adamw.step, 10):.3f} ms", flush=True)


def ours():
    """Each kernel, with the time that an H100's ceilings leave it; attention again by a library."""
    if not ON_CPU:
        torch.cuda.empty_cache()  # two processes share the card now
    found = results.setdefault("kernels", {})
    for size in ("tiny",) if ON_CPU else ("60M", "1B"):
        for library in (False, True):
            environment = dict(ENVIRONMENT, **({"SINK_ATTENTION": "library"} if library else {}))
            run = subprocess.run([HERE / "bin/kernels_bench", DEVICE, size, *(["--attention"] if library else [])],
                                 capture_output=True, text=True, env=environment, timeout=150)
            lines = [json.loads(line) for line in run.stdout.splitlines()]
            title = f"{size}{', a library where it can' if library else ''}"
            print(f"\n| {title} | ms | ms at the H100's ceilings |\n|---|---|---|")
            for line in lines:
                floor = max(line["GB"] / GB_PER_MS, line["TFLOP"] / TFLOP_PER_MS)
                print(f"| {line['kernel']} | {line['milliseconds']:.3f} | {floor:.3f} |")
                found[f"{title}: {line['kernel']}"] = round(line["milliseconds"], 4)
            check(f"kernels of {title} run alone", run.returncode == 0 and lines, run.stderr.strip()[-300:])


if __name__ == "__main__":
    run_all("parts", (ceilings, attention, products, optimizer, ours))
