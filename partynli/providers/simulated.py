"""Participants that are simulated in process: no key, no network, no model, and the same answer for the same seed.

They show what partynli does and test it at full speed; what they say is made up, and every answer is marked synthetic.
An item has a latent distribution of its task's labels, drawn from a hash of its texts: some items are clear, some
divide people; where labels are ordered, between neighbours. A persona's `lean` and `decisiveness` bend it, a hash of
persona and item picks the persona's own opinion from it, and in the share `noise` of its trials the persona picks anew.

Asked which kind of reasoning an explanation shows (the task ``reasons``), a persona names one of the kinds by a hash of
itself and the text, and so agrees with nobody beyond chance. Asked for scores of options, it gives those of its opinion
of the item (`partynli.providers.simulated_scores`). Asked for explanations of a label (the task ``explain``), it lists
some, in a form of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from partynli.errors import ProviderError, unknown_name
from partynli.hashing import canonical_json
from partynli.labels import LABELS, REASONS
from partynli.listing import LABEL
from partynli.providers.base import read_completion
from partynli.providers.simulated_scores import scores_answer
from partynli.providers.wording import TONES, Text, answer, answer_form, coded, listed, quote, spoil
from partynli.records import Participant, Prompt, Request, Response, Task, Usage

SERVED_MODEL = "partynli-simulated"
NUMBERS: Mapping[str, tuple[float, float, float]] = {
    # parameter -> (lowest, highest, where it is not given)
    "decisiveness": (0, 1, 0.5),  # 0: opinions spread as the item's labels do; 1: always the likeliest label
    "noise": (0, 1, 0.2),  # share of trials in which the persona picks anew
    "wordiness": (1, 2000, 30),  # words of an explanation, about
    "multi": (0, 1, 0.1),  # chance of a set of labels on a wholly open item; less on clearer ones
    "malformed": (0, 1, 0),  # share of answers that break the asked format
    "latency_s": (0, 3600, 0),  # seconds that an answer takes
    "temperature": (0, 2, 0),  # raises the noise
    "top_p": (0, 1, 1),  # a pick anew is among the likeliest labels that make up this share
}
_DECODING = ("temperature", "top_p", "latency_s", "malformed")
_KEYS = {"premise": "context", "hypothesis": "statement"}
_KEPT_ITEMS = 256
_ALL_LABELS = 0.08
"""Share of the sets of labels that hold all of them; the others hold two."""
_NLI = Task("livenli", LABELS, True, "either", (), {}, "livenli", None, "", "")
"""What a prompt that names no task is taken for."""

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Persona:
    """A participant's parameters, checked once."""

    name: bytes
    """What its opinions are drawn from, together with the item."""
    lean: tuple[float, ...]
    sharpness: float
    noise: float
    wordiness: float
    multi: float
    malformed: float
    latency_s: float
    top_p: float
    tone: str


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What a persona makes of an item: its label probabilities, and its own choice."""

    weights: tuple[float, ...]
    own: Labels


@dataclass(slots=True)
class _Scene:
    """An item as personas see it."""

    name: bytes
    """Digest of its texts."""
    latent: tuple[float, ...]
    """How likely it makes each label."""
    texts: tuple[Text, ...]
    copied: tuple[int, ...]
    """Which of them an answer copies with highlights."""
    form: tuple[str, ...]
    """The JSON that is asked for, with slots."""
    task: Task
    tokens_in: int
    opinions: dict[bytes, _Opinion] = field(default_factory=dict)


class SimulatedProvider:
    """Answers as personas would; a persona is made of a participant's `params`.

    ``lean`` (label -> weight), ``tone`` (plain, hedging, terse or formal) and the numbers of `NUMBERS`. All that is
    random in an answer comes from the request's seed, the persona and the item; without a seed it differs each time.
    """

    serves = False

    def __init__(self) -> None:
        self._personas: dict[tuple[str, Labels], _Persona] = {}
        self._scenes: dict[tuple[tuple[str, str], ...], _Scene] = {}

    @classmethod
    def for_participant(cls, participant: Participant, api_key: str | None) -> SimulatedProvider:
        """A provider for any participant; there is no address and no key."""
        return cls()

    async def aopen(self) -> None:
        """Nothing to open."""

    async def reach(self) -> None:
        """Nothing to do: it is always there."""

    async def aclose(self) -> None:
        """Nothing to let go of."""

    async def ready(self) -> None:
        """Nothing to wait for."""

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Answer one request.

        Raises
        ------
        ProviderError
            A parameter is unknown or out of range (``fatal_participant``), or ``latency_s`` exceeds the timeout.
        """
        task = request.prompt.task or _NLI
        persona = self._persona(request.participant, task.labels)
        if persona.latency_s:
            await asyncio.sleep(min(persona.latency_s, timeout))
            if persona.latency_s > timeout:
                raise ProviderError(f"no answer within {timeout:g} s", "retryable", billable=True)
        if request.participant.options:
            return self._scores(persona, request)
        scene = self._scene(request.prompt, task)
        seed = request.seed
        rng = Random() if seed is None else Random(_digest(persona.name, scene.name, b"%d" % seed))
        if scene.task.reader == "reasons":
            return _code(rng, persona, scene)
        if scene.task.reader == "list":
            return _list(rng, persona, scene, request.prompt.texts[LABEL])
        opinion = scene.opinions.get(persona.name)
        if opinion is None:
            opinion = scene.opinions[persona.name] = _form_opinion(persona, scene)
        return _answer(rng, persona, scene, opinion)

    def _scores(self, persona: _Persona, request: Request) -> Response:
        texts = request.prompt.texts
        item = {name: texts[name] for name in _KEYS if name in texts}
        scene = _make_scene(Prompt(request.prompt.messages, item or texts), _NLI)  # one opinion, however it is put
        weights = _form_opinion(persona, scene).weights
        rng = Random(_digest(persona.name, request.prompt.hash.encode()))
        raw = scores_answer(rng, weights, request.participant.options, texts, SERVED_MODEL, scene.tokens_in)
        return read_completion(json.loads(raw), raw, {})

    def _persona(self, participant: Participant, labels: Labels) -> _Persona:
        key = participant.id, labels
        persona = self._personas.get(key)
        if persona is None:
            persona = self._personas[key] = _make_persona(participant, labels)
        return persona

    def _scene(self, prompt: Prompt, task: Task) -> _Scene:
        key = tuple(prompt.texts.items())
        scene = self._scenes.get(key)
        if scene is None or scene.task is not task:
            if len(self._scenes) >= _KEPT_ITEMS:
                self._scenes.clear()
            scene = self._scenes[key] = _make_scene(prompt, task)
        return scene


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"/".join(parts)).digest()


