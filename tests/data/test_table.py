"""Reading tables: what is written is read back, and what is wrong is named with its line."""

import csv
import gzip
import os
import re
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.data.table import TableError, read_csv, read_npz, read_table

TABLES = Path(__file__).parents[1] / "tables"

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(
    lambda name: any(c.isalpha() for c in name) and name.lower() not in ("nan", "inf", "infinity")
)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12).map(str.strip)
same_file = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    header = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    return header, draw(st.lists(st.lists(words, min_size=len(header), max_size=len(header)), min_size=1, max_size=8))


@same_file
@given(tables(), st.sampled_from([",", ";", "\t"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_every_cell_that_was_written_is_read_back(tmp_path, table, delimiter, marked, newline):
    header, rows = table
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8-sig" if marked else "utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    read = read_csv(path, delimiter=delimiter)
    assert list(read.columns) == header
    assert [list(row) for row in zip(*read.columns.values(), strict=True)] == rows
    assert list(read.lines) == list(range(2, len(rows) + 2))


@same_file
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=20),
    st.sampled_from(["", "NA", "NaN", "null", "?"]),
)
def test_numbers_are_read_exactly_and_gaps_as_nan(tmp_path, values, gap):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "".join(f"{gap if x is None else repr(x)},1\n" for x in values))
    expected = [np.nan if x is None else x for x in values]
    np.testing.assert_array_equal(read_csv(path).numbers("a"), expected)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_the_delimiter_is_found(tmp_path, delimiter):
    path = tmp_path / "table.csv"
    rows = [["when it was", "x", "y"], ["2, or 3; maybe", "1", "2"], ["later", "3", "4"]]
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert read_csv(path).columns["x"] == ("1", "3")


def test_runs_of_spaces_are_one_delimiter(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("  age   weight\n   3    4.5 \n  10   20.0\n")
    assert read_table(path).numbers("weight").tolist() == [4.5, 20.0]


def test_decimal_commas_do_not_part_cells(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a;b\n1,5;2\n")
    assert read_csv(path).columns["a"] == ("1,5",)


def test_gzip_is_read_as_the_text_it_holds(tmp_path):
    path = tmp_path / "iris.csv.gz"
    path.write_bytes(gzip.compress((TABLES / "iris.csv").read_bytes()))
    assert read_csv(path).columns == read_csv(TABLES / "iris.csv").columns


def test_line_numbers_survive_blank_lines_and_cells_of_several_lines(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n"one\ntwo",1\n\n   \nthree,4\nfive,six\n')
    table = read_csv(path)
    assert list(table.lines) == [2, 6, 7]
    with pytest.raises(TableError, match=r"table\.csv, line 7, column 'b': 'six' is no number, but other cells"):
        table.is_text("b")


def test_an_index_without_a_name_is_left_out(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(",a,b\n0,1,2\n1,3,4\n")
    assert list(read_csv(path).columns) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "table.csv is empty"),
        (b"\n \n", "table.csv is empty"),
        (b"a,b\n", "table.csv has a header and no rows"),
        (b"a,b\n1,2\n1,2,3\n", "table.csv, line 3: 3 cells where the header has 2"),
        (b"a,b\n1,2\n1\n", "table.csv, line 3: 1 cell where the header has 2"),
        (b"a,b,a\n1,2,3\n", "table.csv, line 1: two columns are named 'a'"),
        (b"5.1,3.5,0\n4.9,3.0,0\n", "table.csv, line 1: no column names, but data"),
        (b"0,0,5\n0,1,5\n", "table.csv, line 1: no column names, but data"),
        (b'a,b\n1,2\n"1,2\n', "table.csv, line 3: unexpected end of data"),
        (b"a,b\n\xe9t\xe9,2\n", "table.csv is not text in UTF-8 (it holds the byte 0xe9)"),
        (b"\xff\xfea\x00,\x00b\x00", "table.csv is not text in UTF-8 (it holds the byte 0xff)"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_bytes(text)
    with pytest.raises(TableError) as caught:
        read_csv(path)
    assert message in str(caught.value)


def test_columns_named_by_whole_numbers_are_a_header(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("0,1,2\n5.1,3.5,0\n")
    assert list(read_csv(path).columns) == ["0", "1", "2"]


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"a,b\n1,2\n")[:-9]])
def test_damaged_gzip_is_refused(tmp_path, data):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(data)
    with pytest.raises(TableError, match="no gzip file, or damaged"):
        read_csv(path)


@pytest.mark.parametrize(
    ("cells", "row", "cell"), [("1 2 x 4", 4, "'x' is no number"), ("x y 3 z", 4, "'3' is a number")]
)
def test_a_column_of_numbers_and_words_is_refused_at_the_odd_cell(tmp_path, cells, row, cell):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["v,w", *(f"{c},1" for c in cells.split())]))
    with pytest.raises(TableError, match=f"line {row}, column 'v': {cell}"):
        read_csv(path).is_text("v")


