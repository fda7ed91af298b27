"""The training loop, and what is kept of it. On a processor, the same job always gives the same weights."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from partynli import __version__
from partynli.errors import InputError
from partynli.finetune.folders import check_job, keep_job, kept_commit
from partynli.finetune.outcome import Evaluation, Heard, Outcome, read_outcome
from partynli.finetune.scores import constant, scores
from partynli.finetune.settings import Job, Loss
from partynli.finetune.training import checkpoint
from partynli.finetune.training.keeping import Predictions, alone, keep, tidy
from partynli.finetune.training.network import Network

_EPS = 1e-6  # that of the AdamW which the papers' code takes, other than torch's
_MAX_NORM = 1.0


def soft_loss(logits: torch.Tensor, p: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Mean over items of -sum_k p_k ln q_k, or of KL(P || Q); q = softmax(logits).

    The two differ by the entropy of P, which no weight changes: their gradients are the same.
    """
    log_q = torch.log_softmax(logits, -1)
    if loss == "kl":
        return torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    return -(p * log_q).sum(-1).mean()


def run(
    job: Job,
    folder: Path,
    *,
    keeps_model: bool = True,
    checkpoint_s: float = 300.0,
    heard: Callable[[Heard], None] = lambda _: None,
) -> Outcome:
    """Train, evaluate and keep; go on where the same job was stopped, or return what it gave before.

    Parameters
    ----------
    job
        What to train.
    folder
        Where checkpoint, model, predictions and ``training.json`` go; the last is written last.
    keeps_model
        Whether trained weights are kept, or only what came out.
    checkpoint_s
        Seconds between checkpoints. When they are written does not change what comes out.
    heard
        Called at evaluations.

    Raises
    ------
    InputError
        The model or the folder cannot be used, the folder holds another job, or training diverges.
    RunLockedError
        Another process trains into the folder.
    StoreError
        The disk failed.
    """
    identity = job.identity()
    with alone(folder):
        if check_job(folder, identity) and (done := read_outcome(folder)) is not None:
            tidy(folder)
            return done
        try:
            outcome, network, predictions = _train(job, identity, folder, checkpoint_s, heard)
        except torch.OutOfMemoryError:
            raise InputError("the GPU has not enough memory; use a smaller --batch or --max-length") from None
        return keep(folder, outcome, predictions, network if keeps_model and job.train is not None else None)


