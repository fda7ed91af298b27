"""Who gets which GPU, and when; and how many a model needs."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partynli.errors import ProviderError
from partynli.providers.vllm.gpus import GPU, find_gpus, gpus_for, weights_of
from partynli.providers.vllm.room import Place, Room
from partynli.records import Participant, Serving

GB = 1e9


def gpus(n: int, memory: float = 80 * GB) -> tuple[GPU, ...]:
    return tuple(GPU(str(number), memory) for number in range(n))


def model(size_b: float | None = 8, **given: Any) -> Participant:
    serving = Serving(given.pop("tensor_parallel", None), given.pop("gpu_memory", None))
    return Participant("m", "vllm", "org/m", {}, size_b=size_b, serving=serving, **given)


async def soon(room: Room, n: int, share: float) -> Place:
    place = await asyncio.wait_for(room.take(n, share), 1)
    room.started(place)
    return place


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_small_ones_share_a_gpu_and_the_next_waits(go: Callable[..., Any]) -> None:
    async def main() -> None:
        room = Room(gpus(1))
        first, second = await soon(room, 1, 0.5), await soon(room, 1, 0.5)
        third = asyncio.ensure_future(room.take(1, 0.3))
        await settle()
        assert not third.done()
        room.give_back(first)
        assert (await third).gpus == second.gpus

    go(main())


def test_two_do_not_start_on_one_gpu_at_once(go: Callable[..., Any]) -> None:
    async def main() -> None:
        room = Room(gpus(1))
        first = await room.take(1, 0.3)
        second = asyncio.ensure_future(room.take(1, 0.3))
        await settle()
        assert not second.done()
        room.started(first)
        await second

    go(main())


def test_they_are_served_in_turn_and_a_large_one_is_not_overtaken(go: Callable[..., Any]) -> None:
    async def main() -> None:
        room = Room(gpus(2))
        small = await soon(room, 1, 0.9)
        large = asyncio.ensure_future(room.take(2, 0.9))
        late = asyncio.ensure_future(room.take(1, 0.1))
        await settle()
        assert not large.done()
        assert not late.done()
        room.give_back(small)
        place = await large
        assert [gpu.name for gpu in place.gpus] == ["0", "1"]
        room.started(place)
        await late

    go(main())


def test_a_gpu_in_part_taken_is_filled_before_an_empty_one(go: Callable[..., Any]) -> None:
    async def main() -> None:
        room = Room(gpus(2))
        first, second = await soon(room, 1, 0.4), await soon(room, 1, 0.4)
        assert first.gpus == second.gpus
        assert (await soon(room, 1, 0.9)).gpus != first.gpus

    go(main())


def test_who_gives_up_waiting_leaves_the_place_to_others(go: Callable[..., Any]) -> None:
    async def main() -> None:
        room = Room(gpus(1))
        first = await soon(room, 1, 0.9)
        gone, waiting = asyncio.ensure_future(room.take(1, 0.9)), asyncio.ensure_future(room.take(1, 0.1))
        await settle()
        gone.cancel()
        await waiting
        room.give_back(first)
        handed = asyncio.ensure_future(room.take(1, 0.9))  # given its place and cancelled in the same moment
        room.started(await waiting)
        handed.cancel()
        await settle()
        assert handed.cancelled()
        await soon(room, 1, 0.9)

    go(main())


@pytest.mark.parametrize(
    ("participant", "n", "expected"),
    [
        (model(8), 1, 1),
        (model(70), 8, 4),  # 140 GB do not fit twice into 61 GB
        (model(70, quantization="awq"), 1, 1),
        (model(70, quantization="fp8"), 8, 2),
        (model(32), 2, 2),
        (model(32, gpu_memory=0.5), 4, 2),
        (model(8, tensor_parallel=2), 2, 2),
        (model(None), 8, 1),
        (model(8, dtype="float32"), 1, 1),
    ],
)
def test_a_model_is_split_as_little_as_its_weights_allow(participant: Participant, n: int, expected: int) -> None:
    assert gpus_for(participant, gpus(n)) == expected


@pytest.mark.parametrize(
    ("participant", "here", "message"),
    [
        (model(70), gpus(2), "weights of about 140 GB do not fit on 2 GPUs, of whose 80 GB each it may take 90%"),
        (model(8, tensor_parallel=4), gpus(2), "split over 4 GPUs, and 2 can be used here"),
        (model(70), (GPU("cpu", 24 * GB),), "about 140 GB need a GPU, or more than 24 GB of memory"),
    ],
)
def test_what_does_not_fit_is_said(participant: Participant, here: tuple[GPU, ...], message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        gpus_for(participant, here)


def test_without_a_gpu_a_small_model_runs_on_the_processor() -> None:
    assert gpus_for(model(1), (GPU("cpu", 24 * GB),)) == 1
    assert gpus_for(model(None), (GPU("cpu", None),)) == 1


def test_bytes_of_weights() -> None:
    assert weights_of(model(1, dtype="bfloat16")) == 2e9
    assert weights_of(model(1, dtype="float32")) == 4e9
    assert weights_of(model(1, quantization="fp8", dtype="bfloat16")) == 1e9
    assert weights_of(model(None)) is None


SMI = """#!/bin/sh
echo "0, GPU-aaa, 81559"
echo "1, GPU-bbb, 81559"
"""


def test_the_gpus_are_those_that_the_environment_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(SMI)
    smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    memory = 81559 * 2**20
    assert find_gpus({}) == (GPU("0", memory), GPU("1", memory))
    assert find_gpus({"CUDA_VISIBLE_DEVICES": "1"}) == (GPU("1", memory),)
    assert find_gpus({"CUDA_VISIBLE_DEVICES": "GPU-bbb"}) == (GPU("GPU-bbb", memory),)
    assert find_gpus({"CUDA_VISIBLE_DEVICES": "MIG-1"}) == (GPU("MIG-1", None),)
    assert find_gpus({"CUDA_VISIBLE_DEVICES": ""})[0].is_cpu
    smi.write_text("#!/bin/sh\necho NVIDIA-SMI has failed; exit 9\n")
    (here,) = find_gpus({})
    assert here.is_cpu
    assert here.memory
