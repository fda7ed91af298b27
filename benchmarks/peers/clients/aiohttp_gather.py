"""A researcher's own script: gather over all prompts, a semaphore, tenacity's retries, answers to JSON at the end."""

import asyncio
import json

import aiohttp
from job import KEY, MODEL, Job, Prompt, main
from tenacity import retry, stop_after_attempt, wait_random_exponential


def ask(job: Job) -> None:
    answers = asyncio.run(_ask(job))
    (job.path / "answers.json").write_text(json.dumps(answers))


def count(job: Job) -> int | None:
    file = job.path / "answers.json"
    return len(json.loads(file.read_text())) if file.exists() else 0


async def _ask(job: Job) -> dict[str, str]:
    at_once = asyncio.Semaphore(job.in_flight)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:

        @retry(wait=wait_random_exponential(min=1, max=60), stop=stop_after_attempt(6))  # as OpenAI's cookbook has it
        async def call(prompt: Prompt) -> str:
            body = {"model": MODEL, "messages": prompt.messages}
            async with session.post(f"{job.url}/chat/completions", json=body) as answer:
                answer.raise_for_status()
                return (await answer.json())["choices"][0]["message"]["content"]

        async def one(prompt: Prompt) -> tuple[str, str] | None:
            async with at_once:
                try:
                    return prompt.uid, await call(prompt)
                except Exception:
                    return None

        answers = await asyncio.gather(*(one(prompt) for prompt in job.prompts()))
    return dict(answer for answer in answers if answer is not None)


if __name__ == "__main__":
    main(ask, count)
