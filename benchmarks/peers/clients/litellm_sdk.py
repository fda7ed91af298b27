"""litellm.acompletion with its own retries and a semaphore; its disk cache where a run is to be gone on with."""

import asyncio

import litellm
from job import KEY, MODEL, RETRIES, Job, Prompt, main


def ask(job: Job) -> None:
    if job.resumable:
        litellm.cache = litellm.Cache(type="disk", disk_cache_dir=job.folder)
    asyncio.run(_ask(job))


def count(job: Job) -> int | None:
    cache = litellm.Cache(type="disk", disk_cache_dir=job.folder)
    return len(cache.cache.disk_cache) if job.resumable else None


async def _ask(job: Job) -> None:
    at_once = asyncio.Semaphore(job.in_flight)

    async def one(prompt: Prompt) -> str:
        async with at_once:
            answer = await litellm.acompletion(
                f"openai/{MODEL}", prompt.messages, api_base=job.url, api_key=KEY, num_retries=RETRIES
            )
            return answer.choices[0].message.content

    await asyncio.gather(*map(one, job.prompts()))


if __name__ == "__main__":
    main(ask, count)
