"""Local models: a vLLM server that runs already, or one that is started for the model and stopped again."""

from partynli.providers.vllm.provider import VLLMProvider

__all__ = ["VLLMProvider"]
