"""bespokelabs-curator: an LLM called on a list of rows; its cache, on by default, is what it goes on with."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from bespokelabs import curator
from job import KEY, MODEL, RETRIES, Job, main

NO_LIMIT = 100_000_000


class Annotator(curator.LLM):
    def prompt(self, row):
        return [{"role": "system", "content": row["system"]}, {"role": "user", "content": row["user"]}]

    def parse(self, row, answer):
        return {"uid": row["uid"], "answer": answer}


def ask(job: Job) -> None:
    # curator counts tokens with a table that tiktoken would fetch; litellm, which it depends on, has a copy
    litellm = Path(find_spec("litellm").origin).parent
    os.environ["TIKTOKEN_CACHE_DIR"] = str(litellm / "litellm_core_utils" / "tokenizers")
    annotator = Annotator(
        model_name=MODEL,
        backend="openai",
        backend_params={
            "base_url": job.url,
            "api_key": KEY,
            "max_retries": RETRIES,
            "max_concurrent_requests": job.in_flight,
            "max_requests_per_minute": int(job.rpm or NO_LIMIT),
            "max_tokens_per_minute": NO_LIMIT,
        },
    )
    found = annotator([one._asdict() for one in job.prompts()], working_dir=job.folder)
    (job.path / "uids.json").write_text(json.dumps(found.dataset["uid"][:]))


def count(job: Job) -> int | None:
    file = job.path / "uids.json"
    return len(set(json.loads(file.read_text()))) if file.exists() else 0


if __name__ == "__main__":
    main(ask, count)
