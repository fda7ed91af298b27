"""The loopback hub as the client of the Hugging Face Hub meets it, without partynli between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from partynli.errors import InputError
from partynli.testing.hub import HUB_FAULTS, HubServer

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE = bytes(range(256)) * 10


@pytest.fixture
def hub():
    with HubServer({"hf_adas": "ada", "hf_bobs": "bob"}, part_bytes=1000) as server:
        yield server


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.url, token="hf_adas")


@pytest.fixture
def bobs(hub):
    return HfApi(endpoint=hub.url, token="hf_bobs")


@pytest.fixture
def large(tmp_path):
    """Open files go by LFS also where the client has Xet."""
    path = tmp_path / "large.parquet"
    path.write_bytes(LARGE)
    with path.open("rb") as file:
        yield file


def commit(api, *operations, **more):
    return api.create_commit("ada/study", operations, commit_message="more", repo_type="dataset", **more)


def test_who_am_i(api, hub):
    assert api.whoami()["name"] == "ada"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        HfApi(endpoint=hub.url, token="hf_wrong").whoami()


def test_repositories_are_made_once(api, hub):
    url = api.create_repo("ada/study", repo_type="dataset", private=True)
    assert (url.repo_id, url.repo_type) == ("ada/study", "dataset")
    assert hub.repositories["ada/study"].private
    assert api.create_repo("ada/study", repo_type="dataset", exist_ok=True) == url
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("ada/study", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("bob/study", repo_type="dataset")
    assert api.create_repo("ada/study").repo_type == "model"  # of the same name as the dataset
    with pytest.raises(HfHubHTTPError, match="datasets and models only"):
        api.create_repo("ada/space", repo_type="space", space_sdk="static")


def test_what_is_private_is_its_owners(api, bobs, hub):
    hub.push("ada/study", {"a.txt": b"a"}, private=True)
    assert api.dataset_info("ada/study").private
    for other in (bobs, HfApi(endpoint=hub.url, token=False)):
        with pytest.raises(RepositoryNotFoundError):
            other.dataset_info("ada/study")


def test_commits_of_all_kinds(api, hub, large, tmp_path):
    api.create_repo("ada/study", repo_type="dataset")
    first = commit(api, CommitOperationAdd("a/b.txt", b"small"), CommitOperationAdd("large.parquet", large))
    repository = hub.repositories["ada/study"]
    assert repository.head.oid == first.oid
    assert hub.steps().count("put_object") == 3
    assert {"complete", "verify"} <= set(hub.steps())
    assert repository.read("large.parquet") == LARGE
    found = {one.path: one for one in api.list_repo_tree("ada/study", recursive=True, repo_type="dataset")}
    assert found.keys() == {".gitattributes", "a", "a/b.txt", "large.parquet"}
    assert found["large.parquet"].lfs.size == found["large.parquet"].size == len(LARGE)
    assert found["a/b.txt"].lfs is None
    top = {one.path for one in api.list_repo_tree("ada/study", repo_type="dataset")}
    assert top == {".gitattributes", "a", "large.parquet"}
    assert [one.path for one in api.list_repo_tree("ada/study", "a", repo_type="dataset")] == ["a/b.txt"]
    asked = api.get_paths_info("ada/study", ["a", "a/b.txt", "none"], repo_type="dataset")
    assert {one.path for one in asked} == {"a", "a/b.txt"}
    second = commit(api, CommitOperationDelete("a/", is_folder=True), parent_commit=first.oid)
    assert repository.head.files.keys() == {".gitattributes", "large.parquet"}
    assert repository.head.parent == first.oid
    assert api.dataset_info("ada/study", revision=first.oid).sha == first.oid
    down = api.snapshot_download("ada/study", repo_type="dataset", local_dir=tmp_path / "new", max_workers=1)
    assert (tmp_path / "new" / "large.parquet").read_bytes() == LARGE
    assert down.endswith("new")
    old = api.hf_hub_download("ada/study", "a/b.txt", repo_type="dataset", revision=first.oid, local_dir=tmp_path)
    assert Path(old).read_bytes() == b"small"
    assert second.oid != first.oid


def test_what_cannot_be_committed_changes_nothing(api, bobs, hub):
    hub.push("ada/study", {"a.txt": b"a"})
    before = hub.repositories["ada/study"].head
    parent = before.parent
    with pytest.raises(HfHubHTTPError, match="412"):
        commit(api, CommitOperationAdd("b.txt", b"b"), parent_commit=parent)
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        commit(api, CommitOperationAdd("b.txt", b"b"), CommitOperationDelete("c.txt"))
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(bobs, CommitOperationAdd("b.txt", b"b"))
    with pytest.raises(RevisionNotFoundError):
        commit(api, CommitOperationAdd("b.txt", b"b"), revision="none")
    assert hub.repositories["ada/study"].head == before
    assert hub.repositories["ada/study"].commits.keys() == {before.oid, parent}


def test_an_upload_that_is_something_else_is_not_taken(hub):
    hub.push("ada/study", {"a.txt": b"a"})
    body = json.dumps({"objects": [{"oid": "0" * 64, "size": 3}]}).encode()
    batch = urllib.request.Request(
        f"{hub.url}/datasets/ada/study.git/info/lfs/objects/batch", body, {"Authorization": "Bearer hf_adas"}
    )
    with urllib.request.urlopen(batch) as answer:
        href = json.load(answer)["objects"][0]["actions"]["upload"]["href"]
    for headers, address, status in (
        ({}, href, 400),  # another content
        ({"Authorization": "Bearer hf_adas"}, href, 400),
        ({}, href.replace("signature=", "signature=0"), 403),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(address, b"abc", headers, method="PUT"))
        assert refused.value.code == status
        refused.value.close()
    assert hub.repositories["ada/study"].objects == {}


def test_branches_and_pull_requests(api, bobs, hub):
    hub.push("ada/study", {"a.txt": b"a"})
    api.create_branch("ada/study", branch="second", repo_type="dataset")
    commit(api, CommitOperationAdd("b.txt", b"b"), revision="second")
    proposed = commit(bobs, CommitOperationAdd("c.txt", b"c"), create_pr=True)
    assert (proposed.pr_num, proposed.pr_revision) == (1, "refs/pr/1")
    refs = api.list_repo_refs("ada/study", repo_type="dataset", include_pull_requests=True)
    assert [one.name for one in refs.branches] == ["main", "second"]
    assert [one.ref for one in refs.pull_requests] == ["refs/pr/1"]
    repository = hub.repositories["ada/study"]
    assert repository.head.files.keys() == {".gitattributes", "a.txt"}
    assert repository.read("b.txt", "second") == b"b"
    assert api.dataset_info("ada/study", revision="refs/pr/1").sha == proposed.oid


def test_faults_come_as_scripted_and_the_log_has_no_token(api, hub):
    hub.push("ada/study", {"a.txt": b"a"})
    hub.fail("info", "forbidden", None, "stale")
    hub.fail_always("info", "not_found")
    for status in ("403", None, "412", "404", "404"):
        if status is None:
            api.dataset_info("ada/study")
            continue
        with pytest.raises(HfHubHTTPError, match=status):
            api.dataset_info("ada/study")
    hub.fail_always("info", None)
    api.dataset_info("ada/study")
    assert [one.status for one in hub.requests] == [403, 200, 412, 404, 404, 200]
    assert all(one.authorized for one in hub.requests)
    assert "hf_adas" not in repr(hub.requests)
    with pytest.raises(ValueError, match="unknown at the loopback hub: infos, broken"):
        hub.fail("infos", "broken")
    assert set(HUB_FAULTS) > {"cut", "lost", "half"}


def test_nonsense_is_refused(hub):
    hub.push("ada/study", {"a.txt": b"a"})
    for path, body, status in (
        ("/api/datasets/ada/study/commit/main", b"nonsense", 400),
        ("/api/datasets/ada/study/commit/main", b'{"key": "file", "value": {"path": "../a", "content": ""}}', 400),
        ("/api/datasets/ada/study/preupload/main", b"[]", 400),
        ("/api/nothing", b"{}", 404),
    ):
        asked = urllib.request.Request(hub.url + path, body, {"Authorization": "Bearer hf_adas"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked)
        assert refused.value.code == status
        refused.value.close()
    assert hub.requests[-1].step == "unknown"


def test_a_port_that_is_taken(hub):
    with pytest.raises(InputError, match="the loopback hub cannot listen on"):
        HubServer(port=int(hub.url.rpartition(":")[2])).open()


def test_it_closes_with_requests_in_flight(hub):
    hub.fail("whoami", "hang")
    asked = subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as u; u.urlopen('{hub.url}/api/whoami-v2')"]
    )
    try:
        while not hub.requests:
            assert asked.poll() is None
        hub.close()
    finally:
        asked.kill()
        asked.wait()


def test_it_runs_by_hand():
    command = [sys.executable, "-m", "partynli.testing.hub", "--user", "eve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        _, address, token = running.stdout.readline().split()
        endpoint, token = address.partition("=")[2], token.partition("=")[2]
        assert HfApi(endpoint=endpoint, token=token).whoami()["name"] == "eve"
        os.kill(running.pid, signal.SIGINT)
        try:
            assert running.wait(20) == 0
        finally:
            running.kill()