def _train(
    job: Job, identity: dict[str, Any], folder: Path, checkpoint_s: float, heard: Callable[[Heard], None]
) -> tuple[Outcome, Network, dict[str, Predictions]]:
    given = job.settings
    network = Network(
        job.start,
        is_trained=job.init_from is not None,
        seed=job.seed,
        max_length=given.max_length,
        precision=job.precision,
        revision=kept_commit(folder) or job.revision,
    )
    keep_job(folder, identity, network.commit)
    notes = [*_overlaps(job), *_cuts(job, network)]
    state = checkpoint.State()
    if job.train is not None:
        state = _fit(job, network, folder, checkpoint_s, heard)
        network.model.load_state_dict(state.best)
        notes += _devices(state.ran_on)
    predictions = {name: Predictions(one, network.predict(one.pairs)) for name, one in job.tests.items()}
    history = tuple(Evaluation(**one) for one in state.history)
    outcome = Outcome(
        job=identity,
        steps=state.step,
        best_step=history[_best(history, given.select_by)].step if history else None,
        history=history,
        scores={name: scores(one.labels.p, one.q) for name, one in predictions.items()},
        baseline={}
        if job.train is None
        else {name: scores(one.p, constant(job.train.p, len(one))) for name, one in job.tests.items()},
        notes=tuple(notes),
        weights=network.hash(),
        versions={
            "partynli": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        device=_device(network.device),
        precision=network.precision,
        commit=network.commit,
    )
    return outcome, network, predictions


def _fit(
    job: Job, network: Network, folder: Path, checkpoint_s: float, heard: Callable[[Heard], None]
) -> checkpoint.State:
    assert job.train is not None
    given, train = job.settings, job.train
    steps_an_epoch = math.ceil(len(train) / given.batch_size)
    steps = given.epochs * steps_an_epoch
    optimizer = torch.optim.AdamW(network.model.parameters(), lr=given.learning_rate, eps=_EPS, weight_decay=0.0)
    scaler = torch.amp.GradScaler(network.device.type, enabled=network.precision == "fp16")
    parts = {"model": network.model, "optimizer": optimizer, "scaler": scaler}
    state = checkpoint.load(folder, parts)
    if (here := f"{_device(network.device)} in {network.precision}") not in state.ran_on:
        state.ran_on.append(here)
    p = torch.tensor(train.p, dtype=torch.float32, device=network.device)
    kept_at = time.monotonic()
    while state.step < steps and not _is_stale(state.history, given.select_by, given.patience):
        epoch, at = divmod(state.step, steps_an_epoch)
        chosen = _order(job.seed, epoch, len(train))[at * given.batch_size : (at + 1) * given.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = given.learning_rate * (1 - state.step / steps)
        network.model.train()
        loss = soft_loss(network.logits([train.pairs[k] for k in chosen]), p[chosen], given.loss)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.model.parameters(), _MAX_NORM)
        scaler.step(optimizer)
        scaler.update()
        state.step += 1
        state.loss_sum += _finite(loss.item(), state.step)
        if state.step % given.evaluate_every == 0 or state.step == steps:
            heard(Heard(state.step, steps, _evaluate(job, network, state)))
        if time.monotonic() - kept_at >= checkpoint_s and state.step < steps:
            checkpoint.save(folder, state, parts)
            kept_at = time.monotonic()
    return state


def _evaluate(job: Job, network: Network, state: checkpoint.State) -> Evaluation:
    """Look at dev, and keep the weights if they are better than all before."""
    since = state.step - (state.history[-1]["step"] if state.history else 0)
    found = {
        "step": state.step,
        "loss": state.loss_sum / since,
        "scores": dict(scores(job.dev.p, network.predict(job.dev.pairs))),
    }
    state.loss_sum = 0.0
    state.history.append(found)
    history = [Evaluation(**one) for one in state.history]
    if _best(history, job.settings.select_by) == len(history) - 1:
        state.best = {name: tensor.detach().cpu().clone() for name, tensor in network.model.state_dict().items()}
    return history[-1]


def _best(history: Any, select_by: str) -> int:
    """Place of the best evaluation; of equal ones the first."""
    return max(range(len(history)), key=lambda k: history[k].scores[select_by])


def _is_stale(history: list[dict[str, Any]], select_by: str, patience: int | None) -> bool:
    if patience is None or not history:
        return False
    return len(history) - 1 - _best([Evaluation(**one) for one in history], select_by) >= patience


def _order(seed: int, epoch: int, n: int) -> Any:
    """The order of the data in an epoch; a restart finds the same without remembering it."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise InputError(f"the loss is {loss} at step {step}: training diverges; use a smaller --learning-rate")
    return loss


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"


def _overlaps(job: Job) -> Iterator[str]:
    if job.train is None:
        return
    for name, one in job.tests.items():
        if n := one.shared_with(job.train):
            yield f"{n} of {len(one)} pairs of {name} are among the training data"
        if name != "dev" and (n := one.shared_with(job.dev)):
            yield f"{n} of {len(one)} pairs of {name} are among dev, by which the weights are chosen"


def _devices(ran_on: list[str]) -> Iterator[str]:
    if len(ran_on) > 1:
        yield f"trained on {', then on '.join(ran_on)}: another run of it gives other weights"


def _cuts(job: Job, network: Network) -> Iterator[str]:
    sets = {**({} if job.train is None else {"train": job.train}), **job.tests}
    for name, one in sets.items():
        if one.n_left_out:
            yield f"{one.n_left_out:,} rows of {name} have no label and are left out"
        if n := network.n_truncated(one.pairs):
            yield f"{n:,} of {len(one):,} pairs of {name} are cut to {job.settings.max_length} tokens"