def test_an_infinite_value_is_refused_with_its_line(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n-inf,3\n")
    with pytest.raises(TableError, match="line 3, column 'a': the value is infinite"):
        read_csv(path).numbers("a")


@pytest.mark.parametrize(
    ("asked", "meant"), [("specis", "species"), ("Species", "species"), ("petal lenght", "petal length")]
)
def test_an_unknown_column_suggests_the_closest(asked, meant):
    with pytest.raises(TableError, match=f"has no column '{asked}'; did you mean '{meant}'"):
        read_csv(TABLES / "iris.csv").column(asked)


def test_npz_gives_columns_in_order(tmp_path):
    X, y = np.arange(12.0).reshape(3, 2, 2), np.asarray(["a", "b", "a"])
    np.savez(tmp_path / "data.npz", X=X, y=y)
    table = read_table(tmp_path / "data.npz")
    assert list(table.columns) == ["x0", "x1", "x2", "x3", "y"]
    assert table.numbers("x2").tolist() == [2.0, 6.0, 10.0]
    assert table.is_text("y")
    assert table.positional
    assert table.uniform


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "has no array 'X'; it has x"),
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, "X has 3 rows, y has shape (2,)"),
        ({"X": np.ones((0, 2))}, "X is empty"),
        ({"X": np.ones(3, complex)}, "X holds complex128; numbers are expected"),
        ({"X": np.asarray([1, None]), "y": np.ones(2)}, "never unpickled"),
    ],
)
def test_npz_of_something_else_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(TableError) as caught:
        read_npz(tmp_path / "data.npz")
    assert message in str(caught.value)


def test_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((50, 2)), y=np.ones(50))
    whole = path.read_bytes()
    for damaged in (b"", b"junk", whole[: len(whole) // 2], whole[:200] + b"?" * 50 + whole[250:]):
        path.write_bytes(damaged)
        with pytest.raises(TableError, match="damaged"):
            read_npz(path)


def test_real_tables_are_read_whole():
    shapes = {"iris": (150, 5), "wine": (178, 14), "breast_cancer": (569, 31), "diabetes": (442, 11)}
    for name, shape in shapes.items():
        table = read_table(TABLES / f"{name}.csv")
        assert (len(table), len(table.columns)) == shape


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("5,1", "'5,1' looks like a number with a decimal comma; write 5.1"),
        ("1.234,5", "a decimal comma; write 1234.5"),
        ("1,000", "thousands separators; write 1000"),
        ("1 234 567.5", "thousands separators; write 1234567.5"),
        ("5,5%", "a percent sign; write 5.5"),
        ("$1,000.50", "a currency sign; write 1000.50"),
        ("12 €", "a currency sign; write 12"),
    ],
)
def test_a_number_as_people_write_it_is_no_word(tmp_path, cell, message):
    (tmp_path / "table.csv").write_text(f'a,b\n"{cell}",1\n"{cell}",2\nother,3\n', encoding="utf-8")
    with pytest.raises(TableError, match="table.csv, line 2, column 'a': .*" + re.escape(message.split("'")[-1])):
        read_csv(tmp_path / "table.csv").is_text("a")


def test_between_semicolons_a_decimal_comma_is_read(tmp_path):
    (tmp_path / "table.csv").write_text("a;b;c\n5,1;1,0;u,v\n-3;,5;w\nNA;2,5e1;x\n")
    table = read_csv(tmp_path / "table.csv")
    np.testing.assert_array_equal(table.numbers("a"), [5.1, -3, np.nan])
    assert table.numbers("b").tolist() == [1, 0.5, 25]
    assert table.is_text("c")
    for unclear in ("1.234,5", "1.234"):
        (tmp_path / "table.csv").write_text(f"a;b\n5,1;1\n{unclear};2\n1234.5;3\n6,5;4\n")
        with pytest.raises(TableError, match=f"line 3, column 'a': '{unclear}'"):
            read_csv(tmp_path / "table.csv").is_text("a")


def test_every_spelling_of_a_gap_is_known(tmp_path):
    cells = ["N/A", "n/a", "None", "<NA>", "#N/A", "NaN", "NULL", "?", "NA"]
    (tmp_path / "table.csv").write_text("a,b\n" + "".join(f"{cell},none\n" for cell in cells))
    table = read_csv(tmp_path / "table.csv")
    assert all(table.missing("a"))
    assert not any(table.missing("b"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_is_read_once_and_bars_part_cells(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=("a|b\n1|2\n",))
    writer.start()
    table = read_csv(tmp_path / "pipe")
    writer.join()
    assert {name: list(cells) for name, cells in table.columns.items()} == {"a": ["1"], "b": ["2"]}
