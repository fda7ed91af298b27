"""lm-evaluation-harness: generate_until through local-chat-completions; use_cache where it is to be gone on with."""

import json

import lm_eval
from job import KEY, MODEL, RETRIES, Job, main
from lm_eval.api.task import ConfigurableTask


def ask(job: Job) -> None:
    rows = job.path / "prompts.jsonl"
    rows.write_text("".join(json.dumps(one._asdict()) + "\n" for one in job.prompts()))
    task = ConfigurableTask(
        config={
            "task": "annotation",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(rows)}},
            "test_split": "test",
            "description": job.prompts()[0].system,
            "doc_to_text": "{{user}}",
            "doc_to_target": "",
            "output_type": "generate_until",
            "generation_kwargs": {"until": [], "max_gen_toks": 256},
            "metric_list": [{"metric": "bypass"}],
        }
    )
    found = lm_eval.simple_evaluate(
        model="local-chat-completions",
        model_args={
            "model": MODEL,
            "base_url": f"{job.url}/chat/completions",
            "num_concurrent": job.in_flight,
            "max_retries": RETRIES,
            "header": {"Authorization": f"Bearer {KEY}"},
        },
        tasks=[task],
        apply_chat_template=True,
        use_cache=str(job.path / "cache") if job.resumable else None,
        bootstrap_iters=0,
    )
    answers = {row["doc"]["uid"]: row["resps"] for row in found["samples"]["annotation"]}
    (job.path / "samples.json").write_text(json.dumps(answers))


def count(job: Job) -> int | None:
    file = job.path / "samples.json"
    return len(json.loads(file.read_text())) if file.exists() else 0


if __name__ == "__main__":
    main(ask, count)
