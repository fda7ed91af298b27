"""Tiny models of random weights with tokenizers and chat templates of their own, saved as transformers saves models."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

TEXT = [
    "Given the context, is the statement below true (entailment), undetermined (neutral) or false (contradiction)? "
    "Weigh what the comments say about it, choose one of the listed options and begin your answer with its letter.",
    "Context: The men sang in the old house.\nStatement: People sang.\nComment 1: Men are people. The writer's choice:",
    "A. Entailment\nB. Neutral\nC. Contradiction\nAnswer:",
]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKING = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}<think></think>{% endif %}{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if no_thoughts %}<think></think>{% endif %}{% endif %}"
)
"""As models have it that think unless told otherwise."""


def make(folder: Path, *, kind: str = "llama", template: str = TEMPLATE) -> Path:
    """Save a model; ``kind`` is llama, or mamba, which reads in order and knows no table of who sees whom."""
    tokenizers: Any = import_module("tokenizers")
    transformers: Any = import_module("transformers")
    torch: Any = import_module("torch")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<think>", "</think>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    common = {"vocab_size": len(fast), "hidden_size": 64, "num_hidden_layers": 2, "initializer_range": 0.2}
    if kind == "mamba":
        model = transformers.MambaForCausalLM(transformers.MambaConfig(state_size=8, **common))
    else:
        config = transformers.LlamaConfig(
            intermediate_size=96, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096, **common
        )
        model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder
