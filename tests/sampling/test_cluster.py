"""What a cluster run is made of, without Ray: placement, the driver's desk, and workers that exchange letters."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partynli import __version__
from partynli.errors import InputError
from partynli.records import Participant, Price, Serving
from partynli.sampling.cluster.desk import CHUNK, Desk
from partynli.sampling.cluster.mail import Brief, Letter, Put, Wanted
from partynli.sampling.cluster.placement import Placement, Resources, place
from partynli.sampling.cluster.worker import Worker
from partynli.sampling.events import Stopped
from partynli.sampling.ledger import RunLedger
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import ProviderCaps
from partynli.store import Run
from partynli.testing import Behaviour, LoopbackServer

CLUSTER = Resources(cpus=4, gpus=8)


def simulated(name: str, **given: Any) -> Participant:
    return Participant(name, "simulated", f"persona/{name}", {}, provider="simulated", **given)


def vllm(name: str, **given: Any) -> Participant:
    return Participant(name, "vllm", f"org/{name}", {}, provider="vllm", **given)


def names(placements: list[Placement]) -> dict[str, set[str]]:
    return {one.name: {participant.name for participant in one.participants} for one in placements}


# --- placement ---


def test_whatever_costs_or_is_limited_lives_together(study: Any) -> None:
    priced = study.participant("http://a/v1", "priced", provider="one")
    keyed = study.participant("http://b/v1", "keyed", provider="two", price=None, api_key_env="KEY")
    paced = study.participant("http://c/v1", "paced", provider="three", price=None, rpm=60)
    capped = study.participant("http://d/v1", "capped", provider="four", price=None)
    free = study.participant("http://e/v1", "free", provider="five", price=Price(0, 0, "2025-07"))
    plan = study.plan([priced, keyed, paced, capped, free])
    found = names(place(plan, {"four": ProviderCaps(concurrency=2), "five": ProviderCaps()}, {}, CLUSTER))
    assert found == {"api": {"priced", "keyed", "paced", "capped"}, "free 1": {"free"}}


def test_a_lane_is_never_split(study: Any) -> None:
    cold, warm = (
        study.participant("http://a/v1", f"m{t}", model="m", price=None, params={"temperature": t}) for t in (0, 1)
    )
    priced = replace(warm, name="p", price=Price(1, 1, "2025-07"), params={"temperature": 2})
    assert names(place(study.plan([cold, warm]), {}, {}, CLUSTER)) == {"free 1": {"m0", "m1"}}
    assert names(place(study.plan([cold, warm, priced]), {}, {}, CLUSTER)) == {"api": {"m0", "m1", "p"}}


def test_each_server_is_a_worker_with_its_gpus(study: Any) -> None:
    large = vllm("large", serving=Serving(tensor_parallel=4, gpu_memory=0.9))
    half = vllm("half", serving=Serving(gpu_memory=0.5))
    plain, warm = vllm("plain"), replace(vllm("plain"), name="warm", params={"temperature": 1})
    connected = vllm("connected", api_base="http://gpu:8000/v1")
    plan = study.plan([large, half, plain, warm, connected])
    placed = place(plan, {}, {}, CLUSTER)
    assert names(placed) == {
        "org/large": {"large"},
        "org/half": {"half"},
        "org/plain": {"plain", "warm"},
        "free 1": {"connected"},
    }
    assert [(one.num_cpus, one.num_gpus) for one in placed] == [(0, 4), (0, 0.5), (0, 1), (1, 0)]
    assert all(one.num_gpus == 0 for one in place(plan, {}, {}, Resources(cpus=4, gpus=0)))


@pytest.mark.parametrize(("cpus", "sizes"), [(0, [5]), (2, [3, 2]), (4, [2, 1, 1, 1]), (64, [1, 1, 1, 1, 1])])
def test_free_lanes_are_dealt_out_to_the_cpus(study: Any, cpus: int, sizes: list[int]) -> None:
    placed = place(study.plan([simulated(f"s{k}") for k in range(5)]), {}, {}, Resources(cpus, 0))
    assert [len(one.participants) for one in placed] == sizes


def test_those_that_are_simulated_share_nothing(study: Any) -> None:
    two = [replace(simulated("a"), name=name, params={"noise": k}) for k, name in enumerate("ab")]
    assert two[0].lane == two[1].lane
    assert names(place(study.plan(two), {}, {}, CLUSTER)) == {"free 1": {"a"}, "free 2": {"b"}}


def test_who_is_left_out_has_no_place(study: Any) -> None:
    plan = study.plan([simulated("a"), simulated("b"), study.participant("http://a/v1")])
    assert names(place(plan, {}, {"a": "later", "m": "no key"}, CLUSTER)) == {"free 1": {"b"}}


# --- driver and worker, with the letters pickled as they would be on their way ---


def brief(study: Any, plan: Any, run: Run, **given: Any) -> Brief:
    settled = {"caps": {}, "max_cost": None, "allow_drift": False, "retry": RetryPolicy(), "spent": 0.0}
    who = {"version": __version__, "task": plan.task, "participants": plan.participants, "reasks": plan.reasks}
    return Brief(**{**who, **settled, "served": run.served(), **given})


class Office:
    """The driver's part, with one worker at a time and no Ray."""

    def __init__(self, study: Any, plan: Any, run: Run) -> None:
        self.study, self.plan, self.run = study, plan, run
        self.ledger = RunLedger(plan, run)
        self.stopped: dict[str, str] = {}
        self.spent = 0.0
        self.desks = {
            lane: Desk(self.ledger.pending(those, self.stopped), plan.reasks, 64)
            for lane, those in plan.lanes().items()
        }

    def desk(self, put: Put) -> Desk:
        return self.desks[next(one.lane for one in self.plan.participants if one.id == put.attempt.participant)]

    async def work(self, *, letters: int | None = None, **given: Any) -> Letter | None:
        """Hire a worker and answer its letters; after `letters` of them it is left alone, as one that is lost."""
        worker = Worker(pickle.loads(pickle.dumps(brief(self.study, self.plan, self.run, **given))))
        self.worker, answers, count = worker, [], 0
        while letters is None or count < letters:
            letter = pickle.loads(pickle.dumps(await worker.exchange(answers)))
            count += 1
            self.stopped |= {one.participant.name: one.why for one in letter.events if isinstance(one, Stopped)}
            answers = []
            for number, asked in letter.questions:
                if isinstance(asked, Put):
                    await self.ledger.put(asked.attempt, self.desk(asked).bodies(asked))
                    self.spent += self.desk(asked).stored(asked)
                    answers.append((number, None))
                elif isinstance(asked, Wanted):
                    answers.append((number, await self.desks[asked.lane].hand_out(self.stopped)))
            answers = pickle.loads(pickle.dumps(answers))
            if letter.ended:
                return letter
        worker._work.cancel()
        await asyncio.gather(worker._work, return_exceptions=True)
        return None