def _make_persona(participant: Participant, labels: Labels) -> _Persona:
    def wrong(message: str) -> ProviderError:
        return ProviderError(f"simulated participant {participant.name!r}: {message}", "fatal_participant")

    params = participant.params
    for name in params:
        if name not in _KNOWN:
            raise wrong(unknown_name("parameter", str(name), _KNOWN))
    values = {}
    for name, (low, high, otherwise) in NUMBERS.items():
        value = params.get(name, otherwise)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise wrong(f"{name} must be a number from {low:g} to {high:g}, not {str(value)[:40]!r}")
        values[name] = value
    tone = params.get("tone", "plain")
    if tone not in TONES:
        raise wrong(unknown_name("tone", str(tone), TONES))
    lean = params.get("lean", {})
    if not isinstance(lean, Mapping):
        raise wrong("lean must map labels to weights")
    for label, weight in lean.items():
        if label not in labels and label not in LABELS:  # a persona may lean in NLI and have no lean in other tasks
            raise wrong(unknown_name("label", str(label), labels, "lean"))
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise wrong(f"lean: the weight of {label!r} must be a number of at least 0, not {str(weight)[:40]!r}")
    weights = tuple(float(lean.get(label, 1)) for label in labels)
    if not any(weights):
        raise wrong("lean: at least one label needs a weight above 0")
    character = {key: value for key, value in params.items() if key not in _DECODING}
    return _Persona(
        name=_digest(canonical_json([participant.model, character]).encode("utf-8", "surrogatepass")),
        lean=weights,
        sharpness=1 / max(1e-3, 1 - values["decisiveness"]),
        noise=1 - (1 - values["noise"]) * math.exp(-values["temperature"] / 2),
        wordiness=values["wordiness"],
        multi=values["multi"],
        malformed=values["malformed"],
        latency_s=values["latency_s"],
        top_p=values["top_p"],
        tone=tone,
    )


_KNOWN = frozenset({"lean", "tone", *NUMBERS})


def _make_scene(prompt: Prompt, task: Task) -> _Scene:
    name = _digest(canonical_json(list(prompt.texts.values())).encode("utf-8", "surrogatepass"))
    rng = Random(name)
    kind = rng.random()
    if kind < 0.5:  # clear
        top = rng.uniform(0.86, 0.97)
        second = (1 - top) * rng.uniform(0.5, 0.9)
    elif kind < 0.85:  # between two labels
        top = rng.uniform(0.48, 0.62)
        second = (1 - top) * rng.uniform(0.75, 0.95)
    else:  # open
        top = rng.uniform(0.36, 0.46)
        second = (1 - top) * rng.uniform(0.5, 0.6)
    latent = _among(len(task.labels), top, second)
    if task.ordered:
        latent = _around(rng.randrange(len(latent)), sorted(latent, reverse=True))
    else:
        rng.shuffle(latent)
    n_chars = sum(len(message["content"]) for message in prompt.messages)
    keys = _KEYS | {field: key for key, field in task.highlights.items()}
    texts = tuple(Text.of(keys.get(name, name), text) for name, text in prompt.texts.items())
    marked = prompt.texts if prompt.task is None else task.highlights.values()
    copied = tuple(at for at, field in enumerate(prompt.texts) if field in marked)
    form = answer_form(task.answer, [texts[at].key for at in copied])
    return _Scene(name, tuple(latent), texts, copied, form, task, _tokens(n_chars))


