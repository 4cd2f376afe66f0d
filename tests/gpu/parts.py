#!/usr/bin/env python3
"""What the parts of a step cost in PyTorch on this GPU: the ceilings of kernels/README.md. run.sh calls it."""
import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH = 2048


def milliseconds(call, rounds=20):
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[rounds // 2]


def parts():
    from torch.nn.attention import SDPBackend, sdpa_kernel
    options = {"device": "cuda", "dtype": torch.bfloat16}
    source = torch.empty(1 << 29, **options)
    target = torch.empty_like(source)
    print(f"copy {4 * source.numel() / milliseconds(lambda: target.copy_(source), 10) / 1e6:.0f} GB/s")
    square = torch.randn(8192, 8192, **options)
    print(f"product of 8192^3 {2 * 8192**3 / milliseconds(lambda: square @ square, 10) / 1e9:.0f} TFLOP/s", flush=True)
    for hidden, heads, batch in ((768, 8, 16), (2048, 16, 8)):
        dim = hidden // heads
        q, k, v = (torch.randn(batch, heads, LENGTH, dim, requires_grad=True, **options) for _ in range(3))
        flops = 2 * batch * heads * LENGTH * LENGTH * dim
        for backend in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):
            with sdpa_kernel(backend):
                attend = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
                out = attend()
                gradient = torch.randn_like(out)
                forward = milliseconds(attend)
                backward = milliseconds(lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True))
            print(f"attention {backend.name} head {dim}: forward {forward:.3f} ms {flops / forward / 1e9:.0f} TFLOP/s, "
                  f"backward {backward:.3f} ms {2.5 * flops / backward / 1e9:.0f} TFLOP/s", flush=True)
    for inner, outer, rows in ((768, 2304, 32768), (768, 768, 32768), (768, 3072, 32768), (1536, 768, 32768), (768, 50432, 8192)):
        x, w, y = torch.randn(rows, inner, **options), torch.randn(outer, inner, **options), torch.randn(rows, outer, **options)
        times = [milliseconds(call) for call in (lambda: x @ w.t(), lambda: y @ w, lambda: y.t() @ x)]
        rates = [f"{2 * rows * inner * outer / t / 1e9:.0f}" for t in times]
        print(f"product {rows} x {inner} x {outer}: forward, dx, dw {' '.join(rates)} TFLOP/s", flush=True)
    parameter = nn.Parameter(torch.randn(97_900_000, device="cuda"))
    parameter.grad = torch.randn_like(parameter)
    optimizer = torch.optim.AdamW([parameter], fused=True)
    print(f"AdamW of 97.9M values {milliseconds(optimizer.step, 10):.3f} ms")


if __name__ == "__main__":
    parts()
