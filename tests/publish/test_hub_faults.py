"""What goes wrong at a hub, and what a person is told of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import traceback
from email.utils import formatdate
from pathlib import Path

import pytest
from huggingface_hub import constants, get_session
from huggingface_hub import logging as said
from huggingface_hub.utils import are_progress_bars_disabled

from partynli.errors import InputError, PartyNLIError
from partynli.publish.hub.publishing import Patience, RepoTarget, StaleError, fetch, look, publish
from partynli.testing.hub import HUB_FAULTS, HubServer

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TARGET = RepoTarget("ada/study")
QUICK = Patience(first_wait_s=0.01, timeout_s=1.0)
MORE = {"judgments": b"PAR1 more judgments", "items": b"PAR1 more items"}
OTHER_CARD = "---\nlicense: apache-2.0\n---\nA study.\n"
WITH_TOKEN = ["preupload", "batch", "verify", "commit"]
ALL_STEPS = ["info", "create", "paths_info", "validate_yaml", "put_object", *WITH_TOKEN]


def each(steps, faults):
    """Every fault of every step; quick are those of an upload and of the commit, and one fault of each other step."""
    return [
        pytest.param(
            step, fault, marks=[] if step in ("put_object", "commit") or fault == "server_error" else pytest.mark.slow
        )
        for step in steps
        for fault in faults
    ]


def sent(folder, target=TARGET, patience=QUICK):
    return publish(folder, target, look(target, patience=patience), patience=patience)


@pytest.mark.parametrize(
    ("step", "fault"), each(ALL_STEPS, ["rate_limited", "server_error", "unavailable", "cut", "lost"])
)
def test_what_passes_is_waited_for(hub, exported, step, fault):
    hub.fail(step, fault)
    folder = exported()
    done = sent(folder)
    repository = hub.repositories["ada/study"]
    assert len(repository.commits) == 2
    assert done.commit == repository.head.oid
    assert len(done.sent) == 5
    for name in done.sent:
        assert repository.read(name) == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("step", "fault"),
    each([step for step in ALL_STEPS if step != "verify"], ["rate_limited", "server_error", "unavailable", "cut"]),
)
def test_what_does_not_pass_changes_nothing_and_a_second_try_completes(hub, exported, step, fault):
    if step != "create":
        sent(exported())
    before = dict(hub.repositories["ada/study"].refs) if hub.repositories else None
    hub.fail_always(step, fault)
    with pytest.raises(PartyNLIError, match=r"^ada/study: .* tried 4 times; try again later"):
        sent(exported(MORE, card=OTHER_CARD))
    assert before == (dict(hub.repositories["ada/study"].refs) if hub.repositories else None)
    hub.fail_always(step, None)
    folder = exported(MORE, card=OTHER_CARD)
    sent(folder)
    repository = hub.repositories["ada/study"]
    assert repository.read("data/items/train-00000.parquet") == MORE["items"]
    assert sent(folder).sent == ()


def test_what_was_uploaded_is_not_uploaded_again(hub, exported):
    hub.fail_always("commit", "server_error")
    with pytest.raises(PartyNLIError, match="HTTP 500"):
        sent(exported())
    assert hub.steps().count("put_object") == 2
    hub.fail_always("commit", None)
    sent(exported())
    assert hub.steps().count("put_object") == 2


def test_a_cut_upload_goes_on_with_the_whole_file(hub, exported):
    large = bytes(range(256)) * 40  # in eleven parts
    hub.fail("put_object", None, None, "cut", "cut", None, "server_error")
    sent(exported({"judgments": large}))
    assert hub.repositories["ada/study"].read("data/judgments/train-00000.parquet") == large


def test_a_commit_whose_answer_was_lost_is_found_again(hub, exported):
    sent(exported())
    hub.fail("commit", "lost")
    done = sent(exported({"judgments": b"PAR1 other"}))  # one is deleted, which cannot be done twice
    repository = hub.repositories["ada/study"]
    assert done.deleted == ("data/items/train-00000.parquet",)
    assert done.commit == repository.head.oid
    assert len(repository.commits) == 3


def test_a_pull_request_whose_answer_was_lost_is_not_opened_twice(hub, exported):
    sent(exported())
    hub.fail("commit", "lost")
    with pytest.raises(PartyNLIError, match="may have been done all the same: look there"):
        sent(exported(MORE), RepoTarget("ada/study", create_pr=True))
    assert hub.repositories["ada/study"].pull_requests == ["refs/pr/1"]
    hub.fail("commit", "rate_limited")
    sent(exported({"judgments": b"PAR1 third"}), RepoTarget("ada/study", create_pr=True))
    assert hub.repositories["ada/study"].pull_requests == ["refs/pr/1", "refs/pr/2"]


@pytest.mark.parametrize("step", ["info", *WITH_TOKEN])
def test_a_token_that_is_not_taken(hub, exported, step):
    hub.fail_always(step, "unauthorized")
    with pytest.raises(InputError, match=r"^ada/study: the Hub does not take the token \(HTTP 401\); set HF_TOKEN"):
        sent(exported())
    assert len(hub.requests) < 16  # it is not tried again


@pytest.mark.parametrize("step", ["create", *WITH_TOKEN])
def test_a_token_without_the_right(hub, exported, step):
    hub.fail_always(step, "forbidden")
    with pytest.raises(InputError, match=r"^ada/study: the token has no right to do this \(HTTP 403: You don't have"):
        sent(exported())


def test_somebody_elses_namespace(hub, exported):
    with pytest.raises(InputError, match=r"^bob/study: the token has no right .*under the namespace 'bob'"):
        sent(exported(), RepoTarget("bob/study"))
    hub.push("bob/study", {"README.md": b"x"})
    with pytest.raises(InputError, match=r"^bob/study: the token has no right .*write access to bob/study"):
        sent(exported(), RepoTarget("bob/study"))


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "not_found"])
def test_a_storage_that_refuses_says_nothing_of_the_token(hub, exported, fault):
    hub.fail_always("put_object", fault)
    with pytest.raises(PartyNLIError) as caught:
        sent(exported())
    assert "token" not in str(caught.value)
    assert "put_object" in hub.steps()


def test_a_wrong_token(hub, exported, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(InputError, match=r"the Hub does not take the token \(HTTP 401\)"):
        look(TARGET)


@pytest.mark.parametrize("step", WITH_TOKEN)
def test_a_repository_that_goes_away(hub, exported, step):
    head = look(TARGET)
    hub.fail_always(step, "not_found")
    with pytest.raises(InputError, match="ada/study: there is no such dataset at http"):
        publish(exported(), TARGET, head, patience=QUICK)


def test_a_stale_parent(hub, exported):
    sent(exported())
    hub.fail("commit", "stale")
    with pytest.raises(StaleError, match=r"somebody committed in the meantime, .* run the same command again"):
        sent(exported(MORE))
    hub.fail("commit", "conflict")  # another commit was in progress, and is over
    assert sent(exported(MORE)).sent


def test_a_commit_in_progress_that_never_ends(hub, exported):
    hub.fail_always("commit", "conflict")
    with pytest.raises(PartyNLIError, match=r"somebody else is committing \(HTTP 409\), tried 4 times"):
        sent(exported())


@pytest.mark.parametrize("asked", ["1", "date"])
def test_retry_after_is_kept(exported, monkeypatch, asked):
    with HubServer({"hf_mine": "ada"}, retry_after=asked) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        if asked == "date":
            server._retry_after = formatdate(time.time() + 1, usegmt=True)
        server.fail("preupload", "rate_limited")
        start = time.monotonic()
        sent(exported())
        assert 0.9 < time.monotonic() - start < 6


def test_a_retry_after_that_is_too_long_is_said_and_not_waited_for(exported, monkeypatch):
    with HubServer({"hf_mine": "ada"}, retry_after="3600") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        server.fail_always("info", "rate_limited")
        with pytest.raises(PartyNLIError, match=r"too many requests \(HTTP 429\); it asks to come back in 3,600 s"):
            look(TARGET)
        assert len(server.requests) == 1


def test_a_slow_hub_and_one_that_is_silent(hub, exported):
    hub.fail("commit", "slow")
    assert sent(exported()).sent
    hub.fail("info", "hang")
    assert look(TARGET, patience=QUICK).commit
    hub.fail_always("info", "hang")
    with pytest.raises(PartyNLIError, match=r"127\.0\.0\.1 does not answer, tried 2 times"):
        look(TARGET, patience=Patience(tries=2, first_wait_s=0.01, timeout_s=0.2))


def test_no_hub_at_all(hub, exported, monkeypatch):
    hub.close()
    with pytest.raises(PartyNLIError, match=r"ada/study: 127\.0\.0\.1 cannot be reached, tried 4 times"):
        look(TARGET, patience=QUICK)
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    with pytest.raises(PartyNLIError, match=r"^ada/study: "):
        look(TARGET, patience=QUICK)


def test_a_card_that_the_hub_does_not_take(hub, exported):
    with pytest.raises(PartyNLIError, match=r"Invalid metadata in README.md"):
        sent(exported(card="---\na: [b\n---\n"))
    assert "put_object" not in hub.steps()


@pytest.mark.parametrize("fault", ["half", "cut", "server_error", "rate_limited"])
@pytest.mark.parametrize("step", ["info", "resolve", "get_object"])
def test_a_download_that_breaks_starts_again(hub, exported, tmp_path, step, fault):
    large = bytes(range(256)) * 40
    folder = exported({"judgments": large})
    sent(folder)
    hub.fail(step, fault)
    back = fetch("ada/study", None, tmp_path / "back", patience=QUICK)
    assert (back / "data/judgments/train-00000.parquet").read_bytes() == large
    hub.fail_always(step, fault)
    with pytest.raises(PartyNLIError, match="tried 4 times"):
        fetch("ada/study", None, tmp_path / "again", patience=QUICK)


@pytest.mark.parametrize("fault", HUB_FAULTS)
@pytest.mark.parametrize("step", ["info", "commit", "put_object", "resolve"])
def test_the_token_is_nowhere(hub, exported, canary, tmp_path, caplog, capfd, step, fault):
    """Whatever goes wrong, and with all the logs there are, but for one of every byte that a server says."""
    caplog.set_level(logging.INFO, "httpcore")
    folder = exported()
    patience = Patience(tries=2, first_wait_s=0.01, timeout_s=0.2)
    texts, causes = [], []
    with caplog.at_level(logging.DEBUG):
        hub.fail_always(step, fault)
        for work in (
            lambda: sent(folder, patience=patience),
            lambda: fetch("ada/study", None, tmp_path / "back", patience=patience),
        ):
            try:
                texts.append(repr(work()))
            except PartyNLIError as error:
                texts.append("".join(traceback.format_exception(error)))
                texts += [str(error), repr(error), *every_local(error)]
                causes += [error.__context__, error.__cause__]
    assert not any(causes)
    captured = capfd.readouterr()
    texts += [caplog.text, captured.out, captured.err, repr(hub.requests), repr(hub.repositories)]
    texts += [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert any(request.authorized for request in hub.requests)
    assert not [text for text in texts if canary in text]


def every_local(error):
    """What a person would see who has the variables of partynli's own frames printed."""
    return [
        repr(value)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if "/partynli/" in frame.f_code.co_filename
        for value in frame.f_locals.values()
    ]


