"""``partynli publish`` as a person runs it, against a hub on loopback, and back by ``partynli import``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from partynli.testing.hub import HubServer

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
CANARY = "hf_" + "cAnArYtOkEnThatNobodyMayEverSee02"  # in two pieces, so that no scanner takes it for a real one
LICENSED = ["--license", "cc-by-4.0"]
UIDS = ["100n", "101e", "102c"]


@pytest.fixture
def hub(environ: dict[str, str], tmp_path: Path) -> Iterator[HubServer]:
    """A hub where the token in the environment is Ada's."""
    with HubServer({CANARY: "ada"}) as server:
        # a login that a developer has is out of reach
        environ |= {"HF_ENDPOINT": server.url, "HF_TOKEN": CANARY, "HF_HOME": str(tmp_path / "hf-home")}
        yield server


@pytest.fixture
def pilot(judged_run):
    answers = {"m": [["true", "false", "either"], ["true", "either", None]], "n": [["true", "true", "false"]]}
    return judged_run("pilot", answers, UIDS)


def written_by_hand(hub, text):
    repository = hub.repositories["ada/study"]
    hub.push("ada/study", {"README.md": repository.read("README.md") + text.encode()})


def test_there_and_back_with_the_same_figures(hub, partynli, pilot, tmp_path):
    done = partynli("publish", "--repo", "ada/study", *LICENSED)
    assert (done.returncode, done.stderr) == (0, "")
    repository = hub.repositories["ada/study"]
    assert "in one commit; 0 were there already" in done.stdout
    assert f"{hub.url}/datasets/ada/study\n" in done.stdout
    command = f"partynli import hf:ada/study@{repository.head.oid} --run NAME"
    assert command in done.stdout
    assert len(repository.commits) == 2
    assert "license: cc-by-4.0" in repository.read("README.md").decode()
    back = partynli(*command.split()[1:-1], "back")
    assert (back.returncode, back.stderr) == (0, "")
    reports = [json.loads(partynli("report", run, "--json").stdout) for run in ("pilot", "back")]
    names = [report.pop("run") for report in reports]
    assert names == ["pilot", "back"]
    assert reports[0] == reports[1]
    assert reports[0]["scopes"]


def test_again_nothing_and_later_only_what_changed(hub, partynli_here, pilot):
    assert partynli_here("publish", "--repo", "ada/study", *LICENSED).returncode == 0
    commit = hub.repositories["ada/study"].head.oid
    again = partynli_here("publish", "--repo", "ada/study")  # the licence stands in the card
    assert (again.returncode, again.stderr) == (0, "")
    assert "nothing has changed: all " in again.stdout
    assert hub.repositories["ada/study"].head.oid == commit
    written_by_hand(hub, "\nBy hand: thanks to everyone.\n")
    assert "nothing has changed" in partynli_here("publish", "--repo", "ada/study").stdout
    raised = partynli_here("publish", "--repo", "ada/study", "--license", "cc0-1.0")
    assert "sent 2 files" in raised.stdout  # the card and its Croissant description
    card = hub.repositories["ada/study"].read("README.md").decode()
    assert "license: cc0-1.0" in card
    assert "By hand: thanks to everyone." in card


def test_a_pull_request_and_a_private_dataset(hub, partynli_here, pilot):
    assert partynli_here("publish", "--repo", "ada/study", "--private", *LICENSED).returncode == 0
    repository = hub.repositories["ada/study"]
    assert repository.private
    before = repository.head
    done = partynli_here("publish", "--repo", "ada/study", "--create-pr", "--license", "cc0-1.0")
    assert f"{hub.url}/datasets/ada/study/discussions/1\n" in done.stdout
    assert repository.head == before
    back = partynli_here("import", "hf:ada/study@refs/pr/1", "--run", "back")
    assert (back.returncode, back.stderr) == (0, "")


def test_a_dry_run_writes_all_of_it_and_asks_nobody(hub, partynli_here, pilot, tmp_path):
    told = partynli_here("publish", "--repo", "ada/study", *LICENSED, "--dry-run", "dry", HF_TOKEN="")
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing was sent: dry holds what would be" in told.stdout
    assert hub.requests == []
    assert partynli_here("publish", "--repo", "ada/study", *LICENSED).returncode == 0
    repository = hub.repositories["ada/study"]
    sent = {name: repository.read(name) for name in repository.head.files if name != ".gitattributes"}
    dry = tmp_path / "dry"
    assert sent == {path.relative_to(dry).as_posix(): path.read_bytes() for path in dry.rglob("*") if path.is_file()}


