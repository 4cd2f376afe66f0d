#!/usr/bin/env python3
"""The floor of a training step on a GPU: for each part of the 60M and the 1B model the bytes that must move and the
floating-point operations that must be made, and the time for the larger of the two at the ceilings of an H100. Nothing here
is measured but the ceilings.

Usage: floor_sheet.py                    prints the tables, as kernels/README.md has them
       floor_sheet.py --check README.md  exits with 1 where the file does not hold these tables
"""
import dataclasses
import pathlib
import sys

BYTES_A_SECOND = 2.97e12   # a device's copy of itself, H100 80GB HBM3, measured
FLOPS_A_SECOND = 781e12    # a bf16 product of 8192^3, the same card, measured
BF16, FLOAT = 2, 4


@dataclasses.dataclass
class Model:
    name: str
    hidden: int
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int = 50432
    length: int = 2048
    sequences: int = 16  # of a micro-batch


MODELS = [Model("60M", 768, 1536, 10, 8), Model("1B", 2048, 5632, 22, 16)]


def product(tokens, inner, columns):
    """Forward, gradient of the input and of the weight (added to float): bytes and operations."""
    operands = tokens * inner + tokens * columns + inner * columns
    return BF16 * (3 * operands - inner * columns) + 2 * FLOAT * inner * columns, 3 * 2 * tokens * inner * columns


def parts(m):
    """(part, how often a micro-batch, bytes, operations) of each kernel, forward and backward together."""
    n, c, f, v = m.sequences * m.length, m.hidden, m.feed_forward, m.vocabulary
    pairs = m.sequences * m.heads * m.length * (m.length + 1) // 2  # under the causal mask
    head_dim = c // m.heads
    rows = n * m.heads * FLOAT
    table_rows = min(n, v)
    return [
        ("products of a layer: qkv", m.layers, *product(n, c, 3 * c)),
        ("products of a layer: attention's output", m.layers, *product(n, c, c)),
        ("products of a layer: gate and up", m.layers, *product(n, c, 2 * f)),
        ("products of a layer: down", m.layers, *product(n, f, c)),
        ("attention, forward", m.layers, BF16 * 4 * n * c + rows, 4 * head_dim * pairs),
        ("attention, backward (5 products)", m.layers, BF16 * 8 * n * c + 2 * rows, 10 * head_dim * pairs),
        ("RMSNorm with residual, forward and backward", 2 * m.layers + 1, BF16 * 8 * n * c, 0),
        ("RoPE on q and k, forward and backward", m.layers, BF16 * 8 * n * c, 0),
        ("gated activation, forward and backward", m.layers, BF16 * 8 * n * f, 0),
        ("head: products", 1, *product(n, c, v)),
        ("head: loss and gradient in place", 1, BF16 * 2 * n * v, 0),
        ("embedding, forward and backward", 1, BF16 * 3 * n * c + 2 * FLOAT * table_rows * c, 0),
    ]


def parameters(m):
    matrices = m.layers * (4 * m.hidden ** 2 + 3 * m.hidden * m.feed_forward)
    return matrices + 2 * m.vocabulary * m.hidden + (2 * m.layers + 1) * m.hidden


def once_a_step(m):
    p = parameters(m)
    return [
        ("global norm", 1, FLOAT * p, 0),
        ("AdamW with the bf16 copy", 1, (7 * FLOAT + BF16) * p, 0),
        ("gradients set to zero", 1, FLOAT * p, 0),
    ]


def milliseconds(size, operations):
    return 1e3 * max(size / BYTES_A_SECOND, operations / FLOPS_A_SECOND)


def table(rows):
    total = 0
    yield "| part | times | GB each | TFLOP each | bound by | ms each | ms |"
    yield "|---|---|---|---|---|---|---|"
    for part, times, size, operations in rows:
        each = milliseconds(size, operations)
        total += times * each
        bound = "products" if operations / FLOPS_A_SECOND > size / BYTES_A_SECOND else "memory"
        tera = f"{operations / 1e12:.3f}" if operations else ""
        yield f"| {part} | {times} | {size / 1e9:.3f} | {tera} | {bound} | {each:.3f} | {times * each:.2f} |"
    yield f"| sum | | | | | | {total:.2f} |"


def sheet():
    for m in MODELS:
        tokens = m.sequences * m.length
        total = sum(times * milliseconds(*rest) for _, times, *rest in parts(m))
        yield (f"**{m.name}**, {parameters(m) / 1e6:.1f}M parameters, a micro-batch of {m.sequences} x {m.length} = {tokens:,} "
               f"tokens, bf16: at best {total:.1f} ms, {tokens / total * 1e3:,.0f} tokens/s. Once a step:")
        yield ""
        yield from table(once_a_step(m))
        yield ""
        yield "A micro-batch:"
        yield ""
        yield from table(parts(m))
        yield ""


def main():
    text = "\n".join(sheet())
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        if text.strip() not in pathlib.Path(sys.argv[2]).read_text():
            print(f"{sys.argv[2]} does not hold the tables that floor_sheet.py prints")
            sys.exit(1)
        return
    print(text)


if __name__ == "__main__":
    main()