def test_the_client_is_as_it_was_afterwards(hub):

    before = (constants.HF_HUB_DISABLE_TELEMETRY, are_progress_bars_disabled(), said.get_verbosity())
    hub.fail_always("info", "forbidden")
    with pytest.raises(InputError):
        look(TARGET)
    assert before == (constants.HF_HUB_DISABLE_TELEMETRY, are_progress_bars_disabled(), said.get_verbosity())
    assert get_session().get(f"{hub.url}/api/datasets/ada/study").status_code == 403


def test_without_a_token_nothing_is_asked(hub, tmp_path):
    """In a process of its own: where the login is kept is read when huggingface_hub is imported."""
    code = "from partynli.publish.hub.publishing import RepoTarget, look\nlook(RepoTarget('ada/study'))"
    kept = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"HF_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert "publishing needs a token of the Hugging Face Hub: set HF_TOKEN, or run `hf auth login`" in ran.stderr
    assert hub.requests == []
    stored = tmp_path / "token"
    stored.write_text(os.environ["HF_TOKEN"])
    ran = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"HF_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [request.step for request in hub.requests] == ["info"]
    assert Path(stored).exists()


def test_no_telemetry_and_no_other_calls(hub, exported, tmp_path):
    sent(exported())
    fetch("ada/study", None, tmp_path / "back")
    assert "unknown" not in hub.steps()