def test_what_a_person_says_of_the_dataset_is_in_its_card(hub, partynli_here, pilot, tmp_path):
    said = ["--title", "First steps", "--author", "Ada Lovelace", "--author", "Mary Somerville", "--language", "fil"]
    assert partynli_here("publish", "--repo", "ada/study", *LICENSED, *said, "--dry-run", "dry").returncode == 0
    card, croissant = ((tmp_path / "dry" / name).read_text("utf-8") for name in ("README.md", "croissant.json"))
    assert "pretty_name: First steps" in card
    assert "language:\n- fil\n" in card
    assert "Ada Lovelace and Mary Somerville" in card
    assert [one["name"] for one in json.loads(croissant)["creator"]] == ["Ada Lovelace", "Mary Somerville"]


def test_without_a_token_nothing_is_begun(hub, partynli, pilot):
    done = partynli("publish", "--repo", "ada/study", *LICENSED, HF_TOKEN="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "partynli: publishing needs a token of the Hugging Face Hub: set HF_TOKEN, or run `hf auth login`\n"
    )
    assert hub.requests == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--repo", "ada/study", "--language", "english"], "partynli: --language 'english' is no ISO 639 code"),
        (["--repo", "study"], "partynli: 'study' names no dataset at the Hub: give USER/NAME\n"),
        (["--repo", "ada/a study"], "partynli: 'ada/a study' names no dataset at the Hub: USER and NAME have letters"),
        (["nope", "--repo", "ada/study"], "partynli: unknown run 'nope' in "),
        (["--repo", "ada/study", "--branch", "v2"], "partynli: there is no dataset ada/study yet"),
    ],
)
def test_one_line_for_what_is_wrong(hub, partynli_here, pilot, given, said):
    done = partynli_here("publish", *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert hub.repositories == {}


def test_what_may_not_go_out_has_an_option_each(hub, partynli_here, environ):
    assert partynli_here("sample", "--mix", "demo", "--limit", "20", "--run", "demo").returncode in (0, 1)
    done = partynli_here("publish", "--repo", "ada/demo")
    assert done.returncode == 2
    assert "(--license)" in done.stdout
    assert "(--allow-synthetic)" in done.stdout
    assert "mend it, or say that it is meant so: --license, --allow-synthetic" in done.stderr
    assert hub.repositories == {}
    assert "create" not in hub.steps()
    done = partynli_here("publish", "--repo", "ada/demo", *LICENSED, "--allow-synthetic")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SYNTHETIC" in done.stdout


def test_secrets_and_addresses_in_the_answers_stay_here(hub, partynli_here, judged_run, tmp_path):
    leaked = f"mail ada.lovelace@somewhere-university.net with {CANARY}"
    table = tmp_path / "answers.csv"
    table.write_text(f'sent_id,participant,class_simple,explanation\n100n,m,true,"{leaked}"\n')
    items = tmp_path / "mine.csv"
    items.write_text("uid,premise,hypothesis\n100n,It rains.,It is wet.\n")
    assert partynli_here("import", str(table), "--items", str(items), "--run", "leaky").returncode == 0
    done = partynli_here("publish", "--repo", "ada/leaky", *LICENSED)
    assert done.returncode == 2
    assert "--allow-secrets" in done.stderr
    assert "--allow-emails" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert hub.repositories == {}
    assert "--allow-emails" not in partynli_here("publish", "--repo", "ada/leaky", *LICENSED, "--allow-emails").stderr
    allowed = partynli_here("publish", "--repo", "ada/leaky", *LICENSED, "--allow-emails", "--allow-secrets")
    assert (allowed.returncode, allowed.stderr) == (0, "")


@pytest.mark.parametrize(
    "fault", ["unauthorized", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("echo_token", "cut"))]
)
def test_the_token_is_in_no_file_and_no_word(hub, partynli, pilot, tmp_path, fault):
    hub.fail_always("commit", fault)
    runs = [partynli("publish", "--repo", "ada/study", *LICENSED, HF_DEBUG="1")]
    assert runs[0].returncode == 2
    assert runs[0].stderr.splitlines()[-1].startswith("partynli: ada/study: ")
    hub.fail_always("commit", None)
    runs.append(partynli("publish", "--repo", "ada/study", *LICENSED))
    assert runs[1].returncode == 0
    runs.append(partynli("import", "hf:ada/study", "--run", "back"))
    assert runs[2].returncode == 0
    repository = hub.repositories["ada/study"]
    assert len(repository.commits) == 2
    words = [ran.stdout + ran.stderr for ran in runs] + [repr(hub.requests), repr(repository)]
    assert not [text for text in words if CANARY in text]
    held = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert held == []
    contents = [*repository.blobs.values(), *repository.objects.values()]
    assert not [content for content in contents if CANARY.encode() in content]
