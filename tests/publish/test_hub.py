"""Exported folders to a hub and back, through the real client and over HTTP."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import HfApi

from partynli.errors import InputError, PartyNLIError
from partynli.publish.hub.publishing import Head, RepoTarget, StaleError, fetch, look, publish
from partynli.publish.tables.folder import read_manifest

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TARGET = RepoTarget("ada/study")
ALL = [
    "README.md",
    "croissant.json",
    "data/items/train-00000.parquet",
    "data/judgments/train-00000.parquet",
    "partynli.json",
]
MORE = {"judgments": b"PAR1 more judgments", "items": b"PAR1 items"}


def sent(folder, target=TARGET):
    return publish(folder, target, look(target))


def test_a_folder_is_one_commit(hub, exported):
    folder = exported()
    done = sent(folder)
    repository = hub.repositories["ada/study"]
    assert done.url == f"{hub.url}/datasets/ada/study"
    assert done.commit == repository.head.oid
    assert sorted(done.sent) == ALL
    assert done.n_bytes == sum((folder / name).stat().st_size for name in ALL)
    assert len(repository.commits) == 2  # the hub's own first one, and ours
    assert repository.head.author == "ada"
    assert repository.head.title.startswith("pilot, by partynli ")
    assert set(repository.head.files) == {".gitattributes", *ALL}
    for name in ALL:
        assert repository.read(name) == (folder / name).read_bytes()
    assert repository.head.files["data/items/train-00000.parquet"].sha256  # in LFS, as the hub wants it
    assert repository.head.files["README.md"].sha256 is None
    assert not repository.private


def test_only_the_files_of_the_export_are_sent(hub, exported):
    folder = exported()
    (folder / "notes.txt").write_text("mine")
    (folder / ".env").write_text("SECRET=1")
    sent(folder)
    assert set(hub.repositories["ada/study"].head.files) == {".gitattributes", *ALL}


def test_the_same_again_makes_no_commit(hub, exported):
    folder = exported()
    first = sent(folder)
    hub.requests.clear()
    again = sent(folder)
    assert (again.sent, again.deleted, again.n_unchanged, again.n_bytes) == ((), (), 5, 0)
    assert again.commit == first.commit
    assert not {"create", "preupload", "batch", "put_object", "commit"} & set(hub.steps())


def test_only_what_changed_is_sent(hub, exported):
    sent(exported())
    hub.requests.clear()
    done = sent(exported(MORE))
    assert sorted(done.sent) == ["data/judgments/train-00000.parquet", "partynli.json"]
    assert done.n_unchanged == 3
    assert hub.steps().count("put_object") == 1
    repository = hub.repositories["ada/study"]
    assert repository.read("data/judgments/train-00000.parquet") == MORE["judgments"]
    assert repository.read("data/items/train-00000.parquet") == b"PAR1 items"


def test_files_of_the_last_export_go_and_a_persons_own_stay(hub, exported):
    sent(exported())
    own = {"notes.md": b"mine", "data/items/mine.csv": b"a,b", "data/judgments/dev-00000.parquet": b"mine too"}
    hub.push("ada/study", own)
    folder = exported({"judgments": b"PAR1 judgments"})
    done = sent(folder)
    assert done.deleted == ("data/items/train-00000.parquet",)
    files = hub.repositories["ada/study"].head.files
    assert "data/items/train-00000.parquet" not in files
    assert own.keys() <= files.keys()
    assert sent(folder).deleted == ()


def test_a_manifest_that_names_a_persons_files_does_not_get_them_deleted(hub, exported):
    sent(exported())
    manifest = json.loads(hub.repositories["ada/study"].read("partynli.json"))
    manifest["files"] |= {"README.md": {}, "notes.md": {}, "data/items/../../notes.md": {}, "": {}}
    hub.push("ada/study", {"notes.md": b"mine", "partynli.json": json.dumps(manifest).encode()})
    assert sent(exported()).deleted == ()
    assert "notes.md" in hub.repositories["ada/study"].head.files


@pytest.mark.parametrize("damaged", [b"", b"[]", b"null", b'{"files": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_manifest_at_the_hub_is_replaced(hub, exported, damaged):
    sent(exported())
    hub.push("ada/study", {"partynli.json": damaged})
    assert sent(exported()).sent == ("partynli.json",)


def test_the_card_at_the_hub_is_told(hub, exported):
    assert look(TARGET) == Head(None)
    hub.push("ada/study", {"README.md": "By hand: é.".encode()})
    assert look(TARGET).card == "By hand: é."


def test_a_repository_of_somebody_elses_making_is_left_alone(hub, exported):
    hub.push("ada/study", {"train.csv": b"a,b", "README.md": b"x", "LICENSE": b"y"})
    before = hub.repositories["ada/study"].head
    with pytest.raises(InputError, match=r"holds files that partynli did not write \('train.csv'\)"):
        look(TARGET)
    with pytest.raises(InputError, match="holds files that partynli did not write"):
        publish(exported(), TARGET, Head(before.oid, names=frozenset({"train.csv"})))
    assert hub.repositories["ada/study"].head == before
    assert "create" not in hub.steps()


def test_a_repository_with_a_card_only_is_taken(hub, exported):
    hub.push("ada/study", {"README.md": b"By hand.", "LICENSE": b"MIT"})
    assert sorted(sent(exported()).sent) == ALL
    assert "LICENSE" in hub.repositories["ada/study"].head.files


def test_private(hub, exported):
    target = RepoTarget("ada/study", private=True)
    sent(exported(), target)
    assert hub.repositories["ada/study"].private
    assert sent(exported(MORE)).sent  # it stays so
    assert hub.repositories["ada/study"].private


def test_what_is_to_be_private_does_not_go_where_it_is_public(hub, exported):
    sent(exported())
    with pytest.raises(InputError, match="ada/study is there and public"):
        look(RepoTarget("ada/study", private=True))


def test_a_pull_request_leaves_the_branch_as_it_is(hub, exported):
    sent(exported())
    before = hub.repositories["ada/study"].head
    done = sent(exported(MORE), RepoTarget("ada/study", create_pr=True))
    repository = hub.repositories["ada/study"]
    assert done.url == f"{hub.url}/datasets/ada/study/discussions/1"
    assert repository.head == before
    assert repository.refs["refs/pr/1"] == done.commit
    assert repository.read("data/judgments/train-00000.parquet", "refs/pr/1") == MORE["judgments"]


def test_a_pull_request_to_somebody_elses_repository(hub, exported):
    hub.push("bob/study", {"train.csv": b"a,b"})
    done = sent(exported(), RepoTarget("bob/study", create_pr=True))
    assert hub.repositories["bob/study"].at("refs/pr/1").oid == done.commit
    assert hub.repositories["bob/study"].head.files.keys() == {".gitattributes", "train.csv"}


def test_a_branch(hub, exported):
    sent(exported())
    with pytest.raises(InputError, match=r"ada/study: there is no such branch or commit"):
        look(RepoTarget("ada/study", branch="second"))
    HfApi(endpoint=hub.url).create_branch("ada/study", branch="second", repo_type="dataset")
    done = sent(exported(MORE), RepoTarget("ada/study", branch="second"))
    repository = hub.repositories["ada/study"]
    assert repository.refs["second"] == done.commit != repository.refs["main"]
    assert done.url.endswith("/ada/study/tree/second")


@pytest.mark.parametrize("given", [{"create_pr": True}, {"branch": "second"}])
def test_no_repository_no_branch_and_no_pull_request(hub, given):
    with pytest.raises(InputError, match="there is no dataset ada/study yet"):
        look(RepoTarget("ada/study", **given))
    with pytest.raises(InputError, match="a pull request goes to the branch main"):
        RepoTarget("ada/study", branch="second", create_pr=True)


@pytest.mark.parametrize(
    "name",
    ["study", "", "a/b/c", "ada/", "/study", "ada/my study", "ada/..", "ada/a--b", "ada/x.git", "a" * 200 + "/b"],
)
def test_bad_names(name):
    with pytest.raises(InputError, match="names no dataset at the Hub"):
        RepoTarget(name)


def test_somebody_commits_in_between(hub, exported):
    sent(exported())
    head = look(TARGET)
    theirs = hub.push("ada/study", {"notes.md": b"theirs"})
    with pytest.raises(StaleError, match="ada/study: somebody committed in the meantime, and nothing was changed"):
        publish(exported(MORE), TARGET, head)
    assert hub.repositories["ada/study"].head == theirs
    assert sent(exported(MORE)).sent
    assert hub.repositories["ada/study"].read("notes.md") == b"theirs"


def test_files_that_the_repository_ignores_are_not_said_to_be_sent(hub, exported):
    hub.push("ada/study", {".gitignore": b"*items*.parquet\n"})
    lacking = "data/items/train-00000.parquet"
    with pytest.raises(PartyNLIError, match=rf"was made, and lacks {lacking}: see whether a \.gitignore"):
        sent(exported())


def test_somebody_makes_the_repository_in_between(hub, exported):
    head = look(TARGET)
    hub.push("ada/study", {"train.csv": b"theirs"})
    with pytest.raises(InputError, match="holds files that partynli did not write"):
        publish(exported(), TARGET, head)


def test_large_files_go_in_parts(hub, exported):
    large = bytes(range(256)) * 10
    sent(exported({"judgments": large}))
    assert hub.steps().count("put_object") == 3
    assert hub.repositories["ada/study"].read("data/judgments/train-00000.parquet") == large


def test_an_empty_file(hub, exported):
    sent(exported({"judgments": b""}))
    assert hub.repositories["ada/study"].read("data/judgments/train-00000.parquet") == b""
    assert sent(exported({"judgments": b""})).sent == ()


def test_there_and_back(hub, exported, tmp_path):
    folder = exported()
    done = sent(folder)
    hub.push("ada/study", {"notes.md": b"mine", "data/items/mine.csv": b"a"})
    back = fetch("ada/study", None, tmp_path / "back" / "here")
    found = sorted(path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file())
    assert found == [name for name in ALL if name not in ("README.md", "croissant.json")]
    for name in found:
        assert (back / name).read_bytes() == (folder / name).read_bytes()
    read_manifest(back).verify()
    sent(exported(MORE))
    old = fetch("ada/study", done.commit, tmp_path / "old")
    assert (old / "data/judgments/train-00000.parquet").read_bytes() == b"PAR1 judgments"
    new = fetch("ada/study", "main", tmp_path / "new")
    assert (new / "data/judgments/train-00000.parquet").read_bytes() == MORE["judgments"]


def test_a_fetch_is_of_one_commit_even_while_somebody_publishes(hub, exported, tmp_path):
    sent(exported())
    asked = hub.requests.copy()
    fetch("ada/study", None, tmp_path / "back")
    paths = [one.path for one in hub.requests[len(asked) :] if one.step == "resolve"]
    commit = hub.repositories["ada/study"].head.oid
    assert len(paths) == 3
    assert all(f"/resolve/{commit}/" in path for path in paths)


def test_everyone_reads_what_is_public_and_nobody_what_is_private(hub, exported, tmp_path, monkeypatch):
    sent(exported(), RepoTarget("ada/study", private=True))
    hub.push("ada/open", {name: (exported() / name).read_bytes() for name in ALL})
    fetch("ada/study", None, tmp_path / "mine")
    monkeypatch.setenv("HF_TOKEN", "hf_bobs")
    with pytest.raises(InputError, match=r"ada/study: there is no such dataset at .*, or this token may not see it"):
        fetch("ada/study", None, tmp_path / "bobs")
    fetch("ada/open", None, tmp_path / "public")


def test_what_is_no_export_is_not_fetched(hub, tmp_path):
    hub.push("ada/study", {"README.md": b"x"})
    with pytest.raises(InputError, match=r"ada/study is no export of partynli: it has no partynli\.json"):
        fetch("ada/study", None, tmp_path / "back")
    with pytest.raises(InputError, match="ada/none: there is no such dataset"):
        fetch("ada/none", None, tmp_path / "back")
    with pytest.raises(InputError, match="ada/study@v9: there is no such branch or commit"):
        fetch("ada/study", "v9", tmp_path / "back")
    with pytest.raises(InputError, match="names no dataset at the Hub"):
        fetch("../study", None, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "data/../../evil", "data\\evil", ".ssh/id", "data/items/.hidden", "C:evil", "README.md"],
)
def test_a_manifest_cannot_write_elsewhere(hub, tmp_path, name):
    manifest = {"files": {name: {"bytes": 3}}}
    hub.push("ada/study", {"partynli.json": json.dumps(manifest).encode()})
    with pytest.raises(InputError, match=r"ada/study is no export of partynli: its partynli\.json names"):
        fetch("ada/study", None, tmp_path / "back")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["partynli.json"]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"files": {"data/items/train-00000.csv": 3}}',
        b'{"files": {"data/items/train-00000.csv": {"bytes": 1e400}}}',
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_cannot_be_read(hub, tmp_path, manifest):
    hub.push("ada/study", {"partynli.json": manifest})
    with pytest.raises(InputError, match=r"its partynli\.json cannot be read"):
        fetch("ada/study", None, tmp_path / "back")


def test_a_file_that_is_larger_than_it_may_be_is_not_taken_whole(hub, tmp_path):
    name = "data/items/train-00000.csv"
    manifest = {"files": {name: {"bytes": 3}}}
    hub.push("ada/study", {"partynli.json": json.dumps(manifest).encode(), name: b"longer"})
    with pytest.raises(InputError, match=rf"{name} is larger than the 3 bytes that it may have"):
        fetch("ada/study", None, tmp_path / "back")


def test_a_file_that_is_named_and_not_there(hub, tmp_path):
    manifest = {"files": {"data/items/train-00000.csv": {"bytes": 3}}}
    hub.push("ada/study", {"partynli.json": json.dumps(manifest).encode()})
    with pytest.raises(InputError, match=r"data/items/train-00000\.csv: there is no such file"):
        fetch("ada/study", None, tmp_path / "back")
