"""The PyTorch peer of bench_trainer.py and tests/gpu: the same models as plain PyTorch writes them, in the materialised form.

Run by them as a program: peer.py CONFIG.json MODEL_DIR TOKENS.bin FLAVOUR [DEVICE]. Loads the weights that our side wrote,
prints "ready", then for every number n on stdin trains n steps and prints {"seconds", "losses", "peak_bytes",
"reserved_bytes"}; for the word "checkpoint" times torch.save of model and optimizer, and prints {"seconds"}. On a GPU under
bf16 autocast; the peaks are then of what PyTorch's allocator gave out, and of what it held.
Flavours:
  plain     RMSNorm and AdamW as transformers and torch.optim write them
  tuned     F.rms_norm and fused AdamW: the fastest that eager mode offers without compiling
  compiled  the tuned model under torch.compile
Attention: F.scaled_dot_product_attention, with is_causal for plain softmax and a mask [T, T] or [H, T, T] for a window, a
prefix or a bias of positions; with a key bias or a sink logit one more key and value at the front; for what is not softmax,
scores [B, H, T, T] and their weights.
"""
import json
import math
import pathlib
import resource
import struct
import sys
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WEIGHTS = {"sigmoid": torch.sigmoid, "elu_plus_one": lambda s: F.elu(s) + 1, "identity": lambda s: s}
BUCKETS, EXACT_BUCKETS, FARTHEST = 32, 16, 128  # of distances: T5's


def bucket(distance):
    if distance < EXACT_BUCKETS:
        return max(distance, 0)
    octaves = math.log(distance / EXACT_BUCKETS) / math.log(FARTHEST / EXACT_BUCKETS)
    return min(EXACT_BUCKETS + int(octaves * EXACT_BUCKETS), BUCKETS - 1)


def distances(length):
    """[T, T]: how far behind query i key j lies."""
    places = torch.arange(length)
    return places[:, None] - places[None, :]


def visible(length, variant):
    behind = distances(length)
    seen = behind >= 0
    if variant.get("window"):
        seen &= behind < variant["window"]
    return seen | (torch.arange(length) < variant.get("prefix_length", 0))


