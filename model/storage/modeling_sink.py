"""The models of Sink's studies for transformers: every checkpoint whose model_type is "sink" carries this file.

AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True) opens such a checkpoint with transformers 4.57 and
later. The forward pass is that of sink-trainer, written out: Sink's model/README.md has the formula and the source of
every option of "variant" in config.json. Attention is eager, so that output_attentions gives the weights that multiplied
the values, [batch, heads, queries, keys]. Where a layer has one more key that every query sees (key_bias, sink_logit), it
is the first key; a sink token is the first query and the first key of every layer. There is no cache of keys and values:
generate() computes the text anew for each token.
"""

import math

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

# The options of a variant and their values in LLaMA.
LLAMA = {
    "position_embedding": "rope",
    "ffn": "swiglu",
    "norm_placement": "pre",
    "similarity": "softmax",
    "feature_map": "identity",
    "normalize": True,
    "attention_sum": 1.0,
    "key_bias": "none",
    "value_bias": "none",
    "value_bias_scale": 1.0,
    "sink_logit": "none",
    "sink_token": False,
    "attention_gate": "none",
    "qk_norm": False,
    "prefix_length": 0,
    "window": 0,
}
ACTIVATIONS = {
    "swiglu": functional.silu,
    "swish": functional.silu,
    "geglu": functional.gelu,
    "gelu": functional.gelu,
    "reglu": functional.relu,
    "relu": functional.relu,
}
GATED = ("swiglu", "geglu", "reglu")
BUCKETS, FARTHEST = 32, 128  # T5's
BIAS_DEVIATION = 0.02  # of the initial values of biases and logits of attention


class SinkConfig(PretrainedConfig):
    model_type = "sink"

    def __init__(
        self,
        vocab_size=50432,
        hidden_size=768,
        intermediate_size=1536,
        num_hidden_layers=10,
        num_attention_heads=8,
        num_key_value_heads=None,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        rope_theta=1e4,
        variant=None,
        tie_word_embeddings=False,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **kwargs,
    ):
        variant = dict(variant or {})
        unknown = sorted(set(variant) - set(LLAMA))
        if unknown:
            raise ValueError(f"variant.{unknown[0]} is not known to this modeling_sink.py; fetch the checkpoint anew")
        if tie_word_embeddings:
            raise ValueError("models of Sink have a head of their own: tie_word_embeddings must be false")
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.head_dim = hidden_size // num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        self.variant = variant
        kwargs.pop("head_dim", None)
        super().__init__(tie_word_embeddings=False, **kwargs)
        # After it: transformers 5 leaves out what it takes for a parameter of generation.
        self.use_cache = False
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self.pad_token_id = pad_token_id

    def option(self, name):
        value = self.variant.get(name)
        return LLAMA[name] if value is None else value

    @property
    def positions(self):
        """Of the longest text, and one for the sink token before it."""
        return self.max_position_embeddings + int(self.option("sink_token"))


class SinkRMSNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)).to(x.dtype) * self.weight


class SinkMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, inner, kind = config.hidden_size, config.intermediate_size, config.option("ffn")
        self.act = ACTIVATIONS[kind]
        self.gate_proj = nn.Linear(hidden, inner, bias=False) if kind in GATED else None
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)
        self.down_proj.deviation = 1 / math.sqrt(inner) / config.num_hidden_layers

    def forward(self, x):
        up = self.up_proj(x)
        return self.down_proj(self.act(up) if self.gate_proj is None else self.act(self.gate_proj(x)) * up)


def sinusoids(length, size, device):
    """[length, size]: sines of t f_i in the first half, cosines in the second, f_i = 10000^(-2 i / size)."""
    exponent = torch.arange(size // 2, dtype=torch.float64, device=device) * (-2.0 / size)
    angle = torch.arange(length, dtype=torch.float64, device=device)[:, None] * torch.exp(exponent * math.log(1e4))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def rope_table(length, dim, theta, device):
    """Cosines and sines [length, dim] of the rotation that turns the two halves of a head into each other."""
    frequency = theta ** (torch.arange(0, dim, 2, dtype=torch.float64, device=device) / -dim)
    angle = torch.arange(length, dtype=torch.float64, device=device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x, table):
    cos, sin = (part.to(x.dtype) for part in table)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def bucket(distance):
    """T5's bucket of a key that lies this far before the query."""
    exact = BUCKETS // 2
    if distance < exact:
        return max(distance, 0)
    octaves = math.log(distance / exact) / math.log(FARTHEST / exact)
    return min(exact + int(octaves * exact), BUCKETS - 1)


def alibi_slopes(heads):
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8.0 * h / power) for h in range(1, power + 1)]
    return slopes + [2.0 ** (-8.0 * h / (2 * power)) for h in range(1, 2 * (heads - power), 2)]


