"""What a card says, section by section, as Markdown. Foreign text in it is escaped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from partynli.errors import without_kind
from partynli.hashing import text_hash
from partynli.markdown import code, escape, shorten, table
from partynli.publish.card import statements
from partynli.publish.card.described import CONFIGS, Described
from partynli.publish.card.headline import headline
from partynli.publish.tables.formats import Row

_MOST = 200
"""Participants that a card lists; the configuration `participants` has all of them."""


def card_sections(about: Described) -> dict[str, str]:
    """The sections of a card by name, in their order; those that would be empty are left out."""
    sections = {
        "about": _about(about),
        "use": _use(about),
        "making": _making(about),
        "prompts": _prompts(about),
        "participants": _participants(about),
        "missing": _missing(about),
        "figures": headline(about),
        "columns": _columns(about),
        "limits": "## Known limits\n\n" + _list([*statements.limits(about), statements.personal(about)]),
        "citation": _citation(about),
    }
    return {name: text for name, text in sections.items() if text}


def _about(about: Described) -> str:
    parts = [f"# {escape(about.title)}"]
    if about.export.synthetic:
        parts.append(f"> **{statements.SYNTHETIC}**")
    files = [[name, f"{about.export.configs[name]['rows']:,}", CONFIGS[name]] for name in about.configs]
    parts += [escape(about.summary), table(["configuration", "rows", "what"], files, numbers=[1]), _texts(about)]
    return "\n\n".join(filter(None, parts))


def _texts(about: Described) -> str:
    """Whose the texts and people's answers are, and why they are in it or not."""
    what = {"items": "The items' texts", "human": "People's answers"}
    lines = []
    for name in what:
        if name not in about.export.configs:
            continue
        decided = about.export.licences[name]
        verb = "are in it" if decided["included"] else "are **not** in it"
        source = f" Source: {escape(decided['source'])}." if decided["source"] else ""
        licence = f" Licence: {escape(decided['licence'])}." if decided["licence"] else ""
        lines.append(f"- {what[name]} {verb}: {escape(decided['reason'])}.{licence}{source}")
    if not about.has_texts and about.source.languages:
        lines.append(f"- `partynli data {about.items}` fetches the texts from their source.")
    return "\n".join(lines)


def _use(about: Described) -> str:
    name = about.details.repo or "path/to/this/folder"
    here = f"hf:{about.details.repo}" if about.details.repo else "path/to/this/folder"
    config = next(iter(about.configs), "judgments")
    python = (
        "from datasets import load_dataset\n\n"
        f'{config} = load_dataset("{name}", "{config}", split="{about.export.split}")'
    )
    shell = f"partynli import {here} --run mine\npartynli report mine"
    csv = (
        "\n\nIn the CSV files a text that a spreadsheet would run begins with an apostrophe, and so do an empty text "
        "and one that begins with an apostrophe; an empty cell is a missing value."
    )
    return (
        f"## How to load it\n\n{code(python)}\n\nThe run itself, for every figure and plot:\n\n{code(shell)}"
        + csv * (about.export.kind == "csv")
    )


def _making(about: Described) -> str:
    run, plan, task = about.export.run, about.plan, about.task
    commit = f", commit {escape(run['commit'])}" if run.get("commit") else ""
    trials = about.trials_an_item
    often = f"{trials[0]:,}" if len(trials) == 1 else f"{trials[0]:,} to {trials[-1]:,}" if trials else "0"
    made = f"partynli {escape(run.get('partynli', 'of an unknown version'))}{commit}"
    facts = [
        f"Task {escape(task['name'])}, labels {escape(', '.join(map(str, task['labels'])))}.",
        *map(escape, statements.protocol(about)),
        f"{plan['n_items']:,} items of {escape(about.items)} ({escape(plan.get('items_hash', 'no hash'))}), each asked "
        f"{often} time{'s' * (trials != [1])} of every participant.",
        "Seeds: where the participants table says *a seed each*, every attempt is sent one of its own, which follows "
        "from the trial and is stored; elsewhere none is sent.",
        f"{made}; the run was begun {escape(run.get('created', 'at an unknown time'))}.",
    ]
    if registry := run.get("registry"):
        facts.append(f"Participants are declared in a registry with the hash {escape(registry.get('hash'))}.")
    return f"## How it was made\n\n{escape(statements.collection(about))}\n\n{_list(facts, escaped=True)}"


