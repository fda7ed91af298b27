"""A model of transformers that gives the logits of a few tokens behind many prompts."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.providers.hf.answers import Scored
from partynli.providers.hf.tree import Tree, trees
from partynli.providers.option_scores import option_tokens
from partynli.records import Participant, Prompt

NODES: Mapping[str, int] = {"cpu": 768, "cuda": 4096}
"""Tokens of one pass; what each sees of the others is a table of this size squared, which a processor feels."""
_TOLERANCE: Mapping[torch.dtype, float] = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
"""How far logits of one prompt may differ between two ways to work them out, by rounding alone."""


class Scorer:
    """One model, loaded when it is made.

    Parameters
    ----------
    participant
        Model (a folder, or a name on the hub), revision, dtype, and the letters of the options.

    Raises
    ------
    ProviderError
        The model cannot be loaded, or cannot be asked for the options.
    """

    def __init__(self, participant: Participant) -> None:
        if participant.quantization:
            raise _unfit(f"the route hf loads models as they are saved; leave out quantization of {participant.name}")
        try:
            named = {"revision": participant.revision} if participant.revision else {}
            dtype = participant.dtype or "auto"
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(participant.model, **named)
            self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                participant.model, dtype=dtype, **named
            )
        except Exception as error:  # whatever a library stumbles over; its first line says why
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise _unfit(f"{participant.model} cannot be loaded: {said[:300]}") from None
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device).eval()
        self._letters = participant.options
        self._template = dict(participant.params.get("chat_template_kwargs") or {})
        self._few = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        self._ids: dict[str, int] | None = None
        self._in_trees: bool | None = None
        """Whether passes over trees give this model's own scores; not known before the first."""

    @property
    def fingerprint(self) -> str:
        """Version of the library, and a hash of what the chat template makes of a fixed conversation."""
        probe = self._encode([{"role": "user", "content": "Is the sky blue?"}])
        mark = hashlib.sha256(canonical_json(probe).encode()).hexdigest()[:12]
        return f"transformers {transformers.__version__}, {self._model.dtype}, chat template {mark}"

    def score(self, prompts: Sequence[Prompt]) -> list[Scored]:
        """Score many prompts, with what they have in common worked out once.

        Raises
        ------
        ProviderError
            An option is not one token behind such a prompt.
        """
        tokens = [self._encode(prompt.messages) for prompt in prompts]
        if self._ids is None and prompts:
            self._ids = self._find_options(prompts[0])
        if self._in_trees is None and prompts:
            self._in_trees = self._is_right_in_trees(tokens)
        found: dict[int, Scored] = {}
        if self._in_trees:
            for tree in trees(tokens, NODES[self._device]):
                for k, row in zip(tree.members, self._pass(tree), strict=True):
                    found[k] = self._scored(row, len(tokens[k]))
        else:
            found = {k: self._scored(self._plain(one), len(one)) for k, one in enumerate(tokens)}
        return [found[k] for k in range(len(prompts))]

    def score_alone(self, prompt: Prompt) -> Scored:
        """The same for one prompt, by a pass over nothing else."""
        tokens = self._encode(prompt.messages)
        if self._ids is None:
            self._ids = self._find_options(prompt)
        return self._scored(self._plain(tokens), len(tokens))

    def _encode(self, messages: Sequence[Mapping[str, str]], *answer: str) -> list[int]:
        said = [*map(dict, messages), *({"role": "assistant", "content": one} for one in answer)]
        try:
            text = self._tokenizer.apply_chat_template(
                said, tokenize=False, add_generation_prompt=not answer, **self._template
            )
        except Exception as error:  # templates are programs of the model's author
            raise _unfit(f"its chat template fails: {next(iter(str(error).splitlines()), '')[:300]}") from None
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _find_options(self, prompt: Prompt) -> dict[str, int]:
        answered = {letter: self._encode(prompt.messages, letter) for letter in self._letters}
        return option_tokens(
            self._encode(prompt.messages), answered, lambda number: str(self._tokenizer.decode([number]))
        )

    def _is_right_in_trees(self, tokens: Sequence[list[int]]) -> bool:
        """Whether a tree of two prompts gives the logits of each alone; some models read in other ways."""
        first, last = tokens[0], tokens[-1]
        pair = [first, last if last != first else [*first[:-1], first[0]]]
        (tree,) = trees(pair, sum(map(len, pair)))
        tolerance = _TOLERANCE.get(self._model.dtype, 0.0)
        try:
            rows = self._pass(tree)
        except (TypeError, ValueError, RuntimeError, IndexError):  # it does not take such a table
            return False
        return all(
            bool((row - self._plain(pair[k])).abs().max() <= tolerance)
            for k, row in zip(tree.members, rows, strict=True)
        )

    def _pass(self, tree: Tree) -> torch.Tensor:
        """Logits behind each member of a tree: (members, vocabulary)."""
        sees = torch.from_numpy(tree.sees).to(self._device)
        mask = torch.zeros(sees.shape, dtype=self._model.dtype, device=self._device)
        mask.masked_fill_(~sees, torch.finfo(self._model.dtype).min)
        ends = torch.tensor(tree.ends, device=self._device)
        few = {"logits_to_keep": ends} if self._few else {}
        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([tree.tokens], device=self._device),
                position_ids=torch.tensor([tree.depths], device=self._device),
                attention_mask=mask[None, None],
                use_cache=False,
                **few,
            ).logits[0]
        return (logits if self._few else logits[ends]).float()

    def _plain(self, tokens: list[int]) -> torch.Tensor:
        """Logits behind one prompt: (vocabulary,)."""
        ids = torch.tensor([tokens], device=self._device)
        with torch.inference_mode():
            found: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits[0, -1].float()
        return found

    def _scored(self, row: torch.Tensor, tokens_in: int) -> Scored:
        assert self._ids is not None
        logits = {letter: float(row[number]) for letter, number in self._ids.items()}
        likeliest = self._tokenizer.decode([int(row.argmax())])
        return Scored(logits, float(row.logsumexp(-1)), str(likeliest), tokens_in)


def _unfit(why: str) -> ProviderError:
    return ProviderError(why, "fatal_participant")