def distances(length, device):
    """[queries, keys]: how far a key lies before the query."""
    at = torch.arange(length, device=device)
    return at[:, None] - at


def buckets(length, device):
    table = torch.tensor([bucket(distance) for distance in range(length)], device=device)
    return table[distances(length, device).clamp_min(0)]


class SinkAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        hidden, heads, dim = config.hidden_size, config.num_attention_heads, config.head_dim
        keys = config.num_key_value_heads
        self.q_proj = nn.Linear(hidden, heads * dim, bias=False)
        self.k_proj = nn.Linear(hidden, keys * dim, bias=False)
        self.v_proj = nn.Linear(hidden, keys * dim, bias=False)
        self.o_proj = nn.Linear(heads * dim, hidden, bias=False)
        if config.option("qk_norm"):
            self.q_norm = SinkRMSNorm(dim, config.rms_norm_eps)
            self.k_norm = SinkRMSNorm(dim, config.rms_norm_eps)
        if config.option("feature_map") == "mlp":
            self.feature_map = nn.ModuleList([nn.Linear(dim, dim, bias=False) for _ in range(2)])
        shapes = {"shared": (dim,), "per_head": (heads, dim)}
        for name in ("key_bias", "value_bias"):
            shape = shapes.get(config.option(name))
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)) if shape else None)
        learned = config.option("sink_logit") == "learned"
        self.register_parameter("sink_logit", nn.Parameter(torch.zeros(heads)) if learned else None)
        gates = {"headwise": heads, "elementwise": heads * dim}.get(config.option("attention_gate"))
        self.gate_proj = nn.Linear(hidden, gates, bias=False) if gates else None

    def mapped(self, x):
        kind = self.config.option("feature_map")
        if kind == "elu_plus_one":
            return functional.elu(x) + 1
        return self.feature_map[1](functional.relu(self.feature_map[0](x))) if kind == "mlp" else x

    def column_score(self, query):
        """The score of the key that is not of the text, [batch, heads, queries, 1]; nothing where there is none."""
        if self.key_bias is not None:
            key = self.key_bias.expand(query.shape[1], -1).float()
            return (query.float() @ key[:, :, None]) / math.sqrt(query.shape[-1])
        kind = self.config.option("sink_logit")
        if kind == "none":
            return None
        logit = query.new_zeros(query.shape[1]) if kind == "zero" else self.sink_logit
        return logit.float()[:, None, None].expand(query.shape[0], -1, query.shape[2], 1)

    def column_value(self, query):
        """The value of that key, or what is added to the output where there is none, [heads, head_dim]; or nothing."""
        kind, scale = self.config.option("value_bias"), self.config.option("value_bias_scale")
        heads, dim = query.shape[1], query.shape[-1]
        if kind == "none":
            return None
        if kind == "unit":
            value = query.new_zeros(dim)
            value[0] = scale
        elif kind == "uniform":
            value = query.new_full((dim,), scale / math.sqrt(dim))
        else:
            value = self.value_bias
        return value.expand(heads, dim)

    def weights(self, scores, column, seen):
        """What multiplies the values, with the column's weight first where there is one."""
        kind = self.config.option("similarity")
        if kind == "softmax":
            scores = scores.masked_fill(~seen, -torch.inf)
            return torch.softmax(scores if column is None else torch.cat([column, scores], dim=-1), dim=-1)
        if kind == "softpick":
            largest = scores.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True)
            above = ((scores - largest).exp() - (-largest).exp()) * seen
            return functional.relu(above) / (above.abs().sum(-1, keepdim=True) + 1e-6)
        maps = {"sigmoid": torch.sigmoid, "elu_plus_one": lambda x: functional.elu(x) + 1, "identity": lambda x: x}
        weights = maps[kind](scores) * seen
        if not self.config.option("normalize"):
            return weights
        total = weights.sum(-1, keepdim=True)
        of_any_sign = kind == "identity" and self.config.option("feature_map") != "elu_plus_one"
        return weights / (total.abs().clamp_min(1) if of_any_sign else total + 1e-8)

    def forward(self, x, table, bias, seen):
        batch, length, _ = x.shape
        dim, heads = self.config.head_dim, self.config.num_attention_heads
        query, key, value = (
            projection(x).view(batch, length, -1, dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.config.option("qk_norm"):
            query, key = self.q_norm(query), self.k_norm(key)
        if table is not None:
            query, key = rotate(query, table), rotate(key, table)
        query, key = self.mapped(query), self.mapped(key)
        groups = heads // self.config.num_key_value_heads
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        scores = (query.float() @ key.float().transpose(2, 3)) / math.sqrt(dim)
        if bias is not None:
            scores = scores + bias
        column, extra = self.column_score(query), self.column_value(query)
        weights = self.weights(scores, column, seen).to(value.dtype)
        out = weights[..., -length:] @ value
        if column is not None and extra is not None:
            out = out + weights[..., :1] * extra[:, None, :]
        out = out * self.config.option("attention_sum")
        if column is None and extra is not None:
            out = out + extra[:, None, :]
        out = out.transpose(1, 2)  # [batch, queries, heads, head_dim]
        if self.gate_proj is not None:
            out = out * torch.sigmoid(self.gate_proj(x)).view(batch, length, heads, -1)
        return self.o_proj(out.reshape(batch, length, heads * dim)), weights


class SinkLayer(nn.Module):
    """LLaMA's norms read what a block reads; a post norm reads the sum, a sandwich's second one what is added."""

    def __init__(self, config):
        super().__init__()
        placement = config.option("norm_placement")
        norms_input, norms_output = placement != "post", placement != "pre"
        feeds = config.option("ffn") != "none"
        self.post = placement == "post"

        def norm(present):
            return SinkRMSNorm(config.hidden_size, config.rms_norm_eps) if present else None

        self.input_layernorm = norm(norms_input)
        self.self_attn = SinkAttention(config)
        # LLaMA's name of the norm before the feed-forward block is that of attention's own where it has one.
        self.post_attention_layernorm = norm(norms_output or feeds)
        self.pre_feedforward_layernorm = norm(norms_input and norms_output and feeds)
        self.post_feedforward_layernorm = norm(norms_output and feeds)
        self.mlp = SinkMLP(config) if feeds else None
        self.after_attention = "post_attention_layernorm" if norms_output else None
        self.before_mlp = "pre_feedforward_layernorm" if norms_output else "post_attention_layernorm"

    def normed(self, name, x):
        norm = getattr(self, name) if name else None
        return x if norm is None else norm(x)

    def join(self, x, added, name):
        return self.normed(name, x + added) if self.post else x + self.normed(name, added)

    def forward(self, x, table, bias, seen):
        attended, weights = self.self_attn(self.normed("input_layernorm", x), table, bias, seen)
        x = self.join(x, attended, self.after_attention)
        if self.mlp is not None:
            fed = self.mlp(self.normed(self.before_mlp, x))
            x = self.join(x, fed, "post_feedforward_layernorm")
        return x, weights


class SinkPreTrainedModel(PreTrainedModel):
    config_class = SinkConfig
    base_model_prefix = "model"
    _no_split_modules = ["SinkLayer"]

    def _init_weights(self, module):
        """As sink-trainer begins; from_pretrained asks for it where a file lacks a tensor."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=getattr(module, "deviation", math.sqrt(0.4 / module.weight.shape[1])))
        elif isinstance(module, SinkRMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, SinkAttention):
            for bias in (module.key_bias, module.value_bias, module.sink_logit):
                if bias is not None:
                    nn.init.normal_(bias, std=BIAS_DEVIATION)
        elif isinstance(module, SinkModel) and module.sink_token is not None:
            nn.init.normal_(module.sink_token, std=math.sqrt(0.4 / self.config.hidden_size))


class SinkModel(SinkPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        kind = config.option("position_embedding")
        self.embed_positions = nn.Embedding(config.positions, config.hidden_size) if kind == "learnable" else None
        self.relative_bias = nn.Embedding(BUCKETS, config.num_attention_heads) if kind == "t5" else None
        if self.relative_bias is not None:
            self.relative_bias.deviation = BIAS_DEVIATION
        token = nn.Parameter(torch.zeros(1, config.hidden_size)) if config.option("sink_token") else None
        self.register_parameter("sink_token", token)
        self.layers = nn.ModuleList([SinkLayer(config) for _ in range(config.num_hidden_layers)])
        post = config.option("norm_placement") == "post"
        self.norm = None if post else SinkRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def get_input_embeddings(self):
        return self.embed_tokens

    def set_input_embeddings(self, value):
        self.embed_tokens = value

    def placed(self, x):
        """The embeddings with positions added, where these are no part of attention."""
        length, kind = x.shape[1], self.config.option("position_embedding")
        if kind == "sinusoidal":
            return x + sinusoids(length, x.shape[2], x.device).to(x.dtype)
        if kind != "learnable":
            return x
        if length > self.config.positions:
            raise ValueError(f"{length} positions, but the model has a table of {self.config.positions}")
        return x + self.embed_positions.weight[:length]

    def score_bias(self, length, device):
        """[heads or 1, queries, keys], or nothing."""
        kind = self.config.option("position_embedding")
        if kind == "alibi":
            slopes = torch.tensor(alibi_slopes(self.config.num_attention_heads), dtype=torch.float64, device=device)
            return (-slopes[:, None, None] * distances(length, device).abs()).float()
        if kind == "relative":
            return buckets(length, device)[None].float()
        return self.relative_bias(buckets(length, device)).permute(2, 0, 1).float() if kind == "t5" else None

    def visible(self, attention_mask, batch, length, device):
        """Whether a query sees a key, [batch or 1, 1, queries, keys]."""
        before = distances(length, device)
        window, prefix = self.config.option("window"), self.config.option("prefix_length")
        if prefix > 0 and self.sink_token is not None:
            prefix += 1  # the token comes before the text's prefix
        seen = (before >= 0) & (before < window) if window > 0 else before >= 0
        in_prefix = (torch.arange(length, device=device) < prefix).expand(1, 1, 1, length)
        if attention_mask is not None:
            if attention_mask.dim() != 2:
                raise ValueError("attention_mask must be [batch, length], ones and then zeros in every row")
            real = attention_mask.bool()
            if (real[:, 1:] & ~real[:, :-1]).any():
                raise ValueError("texts must be padded on the right: positions count from the first token of a text")
            ones = real.new_ones(batch, length - real.shape[1])
            in_prefix = in_prefix & torch.cat([ones, real], dim=1)[:, None, None, :]
        return seen[None, None] | in_prefix

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        **kwargs,
    ):
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give one of input_ids and inputs_embeds")
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if self.sink_token is not None:
            x = torch.cat([self.sink_token.expand(x.shape[0], 1, -1).to(x.dtype), x], dim=1)
        x = self.placed(x)
        batch, length = x.shape[:2]
        rope = config.option("position_embedding") == "rope"
        table = rope_table(length, config.head_dim, config.rope_theta, x.device) if rope else None
        bias = self.score_bias(length, x.device)
        seen = self.visible(attention_mask, batch, length, x.device)
        attentions, states = [], []
        for layer in self.layers:
            states.append(x)
            x, weights = layer(x, table, bias, seen)
            attentions.append(weights)
        # As in transformers, the last hidden state is after the final norm. A sink token is in the states, not in what
        # the head reads.
        x = x if self.norm is None else self.norm(x)
        states.append(x)
        output = BaseModelOutput(
            last_hidden_state=x if self.sink_token is None else x[:, 1:],
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output.to_tuple() if return_dict is False else output


class SinkForCausalLM(SinkPreTrainedModel, GenerationMixin):
    def __init__(self, config):
        super().__init__(config)
        self.model = SinkModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        asked = ("output_attentions", "output_hidden_states")
        return {"input_ids": input_ids, "attention_mask": attention_mask} | {
            name: kwargs[name] for name in asked if name in kwargs
        }

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        labels=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        logits_to_keep=0,
        **kwargs,
    ):
        read = self.model(
            input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.lm_head(read.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        output = CausalLMOutput(loss=loss, logits=logits, hidden_states=read.hidden_states, attentions=read.attentions)
        return output.to_tuple() if return_dict is False else output
