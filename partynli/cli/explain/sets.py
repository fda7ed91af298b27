"""``partynli explain replace``, ``select``, ``curve``, ``variability``: sets of people's and models' explanations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

from partynli.cli.explain.export import write
from partynli.cli.figures import catalogue, save
from partynli.cli.output import console, safe, shown
from partynli.cli.plot import FORMATS
from partynli.cli.wide import print_rows
from partynli.embed import MINUS_ITEM, Embedder, embedder_for
from partynli.errors import InputError, ItemsError
from partynli.hashing import text_hash
from partynli.items import load_dataset
from partynli.items.explanation_files import Explanations, human_explanations, read_explanations
from partynli.records import Item
from partynli.report.sheets import rounded
from partynli.studies.explain.variability import variability
from partynli.studies.selection.curves import Measured, curves
from partynli.studies.selection.files import made_of, replaced_in, to_jsonl
from partynli.studies.selection.replacement import SHARES, MixedSet, replace_with_model, replace_with_noise
from partynli.studies.selection.validation import PRINTED, How, read_validation
from partynli.studies.selection.validation import select as select_validated

_HUMAN = "varierr341"
_DISTANCES = {"jsd": "JS distance", "kl": "KL divergence", "tvd": "total variation distance"}
_file = click.Path(path_type=Path)
_items = click.option(
    "--items", "items_name", default=_HUMAN, show_default=True, metavar="NAME|FILE", help="What is explained."
)
_human = click.option(
    "--human",
    "human_name",
    default=_HUMAN,
    show_default=True,
    metavar="varierr341|FILE",
    help="People's explanations: VariErr's four an item, or those of a file.",
)
_by = click.option("--by", metavar="NAME", help="Whose, of a model's file with several participants.")
_out = click.option("--out", required=True, metavar="FILE", type=_file, help="Where to write.")


def _items_of(name: str) -> list[Item]:
    return list(load_dataset(name).items)


def _people(name: str, items: Iterable[Item]) -> Explanations:
    return human_explanations() if name == _HUMAN else read_explanations(Path(name), items)


@click.command("replace")
@_human
@click.option("--model", "model_file", metavar="FILE", type=_file, help="The model's explanations.")
@click.option("--share", type=click.Choice([str(one) for one in SHARES]), required=True, help="Percent to replace.")
@click.option("--with", "source", type=click.Choice(["model", "noise"]), default="model", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S", help="Which ones.")
@_by
@_items
@_out
def replace(
    human_name: str,
    model_file: Path | None,
    share: str,
    source: str,
    seed: int,
    by: str | None,
    items_name: str,
    out: Path,
) -> int:
    """Replace some of people's explanations by a model's of the same label, or by noise.

    Sets of one seed are nested: the half that --share 50 replaces holds the quarter of --share 25. Noise is what people
    wrote for the same label of another item. Which ones the paper replaces, and its noise, is not public.

    \b
    Examples:
      partynli explain replace --model guided.jsonl --share 25 --out mixed-25.jsonl
      partynli explain replace --with noise --share 100 --seed 3 --out noise-100-3.jsonl
    """
    items = _items_of(items_name)
    human = _people(human_name, items)
    if (source == "model") != (model_file is not None):
        raise InputError("--with model needs --model FILE, and --with noise takes none")
    if model_file is not None:
        mixed = replace_with_model(human, read_explanations(model_file, items, by), int(share), seed)
    else:
        mixed = replace_with_noise(human, int(share), seed)
    write(out, to_jsonl(mixed, {"with": source, "share": int(share), "seed": seed}))
    _say(mixed, out)
    if mixed.replaced < mixed.wanted:
        console.print(
            f"{mixed.wanted - mixed.replaced:,} more were to be replaced; nothing is left for their label: they stay "
            "people's",
            soft_wrap=True,
        )
    return 0


@click.command("select")
@click.option("--validation", "file", required=True, metavar="FILE", type=_file, help="What people said of a model's.")
@click.option("--preferred/--unpreferred", default=None, help="Faithful ones that add information, or the others.")
@click.option("--greedy", "how", flag_value="greedy", help="As many as there are for the label.")
@click.option("--representative", "how", flag_value="representative", help="One for each label, most like the others.")
@_human
@_out
def select(file: Path, preferred: bool | None, how: How | None, human_name: str, out: Path) -> int:
    """Replace people's explanations by those of a model's that people preferred, or did not (the 2 x 2 design).

    The paper's exact rule is not public; docs/how-to/model-explanations.md says what ours is. The set holds the
    validated items only.

    \b
    Example:
      partynli explain select --validation validated_llama3.jsonl --preferred --greedy --out preferred.jsonl
    """
    if preferred is None or how is None:
        raise InputError("choose --preferred or --unpreferred, and --greedy or --representative")
    items = _items_of(_HUMAN)
    validation = read_validation(file, [item.uid for item in items])
    mixed = select_validated(_people(human_name, items), validation, preferred=preferred, how=how)
    write(out, to_jsonl(mixed, {"with": "preferred" if preferred else "unpreferred", "how": how}))
    if validation.left_out:
        console.print(f"{validation.left_out:,} rows without a verdict or a label are left out")
    _say(mixed, out)
    console.print(f"the paper prints {PRINTED[preferred, how]:g} % replaced, by a rule that is not public")
    return 0


def _say(mixed: MixedSet, out: Path) -> None:
    console.print(
        f"{len(mixed.of_item):,} items: {mixed.replaced:,} of {mixed.n:,} explanations replaced "
        f"({100 * mixed.replaced / mixed.n:.2f} %): {safe(shown(out))}",
        soft_wrap=True,
    )


@click.command("curve")
@click.argument("reports", nargs=-1, required=True, type=_file)
@click.option("--distance", type=click.Choice(list(_DISTANCES)), default="jsd", show_default=True)
@_out
def curve(reports: tuple[Path, ...], distance: str, out: Path) -> int:
    """Draw distances to people over the share of explanations that was replaced.

    REPORTS are what `partynli mjd report RUN --json` printed for runs whose explanations `partynli explain replace`
    wrote, and for one with people's own (0 %). Their files must still be where the runs read them. Points stand at
    what really was replaced, which is less than the share where a model has no explanation left of a label.

    \b
    Example:
      partynli explain curve human.json model-*.json noise-*.json --out curves.png
    """
    kind = out.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"--out {out}: the name must end in .{', .'.join(FORMATS)}")
    read = [_read_report(file, distance) for file in reports]
    for file, one in zip(reports[1:], read[1:], strict=True):
        if differing := [name for name, value in one.terms.items() if value != read[0].terms[name]]:
            raise InputError(f"{file} and {reports[0]} cannot be on one curve: they differ in {', '.join(differing)}")
    found = curves(one.measured for one in read)
    catalogue()  # says so where matplotlib is not there
    canvas = import_module("partynli.report.plots.replacement").plot_replacement(
        found, _DISTANCES[distance], synthetic=any(one.synthetic for one in read)
    )
    save(canvas, out.with_suffix(""), (kind,))
    rows = [
        (curve.by, f"{one.share} %", f"{one.replaced:.1f} %", *map(rounded, (one.mean, one.low, one.high)), str(one.n))
        for curve in found
        for one in curve.points
    ]
    print_rows(("replaced by", "share", "replaced", _DISTANCES[distance], "low", "high", "seeds"), rows)
    console.print(f"wrote {safe(shown(out))}", soft_wrap=True)
    return 0


class _Report(NamedTuple):
    measured: Measured
    terms: Mapping[str, Any]
    """What must be the same for all on one curve."""
    synthetic: bool


def _read_report(file: Path, distance: str) -> _Report:
    try:
        report: Any = json.loads(_text(file))
        design = report["design"]
        given = design["explanations"]
        source, hash_ = given["source"], given.get("hash")
        row = next(row for row in report["rows"] if row["kind"] == "mjd")
        value = row[distance]["value"]
        terms = {name: report[name] for name in ("reference", "transform", "n_items")}
        terms |= {
            "how many items have distributions": row["n_items"],
            "items": design["items"],
            "how explanations are shown": design["design"],
            "participant": row["name"].removeprefix(report["run"]),
        }
        synthetic = bool(report["synthetic"])
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        raise InputError(f"{file} is no report of option scores (`partynli mjd report --json`)") from None
    if not isinstance(value, int | float):
        raise InputError(f"{file}: the {_DISTANCES[distance]} is undefined")
    if source == "human":
        return _Report(Measured("model", 0, 0, float(value), 0.0), terms, synthetic)
    text = _text(Path(str(source)))
    if text_hash(text) != hash_:
        raise ItemsError(f"{source} is not the file that the run of {file} was shown; it has changed since")
    made = made_of(text, str(source))
    by, share, seed = (made.get(name) for name in ("with", "share", "seed"))
    if by not in ("model", "noise") or not isinstance(share, int) or not isinstance(seed, int):
        raise ItemsError(f"{source} was not made by `partynli explain replace`")
    replaced = replaced_in(text, str(source))
    return _Report(Measured(by, share, seed, float(value), replaced), terms, synthetic)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None


@click.command("variability")
@click.argument("files", nargs=-1, metavar="[human|FILE]...")
@click.option("--embedder", "embedder_name", metavar="NAME", help="For the similarity of sentence embeddings.")
@_by
@_items
def command_variability(files: tuple[str, ...], embedder_name: str | None, by: str | None, items_name: str) -> int:
    """Show how alike the explanations of an item are, for people and for models (Chen et al. 2025).

    Lower is more varied. Shares of 1-, 2- and 3-grams in common, of words with punctuation and of part-of-speech tags
    (with the extra `pos`); cosine and Euclidean similarity with --embedder.

    \b
    Example:
      partynli explain variability human gpt4o.jsonl llama3.jsonl --embedder sentence-transformers/all-MiniLM-L6-v2
    """
    items = _items_of(items_name)
    embedder = None if embedder_name is None else _embedder(embedder_name)
    rows, notes = [], []
    for name in files or ("human",):
        given = human_explanations() if name == "human" else read_explanations(Path(name), items, by)
        found = variability({uid: [one.text for one in texts] for uid, texts in given.items()}, embedder)
        shares = zip((*found.words, *found.tags), (*found.n_words, *found.n_tags), strict=True)
        overlaps = (f"{rounded(value)} ({n:,})" if 0 < n < found.n_sets else rounded(value) for value, n in shares)
        rows.append((name, f"{found.n_sets:,}", *overlaps, rounded(found.cosine), rounded(found.euclidean)))
        if found.n_single:
            have = "item has one explanation and is" if found.n_single == 1 else "items have one explanation and are"
            notes.append(f"{name}: {found.n_single:,} {have} in no figure")
    heads = [f"{what} n={n}" for what in ("words", "tags") for n in (1, 2, 3)]
    print_rows(("explanations", "items", *heads, "cosine", "euclidean"), rows)
    for note in notes:
        console.print(safe(note), soft_wrap=True)
    return 0


def _embedder(name: str) -> Embedder:
    if name == "tfidf" or name.endswith(MINUS_ITEM):
        raise InputError(
            f"--embedder {name}: sentences are compared as they stand here; give e5, style, a model or URL#MODEL, "
            f"without {MINUS_ITEM}"
        )
    return embedder_for(name)
