"""inspect_ai: a task of samples, solved by generate(), no scorer; eval_retry goes on with it and recovers the log."""

from inspect_ai import Task, eval, eval_retry, task
from inspect_ai.dataset import Sample
from inspect_ai.log import list_eval_logs, read_eval_log_sample_summaries
from inspect_ai.model import ChatMessageSystem, ChatMessageUser
from inspect_ai.solver import generate
from job import MODEL, Job, main


@task
def annotation(items: str) -> Task:
    samples = [
        Sample(id=one.uid, input=[ChatMessageSystem(content=one.system), ChatMessageUser(content=one.user)])
        for one in Job("", items, "", 0, None, False).prompts()
    ]
    return Task(dataset=samples, solver=generate())


def ask(job: Job) -> None:
    logs = list_eval_logs(job.folder)
    if logs:
        eval_retry(logs[0], log_dir=job.folder, display="none", max_connections=job.in_flight)
        return
    eval(
        annotation(job.items),
        model=f"openai-api/loopback/{MODEL}",
        model_base_url=job.url,  # its key is in the environment, as LOOPBACK_API_KEY
        max_connections=job.in_flight,
        log_dir=job.folder,
        display="none",
    )


def count(job: Job) -> int | None:
    kept = [one for log in list_eval_logs(job.folder) for one in read_eval_log_sample_summaries(log)]
    return len({one.id for one in kept if one.completed and not one.error})


if __name__ == "__main__":
    main(ask, count)
