#!/usr/bin/env python3
"""sink-eval on open models: memory and time of a 13B model, and both beside transformers.

Usage: bench_open_models.py memory SINK_EVAL [--sequences 100] [--tokens 64] [--layers 40] [--threads 1]
       bench_open_models.py speed SINK_EVAL [--sequences 100] [--tokens 64] [--threads 1] [--rounds 3]

memory: a folder of LLaMA-2-13B's shape in six shards of fp16 holes (26 GB that take no disk), measured whole. Prints the
peak of the process's resident memory (which counts mapped pages) and its seconds beside what nobody can do without:
reading the files once, and the matrix products of its layers and head at the rate that PyTorch reaches on their shapes.
Fails when the peak is 3 GiB or more, or the time over 1.3 times that sum. Without PyTorch only the peak is judged.
speed (needs transformers): a Pythia-410M of random weights in fp16, the same sequences, fp32 arithmetic, eager attention
that returns its matrices; sink-eval and transformers in turns, loading included, in two pairs. "study": transformers as
the study's own evaluation drives it, generate() of one token after each text, against sink-eval --no-loss: neither
computes a loss. "batched": transformers at its best, forward passes of 16 sequences, with the loss on both sides. Then
the matrix products alone, which all must make. Prints the medians by the clock and by processor time, the ratios, the
highest ratio that anyone could reach with these products, the peaks and the largest differences. Fails when a peak is
over a quarter of transformers', the numbers differ by 1e-3, or sink-eval is not 1.5 times as fast.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

LIMIT = 3 * 2**30
TIME_LIMIT = 1.3
PYTHIA_410M = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
               "vocab_size": 50304, "max_position_embeddings": 2048, "rotary_pct": 0.25}
LLAMA_13B = {"model_type": "llama", "hidden_size": 5120, "intermediate_size": 13824, "num_attention_heads": 40,
             "num_key_value_heads": 40, "vocab_size": 32000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
             "transformers_version": "4.31.0"}


def write_zeros(path, tensors):
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def write_13b(folder, layers, shards=6):
    c, f, v = (LLAMA_13B[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    tensors = {"model.embed_tokens.weight": [v, c], "model.norm.weight": [c], "lm_head.weight": [v, c]}
    for n in range(layers):
        at = f"model.layers.{n}."
        tensors |= {at + f"self_attn.{m}_proj.weight": [c, c] for m in "qkvo"}
        tensors |= {at + "mlp.gate_proj.weight": [f, c], at + "mlp.up_proj.weight": [f, c],
                    at + "mlp.down_proj.weight": [c, f], at + "input_layernorm.weight": [c],
                    at + "post_attention_layernorm.weight": [c]}
    (folder / "config.json").write_text(json.dumps(LLAMA_13B | {"num_hidden_layers": layers}))
    names, weight_map = list(tensors), {}
    for shard in range(shards):
        part = names[shard * len(names) // shards:(shard + 1) * len(names) // shards]
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        write_zeros(folder / file, {name: tensors[name] for name in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def run(command):
    """Standard output, seconds, processor seconds and peak resident bytes of a command.

    The system counts this process's own memory to its children's peak (they begin as its copy), so it must stay small:
    whatever needs PyTorch runs in a process of its own.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read().decode()
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def this(*arguments):
    """Another call of this script, its JSON."""
    return json.loads(run([sys.executable, __file__, *map(str, arguments)])[0])