@pytest.fixture
def office(study: Any) -> Any:
    def make(plan: Any) -> Any:
        return Run.begin(study.path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups)

    return make


def test_a_worker_asks_what_the_plan_holds_under_the_same_keys(
    study: Any, go: Any, office: Any, tmp_path: Path
) -> None:
    plan = study.plan([simulated("a", seed="auto"), simulated("b", seed="auto")], items=CHUNK, trials=3)

    async def main() -> None:
        with office(plan) as run:
            there = Office(study, plan, run)
            await there.ledger.aopen(print)
            letter = await there.work()
            await there.ledger.aclose()
            assert letter is not None
            assert letter.ended == (len(plan), False, None)
            assert not any(desk.n_open for desk in there.desks.values())
        study.path = tmp_path / "runs" / "local"
        await study.run(plan)

    go(main())
    local = study.rows("trial_key, n, participant, item, prompt, trial, status, body, seed, response")
    study.path = tmp_path / "runs" / "test"
    there = study.rows("trial_key, n, participant, item, prompt, trial, status, body, seed, response")
    assert sorted(there) == sorted(local)
    assert len(there) >= len(plan)


def test_prompts_reach_the_run_though_they_do_not_travel(study: Any, go: Any, office: Any) -> None:
    plan = study.plan([simulated("a")], items=3, trials=1)

    async def main() -> None:
        with office(plan) as run:
            there = Office(study, plan, run)
            await there.ledger.aopen(print)
            await there.work()
            await there.ledger.aclose()
            for item, prompt in study.rows("item, prompt"):
                number = item.removeprefix("item")
                assert f"{number} people sang." in run.body(prompt)

    go(main())


@pytest.mark.parametrize("letters", [2, 3, 5, 8])
def test_what_a_lost_worker_had_is_handed_out_again_and_nothing_else(
    study: Any, go: Any, office: Any, letters: int
) -> None:
    plan_size = 2 * 40 * 2

    async def main() -> int:
        faulty = Behaviour(latency_s=0.01, fault_share=0.2, faults=("empty", "malformed"))
        async with LoopbackServer(default=faulty) as server:
            plan = study.plan([study.participant(server.url, name) for name in "ab"], items=40)
            with office(plan) as run:
                there = Office(study, plan, run)
                await there.ledger.aopen(print)
                assert await there.work(letters=letters) is None
                for desk in there.desks.values():
                    desk.take_back()
                assert (await there.work()).ended.error is None
                await there.ledger.aclose()
            return server.books.total.answered

    answered = go(main())
    rows = study.rows("trial_key, n, status")
    assert len({(key, n) for key, n, _ in rows}) == len(rows)
    valid = [key for key, _, status in rows if status == "valid"]
    rejected = [key for key, _, status in rows if status == "rejected"]
    hopeless = {key for key in rejected if rejected.count(key) == 3}
    assert len(valid) == len(set(valid)) == plan_size - len(hopeless)
    assert 0 <= answered - len(rows) <= 2 * 64  # what was in flight when it was lost


