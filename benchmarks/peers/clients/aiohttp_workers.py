"""Workers on one aiohttp session; nothing is stored. The floor: what the calls alone cost."""

import asyncio

import aiohttp
from job import KEY, MODEL, Job, Prompt, main


def ask(job: Job) -> None:
    asyncio.run(_ask(job))


def count(job: Job) -> int | None:
    return None


async def _ask(job: Job) -> None:
    left = iter(job.prompts())
    connector = aiohttp.TCPConnector(limit=job.in_flight)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {KEY}"}) as session:

        async def work() -> list[str]:
            return [await _call(session, job.url, prompt) for prompt in left]

        await asyncio.gather(*(work() for _ in range(job.in_flight)))


async def _call(session: aiohttp.ClientSession, url: str, prompt: Prompt) -> str:
    while True:
        body = {"model": MODEL, "messages": prompt.messages}
        async with session.post(f"{url}/chat/completions", json=body) as answer:
            if answer.status == 200:
                return (await answer.json())["choices"][0]["message"]["content"]
            wait = float(answer.headers["Retry-After"])
        await asyncio.sleep(wait)


if __name__ == "__main__":
    main(ask, count)