def products(rows, threads, shapes):
    """Processor seconds of x W^T for each shape (inputs, outputs, how often), a group of rows at a time."""
    import torch

    torch.set_num_threads(threads)
    seconds, clock, flops = 0.0, 0.0, 0
    for inputs, outputs, count in json.loads(shapes):
        weight = torch.randn(outputs, inputs)
        for n, times in ((min(rows, 1024), max(1, rows // 1024)), (rows % 1024 if rows > 1024 else 0, 1)):
            if n == 0:
                continue
            x, y, taken, wall = torch.randn(n, inputs), torch.zeros(n, outputs), [], []
            for _ in range(4):
                start, at = time.process_time(), time.perf_counter()
                torch.mm(x, weight.t(), out=y)
                taken.append(time.process_time() - start)
                wall.append(time.perf_counter() - at)
            seconds += statistics.median(taken[1:]) * times * count
            clock += statistics.median(wall[1:]) * times * count
            flops += 2 * n * inputs * outputs * times * count
    print(json.dumps({"cpu": seconds, "clock": clock, "gflops": flops / clock / 1e9}))


def read_files(folder):
    """Reads every byte of the files once: seconds by the clock, processor seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    buffer = bytearray(1 << 24)
    for path in pathlib.Path(folder).glob("*.safetensors"):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - start, time.process_time() - cpu


def memory(options):
    c, f, v = (LLAMA_13B[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    shapes = [[c, c, 4 * options.layers], [c, f, 2 * options.layers], [f, c, options.layers], [c, v, 1]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_13b(folder, options.layers)
        _, seconds, cpu, peak = run([options.sink_eval, name, "--inputs", "random", "--json", "--tokens",
                                     str(options.tokens), "--sequences", str(options.sequences), "--threads",
                                     str(options.threads)])
        read, read_cpu = read_files(name)
    print(f"13B, {options.layers} layers, {options.sequences} x {options.tokens} tokens: peak {peak / 2**30:.2f} GiB, "
          f"{seconds:.0f} s on {options.threads} threads, {cpu:.0f} s of processors")
    if importlib.util.find_spec("torch") is None:
        return 0 if peak < LIMIT else 1
    gemm = this("products", options.sequences * options.tokens, options.threads, json.dumps(shapes))
    ratio, cpu_ratio = seconds / (read + gemm["clock"]), cpu / (read_cpu + gemm["cpu"])
    print(f"reading the files {read:.0f} s ({read_cpu:.0f} of processors), matrix products {gemm['clock']:.0f} s "
          f"({gemm['cpu']:.0f}) at {gemm['gflops']:.0f} GFLOP/s: ratio {ratio:.2f} by the clock, {cpu_ratio:.2f} of "
          f"processors, wanted at most {TIME_LIMIT}")
    return 0 if peak < LIMIT and min(ratio, cpu_ratio) <= TIME_LIMIT else 1


def transformers_side(way, folder, probe, threads):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = load_file(probe)["probe"].long()
    tokens, losses, alphas = ids.shape[1] - 1, [], []
    counts = torch.arange(tokens, 0, -1)
    with torch.no_grad():
        for batch in ids.split(16 if way == "batched" else 1):
            if way == "batched":
                out = model(batch[:, :-1], output_attentions=True, output_hidden_states=True)
                losses.append(torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), batch[:, 1:].flatten(),
                                                                reduction="none"))
                attentions = out.attentions
            else:
                attentions = model.generate(input_ids=batch[:, :-1], attention_mask=torch.ones_like(batch[:, :-1]),
                                            output_attentions=True, return_dict_in_generate=True, do_sample=False,
                                            max_new_tokens=1, pad_token_id=0).attentions[0]
            alphas.append(torch.stack([(a.sum(2) / counts)[..., 0] for a in attentions], 1))
    alpha = torch.cat(alphas)
    print(json.dumps({"loss": torch.cat(losses).mean().item() if losses else None, "alpha_1": alpha.mean(0).tolist()}))


def write_pythia(folder, probe, sequences, tokens):
    import torch
    from safetensors.torch import save_file
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(1)
    GPTNeoXForCausalLM(GPTNeoXConfig(**PYTHIA_410M)).half().save_pretrained(folder)
    save_file({"probe": torch.randint(PYTHIA_410M["vocab_size"], (sequences, tokens + 1))}, probe)
    print("{}")


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}, {max(values):.1f})"


def speed(options):
    c, f, v, n = (PYTHIA_410M[k] for k in ("hidden_size", "intermediate_size", "vocab_size", "num_hidden_layers"))
    shapes = json.dumps([[c, 3 * c, n], [c, c, n], [c, f, n], [f, c, n], [c, v, 1]])
    with tempfile.TemporaryDirectory() as folder:
        probe = str(pathlib.Path(folder) / "probe.safetensors")
        this("pythia", folder, probe, options.sequences, options.tokens)
        ours = [options.sink_eval, folder, "--probe", probe, "--json", "--tokens", str(options.tokens), "--sequences",
                str(options.sequences), "--threads", str(options.threads)]
        theirs = [[sys.executable, __file__, "transformers", way, folder, probe, str(options.threads)]
                  for way in ("study", "batched")]
        sides = {"sink-eval --no-loss": [*ours, "--no-loss"], "study": theirs[0], "sink-eval": ours,
                 "batched": theirs[1]}
        clock, cpu, gemm, peaks, results = {s: [] for s in sides}, {s: [] for s in sides}, [], {}, {}
        for _ in range(options.rounds):
            for side, command in sides.items():
                text, seconds, of_processors, peaks[side] = run(command)
                clock[side].append(seconds)
                cpu[side].append(of_processors)
                results[side] = json.loads(text)
            gemm.append(this("products", options.sequences * options.tokens, options.threads, shapes)["cpu"])
    for side in sides:
        print(f"{side}: {spread(clock[side])} s by the clock, {spread(cpu[side])} s of processors, "
              f"peak {peaks[side] / 2**30:.2f} GiB")
    over = statistics.median(x / y for x, y in zip(cpu["sink-eval"], gemm))
    print(f"matrix products with the head: {spread(gemm)} s of processors; sink-eval takes {over:.2f} times as long")
    best = statistics.median(y / x for x, y in zip(gemm, cpu["batched"]))
    print(f"no engine that makes these products can pass a ratio of {best:.2f} to the batched side")
    fine = True
    for mine, other in (("sink-eval --no-loss", "study"), ("sink-eval", "batched")):
        ratios = [statistics.median(y / x for x, y in zip(times[mine], times[other])) for times in (clock, cpu)]
        a, b = results[mine], results[other]
        difference = max(abs(x - y) for p, q in zip(a["alpha_1"], b["alpha_1"]) for x, y in zip(p, q))
        loss = 0 if b["loss"] is None else abs(a["loss"] - b["loss"])
        print(f"{other}: transformers takes {ratios[0]:.2f} times as long by the clock, {ratios[1]:.2f} of processors, and "
              f"{peaks[other] / peaks[mine]:.1f} times the memory; largest difference of mean alpha_1 {difference:.1e}, "
              f"of the loss {loss:.1e}")
        fine &= max(ratios) >= 1.5 and max(difference, loss) < 1e-3 and 4 * peaks[mine] <= peaks[other]
    return 0 if fine else 1


def main():
    if sys.argv[1:2] == ["transformers"]:
        return transformers_side(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    if sys.argv[1:2] == ["pythia"]:
        return write_pythia(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    if sys.argv[1:2] == ["products"]:
        return products(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "speed"])
    parser.add_argument("sink_eval")
    for name, value in (("sequences", 100), ("tokens", 64), ("layers", 40), ("threads", 1), ("rounds", 3)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    return memory(options) if options.what == "memory" else speed(options)


if __name__ == "__main__":
    sys.exit(main())
