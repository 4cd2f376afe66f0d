#!/usr/bin/env python3
"""sink-eval on open models: the memory that a 13B model takes, and time and memory beside transformers.

Usage: bench_open_models.py memory SINK_EVAL [--sequences 100] [--tokens 64] [--layers 40] [--threads 2]
       bench_open_models.py speed SINK_EVAL [--sequences 100] [--tokens 64] [--threads 2] [--rounds 3]

memory: a folder of LLaMA-2-13B's shape in six shards of fp16 holes (26 GB that take no disk), measured whole. Prints the
peak of the process's resident memory (VmHWM, which counts mapped pages) and fails when it is 3 GiB or more.
speed (needs transformers): a Pythia-410M of random weights in fp16, the same sequences, fp32 arithmetic, eager attention
that returns its matrices, as the study's own evaluation has it; sink-eval and transformers in turns, loading included.
Prints the medians, their ratio, both peaks and the largest difference of mean alpha_1 and of the loss.
"""
import argparse
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
    """Standard output, seconds and peak resident bytes of a command."""
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
    return text, seconds, usage.ru_maxrss * 1024


def memory(options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_13b(folder, options.layers)
        _, seconds, peak = run([options.sink_eval, name, "--inputs", "random", "--json", "--tokens", str(options.tokens),
                                "--sequences", str(options.sequences), "--threads", str(options.threads)])
    print(f"13B, {options.layers} layers, {options.sequences} x {options.tokens} tokens: peak {peak / 2**30:.2f} GiB, "
          f"{seconds:.0f} s on {options.threads} threads")
    return 0 if peak < LIMIT else 1


def transformers_side(folder, probe, threads):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = load_file(probe)["probe"].long()
    tokens, losses, alphas = ids.shape[1] - 1, [], []
    with torch.no_grad():
        for batch in ids.split(16):
            out = model(batch[:, :-1], output_attentions=True, output_hidden_states=True)
            losses.append(torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), batch[:, 1:].flatten(),
                                                            reduction="none"))
            counts = torch.arange(tokens, 0, -1)
            alphas.append(torch.stack([(a.sum(2) / counts)[..., 0] for a in out.attentions], 1))
    alpha = torch.cat(alphas)
    print(json.dumps({"loss": torch.cat(losses).mean().item(), "alpha_1": alpha.mean(0).tolist()}))


def speed(options):
    import torch
    from safetensors.torch import save_file
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(1)
        config = GPTNeoXConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                               vocab_size=50304, max_position_embeddings=2048, rotary_pct=0.25)
        GPTNeoXForCausalLM(config).half().save_pretrained(folder)
        probe = str(pathlib.Path(folder) / "probe.safetensors")
        save_file({"probe": torch.randint(50304, (options.sequences, options.tokens + 1))}, probe)
        ours = [options.sink_eval, folder, "--probe", probe, "--json", "--tokens", str(options.tokens), "--sequences",
                str(options.sequences), "--threads", str(options.threads)]
        theirs = [sys.executable, __file__, "transformers", folder, probe, str(options.threads)]
        sides = {"sink-eval": ours, "transformers": theirs}
        seconds, peaks, results = {side: [] for side in sides}, {}, {}
        for _ in range(options.rounds):
            for side, command in sides.items():
                text, time_taken, peaks[side] = run(command)
                seconds[side].append(time_taken)
                results[side] = json.loads(text)
    a, b = results["sink-eval"], results["transformers"]
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    for side in sides:
        print(f"{side}: median {medians[side]:.1f} s, peak {peaks[side] / 2**30:.2f} GiB")
    difference = max(abs(x - y) for p, q in zip(a["alpha_1"], b["alpha_1"]) for x, y in zip(p, q))
    print(f"transformers takes {medians['transformers'] / medians['sink-eval']:.2f} times as long; largest difference of "
          f"mean alpha_1 {difference:.1e}, of the loss {abs(a['loss'] - b['loss']):.1e}")
    return 0 if difference < 1e-4 else 1


def main():
    if sys.argv[1:2] == ["transformers"]:
        return transformers_side(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "speed"])
    parser.add_argument("sink_eval")
    for name, value in (("sequences", 100), ("tokens", 64), ("layers", 40), ("threads", 2), ("rounds", 3)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    return memory(options) if options.what == "memory" else speed(options)


if __name__ == "__main__":
    sys.exit(main())