def _prompts(about: Described) -> str:
    parts = [
        "## Prompts",
        "`{}` stands for the item's texts, in this order: " + escape(", ".join(about.task["fields"])) + ".",
    ]
    for name in ("system", "user"):
        if text := about.task.get(name):
            parts += [f"The {name} message, {text_hash(text)}:", code(text)]
    return "\n\n".join(parts)


def _participants(about: Described) -> str:
    heads = ["participant", "provider", "declared model", "served model", "size, B", "parameters", "asked", "answers"]
    rows = [
        [
            row["name"],
            row["provider"] or row["route"],
            row["model"],
            row["served_models"] or "–",
            "–" if row["num_params"] is None else f"{row['num_params']:g}",
            _settings(row),
            _dates(row),
            "–" if row["valid"] is None else f"{row['valid']:,}",
        ]
        for row in about.export.participants[:_MOST]
    ]
    return f"## Participants\n\n{table(heads, _short(rows), numbers=[4, 7])}" + _more(about)


def _settings(row: Row) -> str:
    """What was sent besides the messages; a dash for nothing."""
    sent = json.loads(row["params"] or "{}")
    declared = json.loads(row["declared"] or "{}")
    seed = ["a seed each"] if declared.get("seed") else []
    return ", ".join([*(f"{name} {json.dumps(value)}" for name, value in sent.items()), *seed]) or "–"


def _dates(row: Row) -> str:
    first, last = (str(row[name] or "")[:10] for name in ("first_answer", "last_answer"))
    return first if first == last else f"{first} to {last}"


def _missing(about: Described) -> str:
    asked: Counter[str] = Counter()
    valid: Counter[str] = Counter()
    for row in about.export.rows("distributions"):
        if row["kind"] == "participant":
            asked[row["group"]] += row["n_asked"]
            valid[row["group"]] += row["n_valid"]
    rows = [
        [
            one["name"],
            f"{asked[one['name']]:,}",
            f"{valid[one['name']]:,}",
            f"{1 - valid[one['name']] / asked[one['name']]:.1%}" if asked[one["name"]] else "–",
            _reasons(one),
        ]
        for one in about.export.participants[:_MOST]
    ]
    total = f"Together: {valid.total():,} valid of {asked.total():,} asked."
    heads = ["participant", "asked", "valid", "missing", "attempts without a judgment"]
    said = f"## What is missing\n\n{escape(statements.missing(about))} {total}"
    return f"{said}\n\n{table(heads, _short(rows), numbers=[1, 2, 3])}" + _more(about)


def _reasons(row: Row) -> str:
    counts = json.loads(row["reasons"] or "{}")
    return ", ".join(f"{without_kind(reason)} {count:,}" for reason, count in sorted(counts.items())) or "–"


def _columns(about: Described) -> str:
    parts = ["## Columns", "Every value may be missing."]
    for config in about.configs:
        rows = [list(column) for column in about.export.columns(config)]
        parts += [f"### {escape(config)}", table(["column", "type", "what"], rows)]
    return "\n\n".join(parts)


def _citation(about: Described) -> str:
    parts = ["## Citation", code(about.citation)]
    if about.references:
        parts += ["Please cite as well:", _list(about.references)]
    return "\n\n".join(parts)


def _list(lines: Sequence[str], *, escaped: bool = False) -> str:
    return "\n".join(f"- {line if escaped else escape(line)}" for line in lines)


def _short(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[shorten(cell) for cell in row] for row in rows]


def _more(about: Described) -> str:
    more = len(about.export.participants) - _MOST
    return f"\n\nAnd {more:,} more, in the configuration `participants`." if more > 0 else ""