def _among(n_labels: int, top: float, second: float) -> list[float]:
    """Probabilities of so many labels: the two likeliest, and the same for all others."""
    rest = 1 - top - second
    if n_labels == 2:
        return [top, second + rest]
    return [top, second, *[rest / (n_labels - 2)] * (n_labels - 2)]


def _around(centre: int, falling: list[float]) -> list[float]:
    """Falling probabilities laid out from a label outwards, so that neighbours are confused more than ends."""
    nearest = sorted(range(len(falling)), key=lambda at: abs(at - centre))
    return [falling[nearest.index(at)] for at in range(len(falling))]


def _tokens(n_chars: int) -> int:
    return -(-n_chars // 4)


def _form_opinion(persona: _Persona, scene: _Scene) -> _Opinion:
    bent = [latent * lean for latent, lean in zip(scene.latent, persona.lean, strict=True)]
    sharp = [(weight / max(bent)) ** persona.sharpness for weight in bent]
    weights = tuple(weight / sum(sharp) for weight in sharp)
    own = _choose(Random(_digest(persona.name, scene.name)), scene.task, weights, persona.multi)
    return _Opinion(weights, own)


def _choose(rng: Random, task: Task, weights: Sequence[float], multi: float) -> Labels:
    label = rng.choices(task.labels, weights)[0]
    others = [(one, weight) for one, weight in zip(task.labels, weights, strict=True) if one != label and weight > 0]
    # on an open item, of which the likeliest label has a third, the chance is `multi`, on a clear one its cube
    if not others or not task.set_labels or rng.random() >= multi ** (3 * max(weights)):
        return (label,)
    if len(others) > 1 and rng.random() >= _ALL_LABELS:
        others = rng.choices(others, [weight for _, weight in others])
    return (label, *(one for one, _ in others))


def _nucleus(weights: Sequence[float], top_p: float) -> list[float]:
    kept, mass = [0.0] * len(weights), 0.0
    for at in sorted(range(len(weights)), key=lambda at: -weights[at]):
        if mass and mass >= top_p:
            break
        kept[at] = weights[at]
        mass += weights[at]
    return kept


def _answer(rng: Random, persona: _Persona, scene: _Scene, opinion: _Opinion) -> Response:
    chosen = opinion.own
    if rng.random() < persona.noise:
        weights = opinion.weights if persona.top_p >= 1 else _nucleus(opinion.weights, persona.top_p)
        chosen = _choose(rng, scene.task, weights, persona.multi)
    said = answer(rng, sorted(chosen), persona.tone, persona.wordiness, scene.texts, scene.copied, scene.form)
    return _say(rng, persona, scene, said)


def _code(rng: Random, persona: _Persona, scene: _Scene) -> Response:
    own = Random(_digest(persona.name, scene.name)).choice(REASONS)
    return _say(rng, persona, scene, coded(rng.choice(REASONS) if rng.random() < persona.noise else own))


def _list(rng: Random, persona: _Persona, scene: _Scene, label: str) -> Response:
    texts = [text for text in scene.texts if text.key in _KEYS.values()]
    form = Random(persona.name).random()
    return _say(rng, persona, scene, listed(rng, label, persona.tone, texts, form))


def _say(rng: Random, persona: _Persona, scene: _Scene, text: str) -> Response:
    finish = "stop"
    if rng.random() < persona.malformed:
        text, finish = spoil(rng, text)
    return _respond(rng, text, finish, scene.tokens_in)


def _respond(rng: Random, text: str, finish: str, tokens_in: int) -> Response:
    tokens_out = _tokens(len(text))
    raw = (
        f'{{"id":"simulated-{rng.getrandbits(64):016x}","object":"chat.completion","created":0,'
        f'"model":"{SERVED_MODEL}","synthetic":true,"choices":[{{"index":0,"message":{{"role":"assistant",'
        f'"content":{quote(text)}}},"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":{tokens_in},'
        f'"completion_tokens":{tokens_out},"total_tokens":{tokens_in + tokens_out}}}}}'
    )
    return Response(text, "", finish, raw, Usage(tokens_in, tokens_out), SERVED_MODEL)
