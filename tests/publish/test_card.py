"""The card: what the Hub reads of it, what it says, what is kept of an old one, and what foreign text can do to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from partynli.errors import InputError
from partynli.hashing import text_hash
from partynli.markdown import escape
from partynli.publish.card.card import card_text, completed
from partynli.publish.card.details import CardDetails
from partynli.publish.tables.folder import Export

Write = Callable[..., Export]
DETAILS = CardDetails(repo="jane/study", licence="cc-by-4.0", authors=("Jane Doe",))
ASKED = {"first_answer": "2026-11-20T23:59:00Z", "last_answer": "2026-11-21T00:01:00Z", "declared": "{}"}
KIMI = ASKED | {
    "name": "kimi-k2@temperature=0.5",
    "provider": "moonshot",
    "route": "openai",
    "model": "kimi-k2-0711-preview",
    "served_models": "kimi-k2-0711 | kimi-k2-0905",
    "num_params": 1000.0,
    "params": '{"temperature":0.5}',
    "valid": 9,
    "reasons": '{"refusal":1,"truncated":2}',
}
LLAMA = ASKED | {
    "name": "llama",
    "provider": "vllm",
    "route": "vllm",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "num_params": 8.0,
    "params": "{}",
    "declared": '{"seed":"auto"}',
    "valid": 10,
}
COUNTED = [
    {"sent_id": "a", "group": "llama", "kind": "participant", "n_asked": 5, "n_valid": 5},
    {"sent_id": "b", "group": "llama", "kind": "participant", "n_asked": 5, "n_valid": 5},
    {"sent_id": "a", "group": "kimi-k2@temperature=0.5", "kind": "participant", "n_asked": 5, "n_valid": 5},
    {"sent_id": "b", "group": "kimi-k2@temperature=0.5", "kind": "participant", "n_asked": 5, "n_valid": 4},
    {"sent_id": "b", "group": "all", "kind": "mix", "n_asked": 99, "n_valid": 99},
]


def metric(group: str, kind: str, figure: str, value: float | None, against: str | None = None, **more: Any) -> dict:
    return {"scope": "all", "group": group, "kind": kind, "figure": figure, "against": against, "value": value, **more}


METRICS = [
    metric("livenli", "human", "entropy", 0.61, sd=0.2, n=50),
    metric("all", "mix", "entropy", 0.5, sd=0.25, n=50),
    metric("all", "mix", "alpha", None, n=0),
    metric("run", "mix", "entropy", 0.5, sd=0.25, n=50),
    metric("all", "mix", "consistency", 77.7, n=50),
    metric("all", "mix", "js_distance", 0.3, "livenli", ceiling=0.21, null=0.45, n=49),
    metric("all", "mix", "kendall_tau", 0.11, "livenli", ceiling=0.15, n=49),
    metric("llama", "participant", "entropy", 88.8, n=50),
    metric("uniform", "null", "entropy", 99.9, n=50),
]


@pytest.fixture
def export(by_hand: Write) -> Export:
    return by_hand(
        judgments=[{"sent_id": "a", "explanation": "x"}] * 20,
        participants=[KIMI, LLAMA],
        distributions=COUNTED,
        metrics=METRICS,
    )


def section(card: str, name: str) -> str:
    return card.partition(f"<!-- partynli:begin {name} -->")[2].partition(f"<!-- partynli:end {name} -->")[0]


def row(text: str, first: str) -> list[str]:
    """Cells of the table's row that begins so."""
    (line,) = (line for line in text.split("\n") if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_hub_reads_what_is_meant(export: Export) -> None:
    card = DatasetCard(card_text(export, DETAILS))
    data = card.data.to_dict()
    assert data == {
        "pretty_name": "partynli run test",
        "license": "cc-by-4.0",
        "language": ["en"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated", "found"],
        "size_categories": ["n<1K"],
        "source_datasets": ["original"],
        "task_categories": ["text-classification"],
        "task_ids": ["natural-language-inference"],
        "tags": ["human-label-variation", "annotator-disagreement", "llm-annotation", "explanations", "partynli"],
        "configs": [
            {
                "config_name": config,
                **({"default": True} if config == "judgments" else {}),
                "data_files": [{"split": "train", "path": f"data/{config}/train-00000.parquet"}],
            }
            for config in ("judgments", "participants", "distributions", "metrics")
        ],
    }
    assert str(card).startswith("---\n")
    assert "partynli:begin about" in card.text


@pytest.mark.parametrize(
    ("changes", "creators", "sources", "language"),
    [
        ({"plan": {"items": "livenli"}, "human": True}, ["crowdsourced"], ["extended|other-livenli"], ["en"]),
        ({"plan": {"items": "livenli"}}, [], ["extended|other-livenli"], ["en"]),
        ({"plan": {"items": "/home/jane/mine.csv"}, "human": True}, ["other"], None, None),
    ],
)
def test_where_items_and_people_come_from(
    by_hand: Write, changes: dict[str, Any], creators: list[str], sources: list[str] | None, language: list[str] | None
) -> None:
    human = {"human": [{"sent_id": "a"}]} if changes.pop("human", False) else {}
    export = by_hand(judgments=[{"sent_id": "a"}], **changes, **human)
    text = card_text(export, DETAILS)
    data = DatasetCard(text).data.to_dict()
    assert data["annotations_creators"] == ["machine-generated", *creators]
    assert (data.get("source_datasets"), data.get("language")) == (sources, language)
    assert "/home/jane" not in text


def test_other_tasks_and_licences(by_hand: Write) -> None:
    task = {"reader": "reasons", "set_labels": False}
    export = by_hand("csv", task=task, judgments=[{"sent_id": "a"}], shards=1)
    details = CardDetails(
        licence="other", licence_name="mine", licence_link="LICENSE", languages=("no", "de"), title="A: b"
    )
    data = DatasetCard(card_text(export, details)).data.to_dict()
    assert data["task_ids"] == ["multi-class-classification"]
    assert (data["license"], data["license_name"], data["license_link"]) == ("other", "mine", "LICENSE")
    assert data["language"] == ["no", "de"]  # and not false, as YAML would read a bare no
    assert data["pretty_name"] == "A: b"
    assert data["configs"][0]["na_values"] == [""]
    assert data["dataset_info"][0]["features"][0] == {"name": "sent_id", "dtype": "string"}


def test_participants_and_what_is_missing(export: Export) -> None:
    card = card_text(export, DETAILS)
    assert row(section(card, "participants"), "kimi-k2@temperature=0.5") == [
        "kimi-k2@temperature=0.5",
        "moonshot",
        "kimi-k2-0711-preview",
        r"kimi-k2-0711 \| kimi-k2-0905",
        "1000",
        "temperature 0.5",
        "2026-11-20 to 2026-11-21",
        "9",
    ]
    assert row(section(card, "participants"), "llama")[5] == "a seed each"
    missing = section(card, "missing")
    assert "19 valid of 20 asked" in missing
    assert row(missing, "kimi-k2@temperature=0.5")[1:] == ["10", "9", "10.0%", "refusal 1, truncated 2"]
    assert row(missing, "llama")[1:] == ["10", "10", "0.0%", "–"]


def test_headline_figures_stand_beside_their_ceilings(export: Export) -> None:
    figures = section(card_text(export, DETAILS), "figures")
    assert "| all | livenli | human | 0.610 | 0.200 | 50 | – | – |" in figures
    assert "| all | all | mix | 0.500 | 0.250 | 50 | – | 0 |" in figures
    assert "| all | all | livenli | 0.300 | 0.210 | 0.450 | 49 | 0.110 | 0.150 | 49 |" in figures
    assert not any(number in figures for number in ("77.7", "88.8", "99.9"))


def test_all_participants_are_a_row_once(by_hand: Write) -> None:
    def groups(members: list[str]) -> list[str]:
        export = by_hand(judgments=[{"sent_id": "a"}], metrics=METRICS, plan={"groups": {"all": members}})
        return re.findall(r"^\| all \| (\w+) \| mix", section(card_text(export, DETAILS), "figures"), re.MULTILINE)

    assert groups(["sha256:2", "sha256:1"]) == ["all"]
    assert groups(["sha256:1"]) == ["all", "run"]


def test_prompts_stand_in_full_with_their_hashes(export: Export) -> None:
    prompts = section(card_text(export, DETAILS), "prompts")
    for name in ("system", "user"):
        text = export.run["task"][name]
        assert text_hash(text) in prompts
        assert "\n".join(f"    {line}" for line in text.split("\n")) in prompts


def test_a_synthetic_run_says_so_first(by_hand: Write) -> None:
    card = card_text(by_hand(run={"synthetic": True}, judgments=[{"sent_id": "a"}]), DETAILS)
    assert "SYNTHETIC" in section(card, "about")
    assert "SYNTHETIC" in section(card, "limits")
    assert "No person's answer is in it." in section(card, "limits")
    assert "simulated-participants" in DatasetCard(card).data.tags


def test_texts_that_are_left_out_are_said_to_be(by_hand: Write) -> None:
    decided = {
        "dataset": "livenli",
        "included": False,
        "licence": None,
        "source": "https://x.org",
        "reason": "no licence",
    }
    export = by_hand(plan={"items": "livenli"}, licences={"items": decided, "human": decided}, items=[{"sent_id": "a"}])
    card = card_text(export, DETAILS)
    assert r"The items' texts are **not** in it: no licence. Source: https://x.org." in card
    assert "`partynli data livenli` fetches the texts" in card
    assert "Licence:" not in card
    assert DatasetCard(card).data.language_creators == ["machine-generated"]


def test_citation(export: Export) -> None:
    made = section(card_text(export, DETAILS), "citation")
    assert "    @misc{jane-study," in made
    assert r"\url{https://huggingface.co/datasets/jane/study}" in made
    assert "author = {Jane Doe}" in made
    assert "Kulmizev" in made
    own = CardDetails(citation="@article{x,\n  title = {My own}\n}")
    assert "    @article{x,\n      title = {My own}\n    }" in card_text(export, own)
    odd = CardDetails(title="100% {of} \\it_all & more", authors=("O. Möller",))
    assert r"title = {{100\% of it\_all \& more}}" in card_text(export, odd)


def test_the_same_twice(export: Export) -> None:
    first = card_text(export, DETAILS)
    assert card_text(export, DETAILS) == first
    assert card_text(export, DETAILS, first) == first


def test_an_update_keeps_what_people_wrote(by_hand: Write, export: Export) -> None:
    old = card_text(export, DETAILS)
    old = old.replace("<!-- partynli:begin making -->", "## Our study\n\nBy hand.  \n\n<!-- partynli:begin making -->")
    old = (
        "\n".join(old.split("\n"))
        .replace("tags:\n", "tags:\n- linguistics\n")
        .replace("license:", "doi: 10.5/x\nlicense:")
    )
    old += "\n## Thanks\r\n\r\nTo all.\n"
    new = by_hand(run={"synthetic": True}, judgments=[{"sent_id": "a"}], folder=export.path.parent / "new")
    card = card_text(new, CardDetails(title="New", licence="mit"), old)
    data = DatasetCard(card).data.to_dict()
    assert data["doi"] == "10.5/x"
    assert "linguistics" in data["tags"]
    assert (data["pretty_name"], data["license"]) == ("New", "mit")
    assert "SYNTHETIC" in section(card, "about")
    assert "kimi" not in card
    assert "partynli:begin figures" not in card  # there are none any more
    places = [
        card.index(text)
        for text in ("# New", "## Our study\n\nBy hand.  \n", "## How it was", "## Thanks\r\n\r\nTo all.")
    ]
    assert places == sorted(places)
    back = card_text(export, CardDetails(title="New", licence="mit"), card)
    assert (
        back.index("partynli:end missing") < back.index("partynli:begin figures") < back.index("partynli:begin columns")
    )
    assert back.count("By hand.") == back.count("To all.") == back.count("# New") == 1


def test_a_card_without_marks_stays_and_ours_follows(export: Export) -> None:
    old = "---\nlicense: mit\nlanguage: en\npretty_name: Mine\n---\n\n# Mine\n\nMy text"
    card = card_text(export, CardDetails(), old)
    assert "\n\n# Mine\n\nMy text\n\n<!-- partynli:begin about -->\n\n# Mine\n" in card
    assert DatasetCard(card).data.license == "mit"
    assert DatasetCard(card).data.language == ["en"]
    assert card_text(export, CardDetails(), card) == card


def test_details_are_completed_from_the_old_card() -> None:
    old = "---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\nlanguage: [de, fr]\npretty_name: T\n---\n"
    found = completed(CardDetails(), old)
    assert found == CardDetails(None, "other", "mine", "LICENSE", ("de", "fr"), "T")
    given = CardDetails(None, "mit", None, None, ("en",), "U")
    assert completed(given, old) == given
    assert completed(given, None) == given
    assert completed(CardDetails(), "---\nlicense: [mit]\nlanguage:\n- 3\n---\n") == CardDetails()


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("---\na: [\n---\n", "YAML block of the existing README.md cannot be read"),
        ("---\n- a\n---\n", "holds no keys"),
        ("---\nd: 2026-99-99\n---\n", "cannot be read"),
        ("<!-- partynli:begin about -->\nx", "'about' of the existing README.md begins and does not end"),
        ("x\n<!-- partynli:end about -->\n", "in line 2 of its text where none is expected"),
        ("<!-- partynli:begin a -->\n<!-- partynli:begin b -->\n", "in line 2"),
        ("<!-- partynli:begin a -->\n<!-- partynli:end b -->\n", "in line 2"),
        ("<!-- partynli:begin a -->\n<!-- partynli:end a -->\n" * 2, "in line 3"),
    ],
)
def test_an_old_card_that_cannot_be_told_apart_is_refused(export: Export, old: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        card_text(export, DETAILS, old)
    assert "\n" not in str(caught.value)


MARKDOWN = MarkdownIt("commonmark").enable("table")
NASTY = [
    "a\\|b \\\\|c \\",
    "a|b||c",
    "<script>alert(1)</script><img src=x onerror=y>",
    "x\n<!-- partynli:end participants -->\n",
    "x\r\n---\r\nlicense: mit\r\n---\r\n",
    "```\n# heading\n```",
    "[click](javascript:alert(1)) ![i](http://x/y.png)",
    "\x1b[31mred\x1b[0m \u202eright to left\u2028new line\x85and\x0bon",
    "$$\\href{x}{y}$$ \\(z\\)",
    "--> <!-- <b>",
    "'\": {}[]&*#?|-<>=!%@`",
]


def test_a_backslash_cannot_take_away_an_escape() -> None:
    assert escape(r"\|") == r"\\\|"


def card_of(by_hand: Write, text: str) -> tuple[Export, CardDetails]:
    """An export and details that say the text wherever foreign text can stand."""
    everywhere = dict.fromkeys(("name", "provider", "route", "model", "served_models"), text)
    decided = {"dataset": text, "included": False, "licence": text, "source": text, "reason": text}
    export = by_hand(
        run={"run": text, "commit": text, "partynli": text, "created": text, "registry": {"hash": text}},
        task={"name": text, "labels": [text, "b"], "fields": [text], "system": text, "user": f"{text}\n\n{text}"},
        plan={"items": text, "items_hash": text},
        licences={"items": decided, "human": decided},
        judgments=[{"sent_id": text}],
        items=[{"sent_id": "a"}],
        participants=[KIMI | everywhere | {"params": json.dumps({text: text}), "reasons": json.dumps({text: 1})}],
        distributions=[{"group": text, "kind": "participant", "n_asked": 2, "n_valid": 1}],
        metrics=[metric(text, "mix", "entropy", 0.5, n=2), metric(text, "mix", "js_distance", 0.5, text, n=2)],
    )
    return export, CardDetails("jane/x", "other", text, text, (text,), text, (text,), text)


def shape(card: str) -> list[str]:
    """What a card is made of: its blocks, and what stands in them, but not the words."""
    tokens = MARKDOWN.parse(DatasetCard(card).text)
    return [kind for token in tokens for kind in (token.type, *(one.type for one in token.children or ()))]


@pytest.mark.parametrize("text", NASTY)
def test_foreign_text_stays_text(by_hand: Write, text: str) -> None:
    plain = card_text(*card_of(by_hand, "x"))
    export, details = card_of(by_hand, text)
    card = card_text(export, details)
    assert shape(card) == shape(plain)
    assert card_text(export, details, card) == card  # no mark was broken
    data = DatasetCard(card).data.to_dict()
    assert data.keys() == DatasetCard(plain).data.to_dict().keys()
    assert (data["license"], data["license_name"]) == ("other", text)
    inline = [token.content for token in MARKDOWN.parse(DatasetCard(card).text) if token.type == "inline"]
    assert all(sign.isprintable() or sign == "\n" for sign in "".join(inline))
    assert not re.search(r"(?<!\\)\$", "".join(inline))  # the Hub sets formulas


def test_many_participants_do_not_make_a_card_without_end(by_hand: Write) -> None:
    many = [KIMI | {"name": f"m{n}"} for n in range(1_000)]
    counted = [{"group": one["name"], "kind": "participant", "n_asked": 5, "n_valid": 4} for one in many]
    card = card_text(by_hand(participants=many, distributions=counted), DETAILS)
    assert card.count("And 800 more, in the configuration `participants`.") == 2
    assert "4,000 valid of 5,000 asked" in card
    assert len(card) < 100_000


def test_the_yaml_block_is_plain_yaml(export: Export) -> None:
    text = card_text(export, CardDetails(title="Ünïcode: yes", licence="mit"))
    block = text.split("---\n")[1]
    assert "pretty_name: 'Ünïcode: yes'" in block
    assert yaml.safe_load(block)["configs"][0]["config_name"] == "judgments"