def sinusoids(length, hidden):
    angles = torch.outer(torch.arange(length).double(), 1e4 ** (-torch.arange(0, hidden, 2).double() / hidden))
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class RMSNorm(nn.Module):
    def __init__(self, size, tuned):
        super().__init__()
        self.weight, self.tuned = nn.Parameter(torch.ones(size)), tuned

    def forward(self, x):
        if self.tuned:
            return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Attention(nn.Module):
    def __init__(self, model, length):
        super().__init__()
        hidden, self.heads = model["hidden_size"], model["num_attention_heads"]
        self.dim, variant = hidden // self.heads, model.get("variant", {})
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(hidden, hidden, bias=False) for _ in range(4))
        self.similarity, self.normalize = variant.get("similarity", "softmax"), variant.get("normalize", True)
        per_head = lambda name: nn.Parameter(torch.empty(self.heads, self.dim)) if variant.get(name) == "per_head" else None
        self.key_bias, self.value_bias = per_head("key_bias"), per_head("value_bias")
        self.sink_logit = nn.Parameter(torch.empty(self.heads)) if variant.get("sink_logit") == "learned" else None
        self.feature_map = None
        if variant.get("feature_map") == "mlp":
            self.feature_map = nn.ModuleList(nn.Linear(self.dim, self.dim, bias=False) for _ in range(2))
        self.is_plain = not variant.get("window") and not variant.get("prefix_length")
        self.rotates = variant.get("position_embedding", "rope") == "rope"
        angles = torch.outer(torch.arange(length).float(), 1e4 ** (-torch.arange(0, self.dim, 2).float() / self.dim))
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin(), persistent=False)
        self.register_buffer("seen", visible(length, variant), persistent=False)

    def rotate(self, x):
        if not self.rotates:
            return x
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat([-second, first], -1) * self.sin

    def map(self, x):
        return x if self.feature_map is None else self.feature_map[1](F.relu(self.feature_map[0](x)))

    def with_column(self, x, star):
        """x with one more row at the front of each head: star [H, D], or zeros."""
        row = torch.zeros_like(x[:, :, :1]) if star is None else star[None, :, None, :].expand(len(x), -1, -1, -1).to(x.dtype)
        return torch.cat([row, x], 2)

    def softmax(self, q, k, v, bias):
        column = self.key_bias is not None or self.sink_logit is not None
        if not column and bias is None:
            mask = None if self.is_plain else self.seen
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.is_plain)
        mask = self.seen if bias is None else bias.masked_fill(~self.seen, -math.inf).to(q.dtype)
        if column:
            k, v = self.with_column(k, self.key_bias), self.with_column(v, self.value_bias)
            mask = F.pad(mask, (1, 0), value=1 if mask.dtype == torch.bool else 0)
        if self.sink_logit is not None:
            mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else mask
            mask = mask + F.pad(self.sink_logit.to(q.dtype)[:, None, None], (0, self.seen.shape[1]))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def attend(self, q, k, v, bias):
        if self.similarity == "softmax":
            return self.softmax(q, k, v, bias)
        scores = q @ k.transpose(2, 3) / self.dim**0.5
        if bias is not None:
            scores = scores + bias
        if self.similarity == "softpick":
            largest = scores.masked_fill(~self.seen, -math.inf).amax(-1, True)
            x = ((scores - largest).exp() - (-largest).exp()) * self.seen
            return F.relu(x) / (x.abs().sum(-1, True) + 1e-6) @ v
        weights = WEIGHTS[self.similarity](scores) * self.seen
        if self.normalize:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-8)
        return weights @ v

    def forward(self, x, bias):
        q, k, v = (p(x).view(*x.shape[:2], self.heads, self.dim).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (self.map(self.rotate(x).to(v.dtype)) for x in (q, k))  # angles are floats under autocast, too
        return self.o_proj(self.attend(q, k, v, bias).to(v.dtype).transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, model):
        super().__init__()
        hidden, inner = model["hidden_size"], model["intermediate_size"]
        self.gate_proj, self.up_proj = (nn.Linear(hidden, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, model, length, tuned):
        super().__init__()
        self.input_layernorm = RMSNorm(model["hidden_size"], tuned)
        self.post_attention_layernorm = RMSNorm(model["hidden_size"], tuned)
        self.self_attn, self.mlp = Attention(model, length), FeedForward(model)

    def forward(self, x, bias):
        x = x + self.self_attn(self.input_layernorm(x), bias)
        return x + self.mlp(self.post_attention_layernorm(x))


class AttentionOnlyLayer(nn.Module):
    def __init__(self, model, length, tuned):
        super().__init__()
        self.input_layernorm, self.self_attn = RMSNorm(model["hidden_size"], tuned), Attention(model, length)

    def forward(self, x, bias):
        return x + self.self_attn(self.input_layernorm(x), bias)


class Body(nn.Module):
    def __init__(self, model, length, tuned):
        super().__init__()
        self.embed_tokens = nn.Embedding(model["vocab_size"], model["hidden_size"])
        variant = model.get("variant", {})
        layer = AttentionOnlyLayer if variant.get("ffn") == "none" else Layer
        self.layers = nn.ModuleList(layer(model, length, tuned) for _ in range(model["num_hidden_layers"]))
        embedding, heads = variant.get("position_embedding"), model["num_attention_heads"]
        if embedding == "sinusoidal":
            self.register_buffer("positions", sinusoids(length, model["hidden_size"]), persistent=False)
        if embedding in ("relative", "t5"):
            buckets = torch.tensor([bucket(distance) for distance in range(length)])[distances(length).clamp(min=0)]
        if embedding == "alibi":  # of a power of two of heads
            slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)
            self.register_buffer("fixed_bias", -slopes[:, None, None] * distances(length).abs(), persistent=False)
        elif embedding == "relative":
            self.register_buffer("fixed_bias", buckets.float().expand(heads, -1, -1), persistent=False)
        elif embedding == "t5":
            self.relative_bias = nn.Embedding(BUCKETS, heads)
            self.register_buffer("buckets", buckets, persistent=False)
        self.norm = RMSNorm(model["hidden_size"], tuned)

    def bias(self):
        """Of positions, [H, T, T], or nothing."""
        if hasattr(self, "relative_bias"):
            return self.relative_bias(self.buckets).permute(2, 0, 1)
        return getattr(self, "fixed_bias", None)

    def forward(self, tokens):
        x, bias = self.embed_tokens(tokens), self.bias()
        if hasattr(self, "positions"):
            x = x + self.positions
        for layer in self.layers:
            x = layer(x, bias)
        return self.norm(x)


class Model(nn.Module):
    def __init__(self, model, length, tuned):
        super().__init__()
        self.model = Body(model, length, tuned)
        self.lm_head = nn.Linear(model["hidden_size"], model["vocab_size"], bias=False)

    def forward(self, tokens, targets):
        logits = self.lm_head(self.model(tokens))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def load_weights(model, folder):
    raw = bytearray((pathlib.Path(folder) / "model.safetensors").read_bytes())
    size, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    model.load_state_dict({name: torch.frombuffer(raw, dtype=torch.float32, offset=8 + size + e["data_offsets"][0],
                                                  count=(e["data_offsets"][1] - e["data_offsets"][0]) // 4)
                           .reshape(e["shape"]) for name, e in header.items()})


class Peer:
    def __init__(self, config, model_dir, tokens_file, flavour, device):
        self.train, self.device, self.on_cpu = config["train"], device, device == "cpu"
        length, tuned = self.train["sequence_length"], flavour != "plain"
        torch.set_num_threads(self.train["threads"])
        torch.backends.cuda.matmul.allow_tf32 = True
        self.model = Model(config["model"], length, tuned)
        load_weights(self.model, model_dir)
        self.model.to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.train["learning_rate"],
                                           betas=(self.train["beta1"], self.train["beta2"]), eps=self.train["epsilon"],
                                           weight_decay=self.train["weight_decay"], fused=True if tuned else None)
        tokens = torch.frombuffer(bytearray(pathlib.Path(tokens_file).read_bytes()), dtype=torch.int32)
        self.batches = iter(tokens.view(-1, self.train["micro_batch_size"], length + 1).long().to(device))
        self.forward = torch.compile(self.model) if flavour == "compiled" else self.model

    def step(self):
        batch = next(self.batches)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=not self.on_cpu):
            loss = self.forward(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.train["max_gradient_norm"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def steps(self, count):
        start = time.perf_counter()
        losses = [loss.item() for loss in [self.step() for _ in range(count)]]  # waits for the device once
        seconds = time.perf_counter() - start
        if self.on_cpu:
            peak = reserved = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        else:
            peak, reserved = torch.cuda.max_memory_allocated(self.device), torch.cuda.max_memory_reserved(self.device)
        return {"seconds": seconds, "losses": losses, "peak_bytes": peak, "reserved_bytes": reserved}

    def checkpoint(self):
        start = time.perf_counter()
        with tempfile.NamedTemporaryFile() as file:
            torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, file)
            return {"seconds": time.perf_counter() - start}


def main(config_file, model_dir, tokens_file, flavour, device="cpu"):
    peer = Peer(json.loads(pathlib.Path(config_file).read_text()), model_dir, tokens_file, flavour, device)
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        print(json.dumps(peer.checkpoint() if word == "checkpoint" else peer.steps(int(word))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
