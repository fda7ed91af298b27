"""What forbids publishing: each reason found where it stands, none invented, and no secret shown."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from partynli.publish.card.details import LICENCES, CardDetails
from partynli.publish.screening.screening import screen
from partynli.publish.screening.suspicions import suspicions
from partynli.publish.tables.folder import Export
from partynli.publish.tables.formats import KINDS

# put together here, so that no file of the project holds anything that looks like a key
BODY = "Zq7Rk2Lw9Xv4Tb8Nc3Mf6Hd1Gs5Jp0YaQe"
SECRETS = {
    "openai": "sk-" + "proj-" + BODY + "-" + BODY,
    "deepseek": "sk-" + "3f9a1c7e5b2d8f60a4c1e7b93d5f2a8c",
    "openrouter": "sk-or-" + "v1-" + "9b1d7c3e5f2a8c604f9a1c7e5b2d8f60",
    "anthropic": "sk-ant-" + "api03-" + BODY + "_" + BODY,
    "xai": "xai-" + BODY + BODY,
    "huggingface": "hf_" + BODY,
    "google": "AIza" + "Sy" + BODY[:33],
    "aws": "AKIA" + "Z7Q2X9W4V8T6R3N1",
    "github": "ghp_" + BODY + "x9",
    "github fine": "github_pat_" + BODY + BODY,
    "together": "tgp_v1_" + BODY,
    "groq": "gsk_" + BODY + BODY,
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "bearer": "Bearer " + BODY,
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
}
HARMLESS = [
    "They ask-sk-ate-and-sk-i-for-money-every-week in the old house.",
    "risk-averse-and-task-oriented-people-sk-something-without-any-end",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx and sk-1111111111111111111111",
    "a task-sk-2024-08-06-gpt-4o-mini-of-2024",
    "sk-aaaaaaaaaaaaaaaaaaaaaaaaa1111111",
    "the image disk-3f9a1c7e5b2d8f60a4c1e7b93d5f2a8c and risk-3f9a1c7e5b2d8f60a4c1e7b93d5f2a8c",
    "sk-learn-style-estimators-with-many-hyphens",
    "hf_hub_download and hf_transfer_of_many_large_files_by_name",
    "bearer of bad news, the standard-bearer was-not-there-any-more-today",
    "AKIAS, a name; AIzawl is a town in Mizoram",
    "sha256:f1f12a823122b678b20cd02b9e54db8e725334b590b21bd9a69b803b7bad2b05",
    "d4e889efb717c3c41e4c4097c46a3861a670ca7e",
    "-----BEGIN CERTIFICATE-----",
    "eyJ is how a JSON object begins in base64",
]
NO_ADDRESS = [
    "kimi-k2@temperature=0.5@top_p=0.9",
    "write to jane@example.com, to joe@mail.example.org or me@localhost.test",
    "picture@2x.png, lodash@4.17.21, a @ b.c, x@y",
    "noreply@acme.com and git@github.com:acme/x.git",
    "1234+jane@users.noreply.github.com",
    "@jane.doe said so",
]
FINE = CardDetails(licence="cc-by-4.0")
Write = Callable[..., Export]


def explained(*texts: str | None) -> list[dict[str, str | None]]:
    """Rows of judgments with these explanations."""
    return [{"sent_id": f"s{n}", "explanation": text} for n, text in enumerate(texts)]


def found_in(text: str, **secrets: str) -> list[str]:
    named = {value: name for name, value in secrets.items()}
    return [one.what for one in suspicions(text, named, frozenset({"secret", "email"}))]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "key={} and more", '"{}"', "({})", r'{{"text":"\n{}\n"}}', r'"\u0022{}\u0022"']
)
def test_every_shape_is_found_once(name: str, around: str) -> None:
    assert len(found_in(around.format(SECRETS[name]))) == 1


@pytest.mark.parametrize("text", [*HARMLESS, *NO_ADDRESS])
def test_harmless_texts_are_not_found(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(
    "text", ["jane.doe@uni-x.edu", "<j@acme.co.uk>", '"mail\\njane@acme.de"', "see jürgen@müller.de.", "a@b.io, c"]
)
def test_addresses_are_found(text: str) -> None:
    assert found_in(text) == ["an e-mail address"]


def test_a_finding_shows_four_characters_and_a_length() -> None:
    for secret in SECRETS.values():
        (one,) = suspicions(secret, {}, frozenset({"secret"}))
        assert secret[:4] in one.shown
        assert not any(secret[at : at + 5] in one.shown for at in range(len(secret) - 4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_found_in_every_format(by_hand: Write, kind: str) -> None:
    texts = ["Because."] * 4_999
    texts[4_321], texts[4_400] = f"My key is {SECRETS['openai']}.", f"It is {SECRETS['openai']}, again."
    export = by_hand(kind, judgments=explained(*texts), raw=explained(None))
    (one,) = screen(export, FINE, environ={})
    assert (one.kind, one.option) == ("secret", "--allow-secrets")
    assert one.text == (
        f"data/judgments/train-00000.{kind}, column explanation, row 4,322: an API key (sk-) "
        f"('sk-p...', {len(SECRETS['openai'])} characters), and 1 more like it in this column"
    )


def test_each_reason_has_an_override_of_its_own(by_hand: Write) -> None:
    export = by_hand(run={"synthetic": True}, judgments=explained(SECRETS["google"], "jane@acme.de"))
    found = screen(export, CardDetails(), environ={})
    assert [one.kind for one in found] == ["licence", "synthetic", "secret", "email"]
    assert [one.option for one in found] == ["--license", "--allow-synthetic", "--allow-secrets", "--allow-emails"]
    for allowed in ("synthetic", "secret", "email"):
        left = screen(export, CardDetails(), {allowed}, environ={})
        assert [one.kind for one in left] == [one.kind for one in found if one.kind != allowed]
    assert [one.kind for one in screen(export, FINE, environ={})] == ["synthetic", "secret", "email"]
    assert screen(export, FINE, {"synthetic", "secret", "email"}, environ={}) == []


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (CardDetails(), "no licence is given"),
        (CardDetails(licence="cc-by-4"), "unknown licence 'cc-by-4'; did you mean cc-by-4.0"),
        (CardDetails(licence="unknown"), "unknown licence 'unknown'"),
        (CardDetails(licence="other"), "'other' has no name"),
    ],
)
def test_a_licence_is_needed(by_hand: Write, details: CardDetails, said: str) -> None:
    (one,) = screen(by_hand(judgments=explained("x")), details, environ={})
    assert said in one.text


def test_licences_are_taken(by_hand: Write) -> None:
    export = by_hand(judgments=explained("x"))
    assert screen(export, CardDetails(licence="other", licence_name="mine"), environ={}) == []
    assert len(LICENCES) == len(set(LICENCES)) > 70


@pytest.mark.parametrize("name", ["HF_TOKEN", "COHERE_API_KEY", "MY_SECRET", "DB_PASSWORD"])
def test_values_of_the_environment_are_found_and_not_shown(by_hand: Write, name: str) -> None:
    canary = 'plain"words\\and no shape'
    export = by_hand(raw=explained(json.dumps({"sent": f"x{canary}y"}), canary))
    (one,) = screen(export, FINE, environ={name: f" {canary}\n", "PATH": "Because", "SHORT_KEY": "a"})
    assert f"row 1: the value of {name} (not shown)" in one.text
    assert "1 more" in one.text
    assert not any(canary[at : at + 5] in one.text for at in range(len(canary) - 4))


def test_variables_that_hold_keys_can_be_named(by_hand: Write) -> None:
    export = by_hand(judgments=explained("It is open sesame."))
    assert screen(export, FINE, environ={"CAVE": "open sesame"}) == []
    (one,) = screen(export, FINE, environ={"CAVE": "open sesame"}, key_names={"CAVE"})
    assert "the value of CAVE" in one.text


def test_the_manifest_is_searched_as_well(by_hand: Write) -> None:
    export = by_hand(run={"registry": {"file": "jane@acme.de"}}, judgments=explained("x"))
    (one,) = screen(export, FINE, environ={})
    assert one.text.startswith("partynli.json, line ")


def test_texts_do_not_run_into_each_other(by_hand: Write) -> None:
    key = SECRETS["huggingface"]
    assert screen(by_hand(judgments=explained(key[:12], key[12:], "jane", "@acme.de")), FINE, environ={}) == []


def test_real_texts_hold_nothing() -> None:
    data = os.environ.get("PARTYNLI_DATA")
    if not data:
        pytest.skip("PARTYNLI_DATA names no folder")
    with Path(data, "livenli", "livenli.csv").open(encoding="utf-8", newline="") as file:
        texts = [cell for row in csv.DictReader(file) for cell in row.values() if cell]
    for name in ("chaosnli_varierr/nli_explanations.jsonl", "varierr/varierr.jsonl", "chaosnli_soft/dev.jsonl"):
        texts += Path(data, name).read_text("utf-8").splitlines()
    for folder in Path(data, "model_explanations").iterdir():
        for file in folder.glob("*.jsonl") if folder.is_dir() else ():
            texts += file.read_text("utf-8").splitlines()
    assert len(texts) > 20_000
    assert found_in("\x00".join(texts)) == []


def test_memory_does_not_grow_with_the_rows(by_hand: Write) -> None:
    def peak(n: int) -> int:
        export = by_hand("jsonl", judgments=explained(*["Because it rains. " * 10] * n))
        tracemalloc.start()
        screen(export, FINE, environ={})
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    assert peak(20_000) < 1.5 * peak(5_000)
