"""The two ways in which explanations get their codes: from a file, or from a judge that is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from partynli.analysis.groups import largest_mix, members_of
from partynli.cli.judging import Terms, ask_judge
from partynli.cli.options import find_study, holds_codes
from partynli.cli.output import console
from partynli.cli.reading import Reading, answers_of
from partynli.errors import InputError, ItemsError, RegistryError, RunError
from partynli.items import load_dataset
from partynli.items.litex_codes import load_codes
from partynli.labels import REASONS
from partynli.prompts import load_task, task_of
from partynli.records import Task
from partynli.store import Run
from partynli.studies.reasons.coding import read_coding
from partynli.studies.reasons.counting import count_kinds
from partynli.studies.reasons.material import (
    OWN_FIELDS,
    Choice,
    Explanation,
    Material,
    choose_items,
    read_material,
    shuffled,
)
from partynli.studies.reasons.result import ReasonStudy
from partynli.studies.reasons.validation import Reference, Validation, reference_of, validate

TASK = "reasons"
EXTREMES = ("extremes",)


@dataclass(frozen=True)
class Scene:
    """A run, and what of it can be coded."""

    path: Path
    reading: Reading
    task: Task
    """How explanations are coded."""
    material: Material
    group: str
    seed: int

    def explanations_of(self, choices: Sequence[Choice]) -> list[Explanation]:
        """Everything that is to be coded of these items."""
        uids = {one.uid for one in choices}
        return [one for one in self.material.explanations if one.uid in uids]


def studied(name: str | None, runs_path: Path | None) -> Path:
    """The run by its name; where none is named, the newest that holds no codes."""
    path = find_study(name, runs_path)
    if holds_codes(path):
        raise RunError(f"run {path.name!r} holds a judge's codes; name the run whose explanations they are")
    return path


def look_at(path: Path, group_name: str | None, prompts_path: Path | None, seed: int) -> Scene:
    """Read what of a run can be coded, of its people and one group of models (by default its largest mix)."""
    task = load_task(TASK, prompts_path)
    if sorted(task.labels) != sorted(REASONS) or not set(OWN_FIELDS) <= set(task.fields):
        raise RegistryError(
            f"task {TASK!r} must keep LiTEx's eight categories and the fields {', '.join(OWN_FIELDS)}: the judge is "
            "measured against people who used them"
        )
    reading = answers_of(path)
    name, members = largest_mix(reading.answers)
    if group_name is not None:
        name, members = group_name, members_of(reading.answers, group_name, f"run {path.name}")
    with Run.open(path) as run:
        fields = [field for field in task.fields if field not in OWN_FIELDS]
        material = read_material(run, task_of(run.manifest), reading.answers, reading.dataset, members, fields)
    return Scene(path, reading, task, material, name, seed)


def _reference(scene: Scene) -> Reference:
    read = scene.reading.dataset
    return reference_of(read if read is not None and read.name == "livenli" else load_dataset("livenli"), load_codes())


def coded_by_hand(scene: Scene, file: Path, wanted: Sequence[str], threshold: float) -> ReasonStudy:
    """Read a person's coding; by default of the items that are in it."""
    notes = []
    try:
        reference = _reference(scene)
    except ItemsError as error:  # a coding of one's own items needs none of it
        reference = Reference((), {}, {}, 0)
        notes.append(f"LiTEx cannot be had: {error}")
    known = {one.place: one for one in (*reference.explanations, *scene.material.explanations)}
    coding = read_coding(file, known.values(), scene.task.labels)
    explained = {one.uid for one in scene.material.explanations if not one.is_human}
    coded = [uid for uid in coding.items if uid in explained]
    if not (wanted or coded):
        raise InputError(f"{file} codes no item that a model of {scene.group} explained; name items by --items")
    choices = choose_items(scene.material, wanted or coded, scene.seed)
    sample = [one for one in reference.explanations if one.name in coding.category]
    verdict = _validated(scene, sample, coding.category, reference, threshold) if sample else None
    made = _result(scene, choices, coding.category, verdict, [*notes, *coding.odd_lines()])
    return replace(made, coder=file.name)


def coded_by_judge(
    scene: Scene,
    terms: Terms,
    wanted: Sequence[str],
    n_validated: int,
    threshold: float,
    force: bool,
) -> ReasonStudy | int:
    """What the judge found; an exit code where it has not coded everything."""
    reference = _reference(scene)
    choices = choose_items(scene.material, wanted or EXTREMES, scene.seed)
    sample = shuffled(reference.sample(n_validated, scene.seed), scene.seed)
    rest = shuffled(set(scene.explanations_of(choices)).difference(sample), scene.seed)

    def is_enough(category: Mapping[str, str]) -> bool:
        return force or _validated(scene, sample, category, reference, threshold).is_enough

    answered = ask_judge(
        terms,
        scene.task,
        [one.item(reference.texts[one.uid]) for one in sample],
        [one.item(scene.material.texts[one.uid]) for one in rest],
        scene.path.name,
        is_enough,
    )
    if answered is None:
        return 0
    if answered.exit_code:
        console.print("nothing is counted before everything is coded; the same command goes on")
        return answered.exit_code
    verdict = _validated(scene, sample, answered.category, reference, threshold)
    notes = [
        f"LiTEx has one category for {len(reference.explanations):,} whole explanations of LiveNLI; the other "
        f"{reference.n_left_out:,}, coded in parts or with several categories, are not in the sample"
    ]
    if any(not one.is_human and one.source == answered.judge for one in rest):
        notes.append(f"{answered.judge} also wrote some of the explanations that it codes")
    made = _result(scene, choices, answered.category, verdict, notes)
    synthetic = made.synthetic or answered.synthetic
    return replace(made, coder=answered.judge, coder_run=answered.run, synthetic=synthetic)


def _validated(
    scene: Scene, sample: Sequence[Explanation], category: Mapping[str, str], reference: Reference, threshold: float
) -> Validation:
    return validate(sample, category, reference, scene.task.labels, seed=scene.seed, threshold=threshold)


def _result(
    scene: Scene,
    choices: Sequence[Choice],
    category: Mapping[str, str],
    verdict: Validation | None,
    notes: Sequence[str],
) -> ReasonStudy:
    material = scene.material
    said = list(scene.reading.notes)
    if material.blank:
        said.append(f"{material.blank:,} answers of the run come without an explanation")
    return ReasonStudy(
        run=scene.path.name,
        group=scene.group,
        people=material.voters,
        coder="",
        coder_run=None,
        synthetic=scene.reading.answers.synthetic,
        seed=scene.seed,
        labels=material.labels,
        categories=scene.task.labels,
        validation=verdict,
        items=count_kinds(material, choices, category, scene.task.labels),
        coded=tuple(scene.explanations_of(choices)),
        category=category,
        notes=(*said, *notes),
    )
