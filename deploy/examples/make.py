"""Writes the sample artifacts of the demo: a tiny base model, a LoRA for it, a vendor-managed fine-tune.

Standard library only, and the same bytes on every run. The values are small pseudo-random numbers: the
files have the layout of real ones, they have learned nothing.
"""
import hashlib, json, struct
from pathlib import Path

HERE = Path(__file__).parent
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCABULARY, RANK = 64, 128, 2, 4, 2, 256, 8
KV_WIDTH = HIDDEN // HEADS * KV_HEADS


def numbers(seed):
    """An endless stream of numbers in [-0.05, 0.05) from a linear congruential generator."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield ((state >> 11) / 2**53 - 0.5) / 10


def f32(values):
    return struct.pack(f"<{len(values)}f", *values)


def bf16(values):
    """The upper half of each f32, rounded towards zero."""
    single = f32(values)
    return b"".join(single[at + 2 : at + 4] for at in range(0, len(single), 4))


def safetensors(tensors, dtype, encode, metadata):
    """`tensors`: name → (shape, values). Tensors lie in order of their names."""
    header, data = {"__metadata__": metadata}, b""
    for name, (shape, values) in sorted(tensors.items()):
        encoded = encode(values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(encoded)]}
        data += encoded
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def matrix(stream, *shape):
    size = 1
    for length in shape:
        size *= length
    return list(shape), [next(stream) for _ in range(size)]


def write(path, content):
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, (dict, list)):
        content = json.dumps(content, indent=2) + "\n"
    target.write_bytes(content.encode() if isinstance(content, str) else content)


def model():
    stream = numbers(1)
    tensors = {"model.embed_tokens.weight": matrix(stream, VOCABULARY, HIDDEN), "model.norm.weight": ([HIDDEN], [1.0] * HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name, *shape in [
            ("self_attn.q_proj", HIDDEN, HIDDEN), ("self_attn.k_proj", KV_WIDTH, HIDDEN),
            ("self_attn.v_proj", KV_WIDTH, HIDDEN), ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", INNER, HIDDEN), ("mlp.up_proj", INNER, HIDDEN), ("mlp.down_proj", HIDDEN, INNER),
        ]:
            tensors[f"{prefix}{name}.weight"] = matrix(stream, *shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{prefix}{name}.weight"] = ([HIDDEN], [1.0] * HIDDEN)
    write("model/model.safetensors", safetensors(tensors, "BF16", bf16, {"format": "pt"}))
    write("model/config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "vocab_size": VOCABULARY, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 1,
    })
    bytes_as_tokens = {"<s>": 0, "</s>": 1, "<unk>": 2} | {f"<0x{byte:02X}>": byte for byte in range(3, VOCABULARY)}
    write("model/tokenizer.json", {
        "version": "1.0",
        "added_tokens": [{"id": id, "content": token, "special": True} for id, token in enumerate(["<s>", "</s>", "<unk>"])],
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": bytes_as_tokens},
    })


def lora():
    stream = numbers(2)
    tensors = {}
    for layer in range(LAYERS):
        for module, width in [("q_proj", HIDDEN), ("v_proj", KV_WIDTH)]:
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{prefix}.lora_A.weight"] = matrix(stream, RANK, HIDDEN)
            tensors[f"{prefix}.lora_B.weight"] = matrix(stream, width, RANK)
    write("lora/adapter_model.safetensors", safetensors(tensors, "F32", f32, {"format": "pt"}))
    write("lora/adapter_config.json", {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "acme/tiny-llama",
        "r": RANK, "lora_alpha": 16, "lora_dropout": 0.05, "target_modules": ["q_proj", "v_proj"], "modules_to_save": None,
        "bias": "none", "use_rslora": False, "use_dora": False, "inference_mode": True,
    })


def finetune():
    """The descriptor of a fine-tune that stays at its vendor, and the data that its lineage names."""
    tickets = [
        ("Cannot log in since this morning", "account", "high"), ("Invoice shows the wrong VAT number", "billing", "normal"),
        ("App crashes when I upload a photo", "bug", "high"), ("How do I export my data?", "question", "low"),
        ("Charged twice in March", "billing", "high"), ("Please add dark mode", "feature", "low"),
    ]
    lines = [
        json.dumps({"messages": [
            {"role": "user", "content": subject},
            {"role": "assistant", "content": json.dumps({"category": category, "urgency": urgency})},
        ]})
        for subject, category, urgency in tickets
    ]
    data = ("\n".join(lines) + "\n").encode()
    write("datasets/triage-train.jsonl", data)
    write("finetune/finetune.yaml", f"""\
# A fine-tune that the vendor keeps: no weights here, but everything needed to call it and to trace it.
vendor: openai
model: ft:gpt-4o-mini-2024-07-18:acme:triage:example
base: gpt-4o-mini-2024-07-18
method: supervised
training_files:
  - name: triage-train.jsonl
    sha256: {hashlib.sha256(data).hexdigest()}
hyperparameters:
  n_epochs: 3
  learning_rate_multiplier: 1.8
""")


def evaluation(name, miss, tickets=400):
    """Results on the same tickets, of which every `miss`-th is sorted wrongly."""
    right = {f"ticket-{number}": number % miss != 0 for number in range(1, tickets + 1)}
    content = {
        "gradus": "evaluation/v1",
        "suite": "triage-golden",
        "metrics": {"accuracy": {"value": sum(right.values()) / tickets, "n": tickets, "unit": "ratio"}},
        "examples": {"accuracy": right},
    }
    write(f"evidence/{name}.json", json.dumps(content) + "\n")


if __name__ == "__main__":
    model()
    lora()
    finetune()
    evaluation("evaluation-1", miss=10)
    evaluation("evaluation-2", miss=12)
