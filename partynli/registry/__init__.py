"""registry.yaml: participants, providers, mixes and experiments; the only place where a model is named."""

from partynli.registry.entries import Retired, ValuesExperiment
from partynli.registry.registry import Registry, load_registry, vary

__all__ = ["Registry", "Retired", "ValuesExperiment", "load_registry", "vary"]
