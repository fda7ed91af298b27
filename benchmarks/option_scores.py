"""Option scores of many prompts: together, with what they share worked out once, and one prompt at a time.

Makes a model of random weights and a tokenizer of a real one's grain (about four characters to a token), and scores the
prompts of some items of ``varierr341`` in this process, in turns, both ways::

    PARTYNLI_DATA=... python benchmarks/option_scores.py --hidden 256 --layers 4

Needs the extra ``hf``. Times are the processor's, on one thread, which other work on the machine moves least.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from partynli.items import load_dataset
from partynli.items.explanation_files import human_explanations
from partynli.prompts import render
from partynli.providers.hf.scorer import Scorer
from partynli.records import Participant, Prompt
from partynli.studies.mjd.asking import Prompts, scored, scores_plan
from partynli.studies.mjd.design import Design
from partynli.studies.mjd.wording import load_wording

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def make_model(folder: Path, texts: list[str], hidden: int, layers: int) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    heads = max(1, hidden // 64)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def measure(scorer: Scorer, prompts: list[Prompt], alone: int, turns: int) -> tuple[float, float, float]:
    """Prompts a second of processor time together and alone, medians over turns; the greatest difference of a score."""
    together_s, alone_s, apart = [], [], 0.0
    step = max(1, len(prompts) // alone)
    some = list(range(0, len(prompts), step))
    scorer.score(prompts[:2])
    for _ in range(turns):
        began = time.process_time()
        one_by_one = [scorer.score_alone(prompts[k]) for k in some]
        alone_s.append((time.process_time() - began) / len(some))
        began = time.process_time()
        found = scorer.score(prompts)
        together_s.append((time.process_time() - began) / len(prompts))
        for k, one in zip(some, one_by_one, strict=True):
            apart = max(apart, *(abs(one.logits[letter] - found[k].logits[letter]) for letter in one.logits))
    return 1 / statistics.median(together_s), 1 / statistics.median(alone_s), apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    wording, said = load_wording(), human_explanations()
    every = list(load_dataset("varierr341").items)
    texts = [text for item in every for text in item.texts.values()]
    texts += [one.text for several in said.values() for one in several] + [wording.explained.user] * 200
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder), texts, given.hidden, given.layers)
        participant = scored(Participant("m", "hf", folder, {}, dtype="float32"), 3)
        scorer = Scorer(participant)
        print(f"{given.layers} layers of {given.hidden}, one thread, torch {torch.__version__}")
        print("explanations    prompts  tokens  together/s  alone/s  times  greatest difference")
        for name, explanations, design, n in (
            ("none", None, Design(), given.items),
            ("parallel", said, Design("parallel", explicit=True), given.items),
            ("serial", said, Design("serial", explicit=True), max(1, given.items // 4)),
        ):
            plan = scores_plan(participant, Prompts(every[:n], explanations, wording, design), "varierr341")
            prompts = [render(plan.task, item) for item in plan.items]
            tokens = sum(scorer.score_alone(one).tokens_in for one in prompts[:: len(prompts) // 10]) / 10
            together, alone, apart = measure(scorer, prompts, 40, given.turns)
            cells = f"{name:<15}{len(prompts):>8}{tokens:>8.0f}{together:>12.1f}{alone:>9.1f}"
            print(f"{cells}{together / alone:>7.1f}  {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()
