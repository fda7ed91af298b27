"""What the loopback server remembers about each model while it runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from partynli.testing.answers import Answer, answer
from partynli.testing.behaviour import Behaviour, Fault
from partynli.testing.limits import Limits
from partynli.testing.wire import RequestRefused


class Lane:
    """One model: its behaviour, where its script stands, its limits, and how often each text was answered."""

    def __init__(self, model: str, behaviour: Behaviour) -> None:
        self._model = model
        self._answered: Counter[int] = Counter()
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Take on a behaviour: script, draws and limits start anew, the counts of answered texts go on."""
        self.behaviour = behaviour
        self.limits = Limits(behaviour)
        self._script = iter(behaviour.script)
        self._faults = random.Random(f"{behaviour.seed} faults {self._model}")
        self._jitter = random.Random(f"{behaviour.seed} jitter {self._model}")

    def next_fault(self) -> Fault | None:
        """What goes wrong with the call that was just let in."""
        for fault in self._script:
            return fault
        behaviour = self.behaviour
        if behaviour.fault_share and self._faults.random() < behaviour.fault_share:
            return self._faults.choice(behaviour.faults)
        return None

    def delay(self) -> float:
        """Seconds to wait before answering."""
        jitter = self.behaviour.jitter_s
        return self.behaviour.latency_s + (self._jitter.uniform(0, jitter) if jitter else 0.0)

    def answer(self, user_text: str, fault: Fault | None) -> Answer:
        """Answer a text once more."""
        key = hash(user_text)  # the text itself would make memory grow with what clients send
        count = self._answered[key]
        self._answered[key] = count + 1
        return answer(self.behaviour, self._model, user_text, count, fault)


class Lanes:
    """The models that exist, each with its lane."""

    def __init__(self, behaviours: Mapping[str, Behaviour], default: Behaviour, models: tuple[str, ...] | None) -> None:
        self._behaviours = dict(behaviours)
        self._default = default
        self._models = models
        self._lanes: dict[str, Lane] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The models to list: those that exist, or where every name does, those with a behaviour of their own."""
        return tuple(self._behaviours) if self._models is None else self._models

    def find(self, model: str) -> Lane:
        """The lane of a model."""
        lane = self._lanes.get(model)
        if lane is None:
            if self._models is not None and model not in self._models:
                message = f"The model `{model}` does not exist or you do not have access to it."
                raise RequestRefused("not_found", message, param="model", book="unknown_model")
            lane = self._lanes[model] = Lane(model, self._behaviours.get(model, self._default))
        return lane

    def behave(self, model: str | None, behaviour: Behaviour) -> None:
        """Change the behaviour of a model; None changes that of all without one of their own."""
        if model is None:
            self._default = behaviour
        else:
            self._behaviours[model] = behaviour
        for name, lane in self._lanes.items():
            if name == model or (model is None and name not in self._behaviours):
                lane.behave(behaviour)