def test_an_error_at_a_providers_address_is_told_before_a_trial_is_begun(study: Any, go: Any, office: Any) -> None:
    plan = study.plan([study.participant("http://127.0.0.1:9/v1")])

    async def main() -> None:
        with office(plan) as run:
            letter = await Office(study, plan, run).work()
            assert letter is not None
            assert letter.ended is not None
            assert isinstance(letter.ended.error, InputError)
            assert "nothing was sent" in str(letter.ended.error)
            assert letter.ended.begun == 0
            assert not letter.questions

    go(main())


def test_a_key_is_looked_for_where_the_worker_runs(study: Any, go: Any, office: Any) -> None:
    plan = study.plan([study.participant("http://127.0.0.1:9/v1", api_key_env="PARTYNLI_NOT_SET")])

    async def main() -> None:
        with office(plan) as run:
            there = Office(study, plan, run)
            letter = await there.work()
            assert letter is not None
            assert letter.ended == (0, False, None)
            assert "PARTYNLI_NOT_SET is not set (on " in there.stopped["m"]

    go(main())


def test_another_version_of_partynli_is_refused(study: Any, go: Any, office: Any) -> None:
    plan = study.plan([simulated("a")])

    async def main() -> None:
        with office(plan) as run:
            letter = await Office(study, plan, run).work(version="0.0.1")
            assert letter is not None
            assert letter.ended is not None
            assert "install one version on all machines" in str(letter.ended.error)

    go(main())


def test_stopped_twice_a_worker_ends_at_once_and_its_answers_are_stored(study: Any, go: Any, office: Any) -> None:
    async def main() -> None:
        slow = {"slow": Behaviour(latency_s=30)}
        async with LoopbackServer(slow) as server:
            plan = study.plan([study.participant(server.url, name, rpm=6000) for name in ("slow", "quick")], items=3)
            with office(plan) as run:
                there = Office(study, plan, run)
                await there.ledger.aopen(print)
                working = asyncio.create_task(there.work())
                while len(study.rows()) < 6:
                    await asyncio.sleep(0.01)
                await there.worker.stop()
                await there.worker.stop()
                letter = await asyncio.wait_for(working, 5)
                await there.ledger.aclose()
                assert letter is not None
                assert letter.ended is not None
                assert letter.ended.error is None
        assert {row[0] for row in study.rows("status")} == {"valid"}

    go(main())


def test_what_may_be_lost_is_counted_at_its_worst(study: Any, go: Any, office: Any) -> None:
    plan = study.plan([study.participant("http://127.0.0.1:9/v1", max_output_tokens=1_000_000)], items=5, trials=1)

    async def main() -> None:
        with office(plan) as run:
            desk = Desk(RunLedger(plan, run).pending(plan.participants, {}), plan.reasks, most_in_flight=2)
            assert desk.at_risk == 0
            await desk.hand_out({})
            assert desk.n_open == 5
            assert desk.at_risk == pytest.approx(2 * 2.0, rel=0.01)  # two dollars a million tokens out

    go(main())


def test_what_calls_without_an_answer_may_have_cost_outlives_their_worker(study: Any, go: Any, office: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(script=("cut", "cut", None))) as server:
            one = study.participant(server.url, max_output_tokens=1_000_000)
            plan = study.plan([one], items=1, trials=1)
            with office(plan) as run:
                there = Office(study, plan, run)
                await there.ledger.aopen(print)
                letter = await there.work(max_cost=100.0, retry=RetryPolicy(base_s=0.01))
                await there.ledger.aclose()
                assert letter is not None
                assert letter.lost == pytest.approx(2 * 2.0, rel=0.01)  # two dollars a million tokens out, twice

    go(main())


def test_an_attempt_that_failed_costs_nothing_beside_that(study: Any, go: Any, office: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(script=("bad_parameter",))) as server:
            plan = study.plan([study.participant(server.url, max_output_tokens=1_000_000)], items=1, trials=1)
            with office(plan) as run:
                there = Office(study, plan, run)
                await there.ledger.aopen(print)
                letter = await there.work(max_cost=100.0)
                await there.ledger.aclose()
                assert letter is not None
                assert (letter.lost, there.spent) == (0.0, 0.0)
        assert study.rows("status") == [("failed",)]

    go(main())
