#!/usr/bin/env python3
"""PyTorch's side on the device of $SINK_DEVICE: the study's 60M model as plain PyTorch writes it, bf16 autocast, fused AdamW.
On a CPU a tiny model instead, in float, to see that all of this runs.

peer.py speed MICRO_BATCH eager|compiled STEPS softmax|sigmoid     prints one JSON line: tokens/s, ms, peak GiB, loss
peer.py parts                                                      prints what the parts of a step cost
"""
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

DEVICE = os.environ.get("SINK_DEVICE", "cuda:0")
ON_CPU = DEVICE == "cpu"
HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, LENGTH = (64, 2, 4, 128, 320, 128) if ON_CPU else (768, 10, 8, 1536, 50432, 2048)
WARM_UP_STEPS = 4


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)


class Layer(nn.Module):
    def __init__(self, similarity):
        super().__init__()
        self.similarity = similarity
        self.attention_norm, self.feed_forward_norm = Norm(), Norm()
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(HIDDEN, INNER, bias=False), nn.Linear(HIDDEN, INNER, bias=False)
        self.down = nn.Linear(INNER, HIDDEN, bias=False)

    @staticmethod
    def rotate(x, cosine, sine):
        first, second = x.chunk(2, -1)
        return x * cosine + torch.cat([-second, first], -1) * sine

    def forward(self, x, cosine, sine, seen):
        h = self.attention_norm(x)
        q, k, v = (p(h).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        q, k = self.rotate(q, cosine, sine).to(v.dtype), self.rotate(k, cosine, sine).to(v.dtype)
        if self.similarity == "softmax":
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            out = (torch.sigmoid(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5) * seen) @ v
        x = x + self.o(out.transpose(1, 2).reshape(x.shape))
        h = self.feed_forward_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self, similarity):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(VOCABULARY, HIDDEN), Norm()
        self.layers = nn.ModuleList(Layer(similarity) for _ in range(LAYERS))
        self.head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
        dim = HIDDEN // HEADS
        angle = torch.outer(torch.arange(LENGTH).float(), 1e4 ** (-torch.arange(0, dim, 2).float() / dim)).repeat(1, 2)
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())
        self.register_buffer("seen", torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.cosine, self.sine, self.seen)
        return F.cross_entropy(self.head(self.norm(x)).view(-1, VOCABULARY).float(), targets.reshape(-1))


def synchronize():
    if not ON_CPU:
        torch.cuda.synchronize()


def speed(micro_batch, flavour, steps, similarity):
    micro_batch, steps = int(micro_batch), int(steps)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    model = Model(similarity).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    forward = torch.compile(model) if flavour == "compiled" else model
    ids = torch.randint(0, VOCABULARY, (micro_batch, LENGTH + 1), device=DEVICE)

    def step():
        with torch.autocast(DEVICE.split(":")[0], torch.bfloat16, enabled=not ON_CPU):
            loss = forward(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    started = time.time()
    for _ in range(WARM_UP_STEPS):
        step()
    synchronize()
    warm = time.time() - started
    started = time.time()
    for _ in range(steps):
        loss = step()
    synchronize()
    seconds = (time.time() - started) / steps
    print(json.dumps({"tokens_per_s": round(micro_batch * LENGTH / seconds), "ms": round(seconds * 1e3, 2),
                      "peak_GiB": None if ON_CPU else round(torch.cuda.max_memory_allocated() / 2**30, 2), "warm_s": round(warm, 1),
                      "loss": round(loss.item(), 3)}))


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
    {"speed": speed, "parts": parts}[sys.argv[1]](*sys.argv[2:])
