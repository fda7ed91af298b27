"""Models in this process, by transformers: option scores only, many prompts at once (extra ``hf``)."""

from partynli.providers.hf.provider import HFProvider

__all__ = ["HFProvider"]
