"""Files of the user's: what is read, and what is said about those that cannot be."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.errors import ItemsError
from partynli.items import check_items, load_dataset
from partynli.items.table import MAX_CHARS, load_table
from partynli.records import Item

FIELDS = ("premise", "hypothesis")
Write = Callable[[str, bytes | str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(path: Path) -> list[tuple[str, str, str]]:
    return [(item.uid, item.texts["premise"], item.texts["hypothesis"]) for item in load_table(path, FIELDS).items]


def line(uid: object = "a", premise: object = "P.", hypothesis: object = "H.", **more: object) -> str:
    return json.dumps({"uid": uid, "premise": premise, "hypothesis": hypothesis, **more}) + "\n"


def test_jsonl(write: Write) -> None:
    content = "\ufeff" + line("a", label="x", nested={"uid": [1]}) + "\n  \n" + line(7) + line("b").rstrip()
    assert read(write("i.jsonl", content)) == [("a", "P.", "H."), ("7", "P.", "H."), ("b", "P.", "H.")]


def test_numbers_as_uid_keep_their_spelling(write: Write) -> None:
    numbers = ["1.50", "1e3", "-7", "9" * 400]
    content = "".join(f'{{"uid": {one}, "premise": "P.", "hypothesis": "H."}}\n' for one in numbers)
    assert [uid for uid, _, _ in read(write("i.jsonl", content))] == numbers


def test_csv(write: Write) -> None:
    content = (
        "\ufeffhypothesis,extra,uid,premise\r\n"
        "\r\n"
        'H.,,a,"She said ""no"", twice."\r\n'
        '"two\nlines",x,b,"a, b"\r\n'
        "H.,y,c,it's 5\" long\r\n"
    )
    assert read(write("I.CSV", content)) == [
        ("a", 'She said "no", twice.', "H."),
        ("b", "a, b", "two\nlines"),
        ("c", "it's 5\" long", "H."),
    ]


def test_lines_are_counted_over_line_breaks_in_cells(write: Write) -> None:
    path = write("i.csv", 'uid,premise,hypothesis\na,"P\nP\nP",H\n\nb,P,\n')
    with pytest.raises(ItemsError, match=re.escape(f"{path}:6: hypothesis is empty")):
        check_items(load_table(path).items)


def test_texts_are_kept_to_the_letter(write: Write) -> None:
    odd = "  {} %s \u2028 é \t"
    assert read(write("i.jsonl", line("a", odd, odd)))[0] == ("a", odd, odd)


def test_an_ignored_column_may_be_long(write: Write) -> None:
    limit = csv.field_size_limit()
    long = "x" * 200_000
    path = write("i.csv", f"uid,premise,hypothesis,more\na,P,H,{long}\nb,P,H,{long}\n")
    passes = iter(load_table(path).items)
    next(passes)
    assert csv.field_size_limit() == limit
    assert next(passes).uid == "b"


def test_other_fields(write: Write) -> None:
    path = write("i.csv", "text,uid\nA text.,1\n")
    assert list(load_table(path, ["text"]).items) == [Item("1", {"text": "A text."})]
    with pytest.raises(ItemsError, match="no 'premise' and no 'hypothesis'; found 'text', 'uid'; add them"):
        check_items(load_table(path).items)


HEADER = "uid,premise,hypothesis\n"
ENDLESS = ("x" * 1023 + "\n") * ((1 << 14) + 1)
BAD = [
    # name, content, what the message says after "path:"
    ("i.jsonl", line() + line("b") + line("a"), " lines 1 and 3 have the same uid 'a'; give every item a uid"),
    ("i.jsonl", line("7") + line(7), " lines 1 and 2 have the same uid '7'"),
    ("i.csv", HEADER + 'a,"P\nP",H\nb,P,H\na,P,H\n', " lines 2 and 5 have the same uid 'a'"),
    ("i.jsonl", line(""), "1: the uid is empty; give every item"),
    ("i.jsonl", line(None), "1: the uid is empty"),
    ("i.jsonl", line(True), "1: the uid is true or false; make it a text or a number"),
    ("i.jsonl", line(float("nan")), "1: the uid is not a number"),
    ("i.jsonl", line(["a"]), "1: the uid is a list"),
    ("i.jsonl", line("u" * 2000), "1: the uid has 2,000 characters, 1,000 at most"),
    ("i.csv", HEADER + "a,P,H\n ,P,H\n", "3: the uid is empty"),
    ("i.jsonl", '{"premise": "P", "hypothesis": "H"}', "1: no 'uid'; found 'premise', 'hypothesis'; add it to every"),
    (
        "i.jsonl",
        '{"uid": 1, "premise": "P", "hypotesis": "H"}',
        "1: no 'hypothesis'.*rename 'hypotesis' to 'hypothesis'",
    ),
    ("i.csv", "UID,premise,hypothesis\n", "1: no 'uid'; found 'UID', 'premise', 'hypothesis'; rename 'UID' to 'uid'"),
    ("i.csv", "uid;premise;hypothesis\n", "1: no 'uid' and .*; separate the columns by commas"),
    ("i.csv", "uid,premise,hypothesis,uid\na,P,H,b\n", "1: two columns are named 'uid'"),
    ("i.jsonl", "{}", "1: no 'uid' and no 'premise' and no 'hypothesis'; found nothing"),
    ("i.jsonl", line(premise="  \n"), "1: premise is empty; fill it in or take the item out"),
    ("i.jsonl", line(hypothesis=None), "1: hypothesis is empty"),
    ("i.jsonl", line(premise=5), "1: premise is a number and no text; put it in quotes"),
    ("i.jsonl", line(premise=5.5), "1: premise is a number and no text"),
    ("i.jsonl", line(premise={"a": "b"}), "1: premise is an object and no text"),
    ("i.jsonl", line(premise="x" * 10_000_000), "1: premise has 10,000,000 characters, 100,000 at most"),
    ("i.csv", HEADER + f"a,{'x' * 10_000_000},H\n", "2: premise has 10,000,000 characters"),
    ("i.jsonl", line() + line(premise="x" * (1 << 24)), "2: the line is longer than 16,777,216 bytes"),
    ("i.jsonl", line() + line(premise="a\0b"), "2: premise holds the character NUL"),
    ("i.jsonl", line().encode() + b'{"uid": "b\0"}', r"2: a NUL byte at offset \d+; the file is damaged"),
    ("i.csv", HEADER.encode() + b"a,P\0,H\n", "2: a NUL byte at offset 26"),
    ("i.jsonl", line(premise="half \ud83d"), r"1: premise holds half a surrogate pair, \\ud83d"),
    ("i.jsonl", line("\udc00"), "1: uid holds half a surrogate pair"),
    ("i.csv", HEADER.encode() + b"a,P\xff,H\n", "2: invalid UTF-8, byte 0xff at offset 26; save the file as UTF-8"),
    ("i.csv", b"\xef\xbb\xbf\xe9", "1: invalid UTF-8, byte 0xe9 at offset 3"),
    ("i.csv", HEADER.encode("utf-16"), "1: the file is UTF-16; save it as UTF-8"),
    ("i.jsonl", line() + '{"uid": "b", \n', "2: invalid JSON at character 15: .*; every line must be one whole"),
    (
        "i.jsonl",
        line() + '{"uid": "b" "premise"}',
        "2: invalid JSON at character 13: expecting ',' delimiter",
    ),
    ("i.json", "[\n", "1: invalid JSON"),
    ("i.json", "[{}]", "1: found a list where a JSON object is expected; write one object a line"),
    ("i.jsonl", '"text"', "1: found '\"text\"' where a JSON object"),
    ("i.jsonl", "[" * 200_000, "1: the JSON is nested too deeply"),
    ("i.jsonl", '{"uid": "a", "uid": "b"}', "1: 'uid' is given twice in one object"),
    ("i.csv", HEADER + "a,P\n", "2: 2 cells under a header of 3; put a cell that holds a comma"),
    ("i.csv", HEADER + "a,P, with a comma,H\n", "2: 4 cells under a header of 3"),
    ("i.csv", HEADER + 'a,P,H\nb,"P,H\nc,P,H\n', "3: a quote that opens in this row is never closed"),
    ("i.csv", HEADER + 'b,"P" P,H\n', "2: invalid CSV: .*; write a quote inside a quoted cell twice"),
    ("i.csv", HEADER.replace("\n", "\r") + "a,P,H\r", "1: lines end in a carriage return alone"),
    ("i.csv", HEADER + 'a,"' + ENDLESS + '",H\n', "2: a cell is longer than 16,777,216 characters"),
    ("i.jsonl", "", " holds no items"),
    ("i.jsonl", "\ufeff\n\n", " holds no items"),
    ("i.csv", "", " holds no items"),
    ("i.csv", HEADER, " holds no items"),
]


@pytest.mark.parametrize(("name", "content", "says"), BAD, ids=[f"{n}-{bad[2][:30]}" for n, bad in enumerate(BAD)])
def test_what_is_wrong_is_said_in_one_line(write: Write, name: str, content: bytes | str, says: str) -> None:
    path = write(name, content)
    with pytest.raises(ItemsError) as caught:
        check_items(load_table(path).items)
    message = str(caught.value)
    assert re.match(re.escape(str(path)) + ":?" + says, message)
    assert len(message.splitlines()) == 1
    assert len(message) < 400 + len(str(path))
    assert caught.value.exit_code == 2


def test_the_longest_text_is_taken(write: Write) -> None:
    path = write("i.jsonl", line(premise="é" * MAX_CHARS))
    summary = check_items(load_table(path).items)
    assert (summary.n_chars_max, summary.n_bytes) == (MAX_CHARS + 2, 2 * MAX_CHARS + 2)


def test_places_that_hold_no_items(write: Write, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "broken.jsonl").symlink_to("/proc/self/mem")
    says = {
        "absent.jsonl": "is not there",
        "folder.csv": "is a folder",
        "pipe.jsonl": "is no regular file",
        "items.xlsx": "must end in .jsonl, .ndjson, .json, .csv",
        "no\0name.csv": "cannot be read: ",
        "broken.jsonl": "cannot be read to its end: ",
        "x" * 300 + ".csv": "cannot be read: File name too long",
    }
    for name, what in says.items():
        with pytest.raises(ItemsError, match=re.escape(what)):
            check_items(load_dataset(f"{tmp_path}/{name}").items)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(write: Write) -> None:
    path = write("i.jsonl", line())
    path.chmod(0)
    with pytest.raises(ItemsError, match="cannot be read: Permission denied"):
        load_table(path)


def test_every_pass_reads_the_file_anew(write: Write) -> None:
    path = write("i.jsonl", line("a") + line("b"))
    items = load_table(path).items
    first = iter(items)
    assert next(first).uid == "a"
    assert [item.uid for item in items] == ["a", "b"]
    assert next(first).uid == "b"
    path.unlink()
    with pytest.raises(ItemsError, match="is not there"):
        list(items)


def test_memory_does_not_grow_with_the_file(write: Write) -> None:
    path = write("i.jsonl", "".join(line(f"item-{n}", "P" * 300) for n in range(20_000)))
    assert path.stat().st_size > 6_000_000
    items = load_table(path).items
    tracemalloc.start()
    try:
        assert check_items(items).n == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
rows = st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=6, unique_by=lambda row: row[0])


def round_trip(suffix: str, content: str) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"items{suffix}"
        path.write_bytes(content.encode())
        assert check_items(load_table(path).items).n == len(read(path))
        return read(path)


@settings(deadline=None)
@given(rows, st.booleans())
def test_jsonl_round_trip(written: list[tuple[str, str, str]], ascii_only: bool) -> None:
    content = "".join(
        json.dumps(dict(zip(("uid", *FIELDS), row, strict=True)), ensure_ascii=ascii_only) + "\n" for row in written
    )
    assert round_trip(".jsonl", content) == written


@settings(deadline=None)
@given(rows, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.sampled_from(["\r\n", "\n"]))
def test_csv_round_trip(written: list[tuple[str, str, str]], quoting: int, end: str) -> None:
    # the writer leaves a lone carriage return unquoted where lines end in a line feed; a reader cannot know
    quoting = csv.QUOTE_ALL if end == "\n" else quoting
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=quoting, lineterminator=end)
    writer.writerows([("uid", *FIELDS), *written])
    assert round_trip(".csv", buffer.getvalue()) == written


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl"]), st.sampled_from([b"", HEADER.encode()]))
def test_any_bytes_give_items_or_one_clear_line(content: bytes, suffix: str, before: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"items{suffix}"
        path.write_bytes(before + content)
        said = []
        try:
            check_items(load_table(path).items)
        except ItemsError as error:
            said = str(error).splitlines()
        assert len(said) <= 1


HUMAN = ",human_true,human_either,human_false"


def counts(path: Path, labels: tuple[str, ...] | None = None) -> dict[str, dict[str, tuple[int, ...]]]:
    return {source: dict(found) for source, found in load_table(path, FIELDS, labels).distributions.items()}


def test_people_s_counts(write: Write) -> None:
    table = write("i.csv", HEADER[:-1] + HUMAN + "\na,P,H,3,0,1\nb,P,H,,,\nc,P,H,2.0, 5 ,0\nd,P,H,0,0,0\n")
    assert counts(table) == {"human": {"a": (3, 0, 1), "c": (2, 5, 0)}}
    assert check_items(load_table(table).items).n == 4
    nulls = dict.fromkeys(HUMAN[1:].split(","))
    rows = write("i.jsonl", line("a") + line("b", **nulls) + line(7, human_false=1, human_true=0, human_either="2"))
    assert counts(rows) == {"human": {"7": (0, 2, 1)}}
    assert counts(write("none.csv", HEADER + "a,P,H\n")) == {}
    assert counts(rows, ("yes", "no")) == {}
    own = write("own.jsonl", line("a", human_yes=1, human_no=2, human_true="not asked for"))
    assert counts(own, ("no", "yes")) == {"human": {"a": (2, 1)}}
    assert load_dataset(str(own), FIELDS, ("no", "yes")).distributions == counts(own, ("no", "yes"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("i.csv", f"{HEADER[:-1]},human_true,human_false\na,P,H,1,2\n", "1: human_true but no human_either; give all"),
        ("i.csv", f"{HEADER[:-1]}{HUMAN}\na,P,H,1,2,3\nb,P,H,1,,3\n", "3: human_true but no human_either; give all"),
        ("i.csv", f"{HEADER[:-1]}{HUMAN}\na,P,H,-1,2,3\n", "2: human_true is '-1'; make it a whole number"),
        ("i.csv", f"{HEADER[:-1]}{HUMAN}\na,P,H,1,0.5,3\n", "2: human_either is '0.5'; make it a whole number"),
        ("i.csv", f"{HEADER[:-1]}{HUMAN}\na,P,H,1,2,9999999999\n", "2: human_false is 9,999,999,999, 1,000,000,000 at"),
        ("i.csv", f"{HEADER[:-1]}{HUMAN},human_true\na,P,H,1,2,3,4\n", "1: two columns are named 'human_true'"),
        ("i.jsonl", line("a") + line("b", human_false=1), "2: human_false but no human_true; give all"),
        ("i.jsonl", line(human_true=True, human_either=0, human_false=0), "1: human_true is true or false; make it"),
        ("i.jsonl", line(human_true=[1], human_either=0, human_false=0), "1: human_true is a list; make it"),
        ("i.jsonl", line(human_true=float("nan"), human_either=0, human_false=0), "1: human_true is not a number"),
    ],
)
def test_wrong_counts_are_said_in_one_line(write: Write, name: str, content: str, says: str) -> None:
    path = write(name, content)
    with pytest.raises(ItemsError) as caught:
        check_items(load_table(path).items)
    assert str(caught.value).startswith(f"{path}:{says}")
    with pytest.raises(ItemsError, match=re.escape(str(caught.value))):
        len(load_table(path).distributions)
