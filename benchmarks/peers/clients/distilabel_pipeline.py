"""distilabel: a pipeline of one step that loads rows and one that generates; its cache, on by default, goes on."""

import json

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from job import KEY, MODEL, RETRIES, Job, main


def ask(job: Job) -> None:
    rows = [{"uid": one.uid, "system_prompt": one.system, "instruction": one.user} for one in job.prompts()]
    with Pipeline(name="annotation", cache_dir=job.folder) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=job.in_flight)
        llm = OpenAILLM(model=MODEL, base_url=job.url, api_key=KEY, max_retries=RETRIES)
        load >> TextGeneration(llm=llm, input_batch_size=job.in_flight)
    found = pipeline.run()
    (job.path / "uids.json").write_text(
        json.dumps([row["uid"] for row in found["default"]["train"] if row["generation"] is not None])
    )


def count(job: Job) -> int | None:
    file = job.path / "uids.json"
    return len(set(json.loads(file.read_text()))) if file.exists() else 0


if __name__ == "__main__":
    main(ask, count)
