"""AsyncOpenAI with its own retries and a semaphore. It stores nothing: an SDK has no place for answers."""

import asyncio

from job import KEY, MODEL, RETRIES, Job, Prompt, main
from openai import AsyncOpenAI


def ask(job: Job) -> None:
    asyncio.run(_ask(job))


def count(job: Job) -> int | None:
    return None


async def _ask(job: Job) -> None:
    at_once = asyncio.Semaphore(job.in_flight)
    async with AsyncOpenAI(base_url=job.url, api_key=KEY, max_retries=RETRIES) as client:

        async def one(prompt: Prompt) -> str | None:
            async with at_once:
                answer = await client.chat.completions.create(model=MODEL, messages=prompt.messages)
                return answer.choices[0].message.content

        await asyncio.gather(*map(one, job.prompts()))


if __name__ == "__main__":
    main(ask, count)
