"""Encoding tables: what a network sees, what it predicts, and what is refused before it is trained."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.data.encoder import Categorical, Encoder, Numeric, Target
from pullback.data.table import Table, TableError, read_table

TABLES = Path(__file__).parents[1] / "tables"


def table_of(**columns):
    cells = {name: value.split() if isinstance(value, str) else list(value) for name, value in columns.items()}
    rows = len(next(iter(cells.values())))
    return Table("t.csv", cells, lines=range(2, rows + 2))


def test_real_columns_are_standardised_by_the_training_rows():
    table = read_table(TABLES / "wine.csv")
    rows = np.arange(0, 178, 2)
    encoder = Encoder.fit(table, Target.find(table, "cultivar"), rows=rows)
    with (TABLES / "wine.csv").open() as file:
        values = np.asarray([row[:-1] for row in csv.reader(file)][1:], dtype=float)
    expected = (values - values[rows].mean(0)) / values[rows].std(0)
    encoded = encoder.encode(table)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, expected, rtol=2e-6, atol=1e-6)


def test_gaps_take_the_training_median_and_are_told(caplog):
    table = table_of(a="1 NA 3 100 ?", b="u v null u v", y="0.5 1 2 3 4")
    encoder = Encoder.fit(table, Target.find(table, "y"), rows=[0, 1, 2])
    with caplog.at_level(logging.INFO, logger="pullback"):
        encoded = encoder.encode(table)
    assert encoder.columns[0] == Numeric("a", 2.0, 2.0, np.std([1, 2, 3]))
    assert encoded[1].tolist() == [0.0, 0.0, 1.0]
    assert encoded[2, 1:].tolist() == [0.0, 0.0]
    assert [record.getMessage() for record in caplog.records] == [
        "missing cells, filled with the training median or as no category: a (2), b (1)"
    ]


def test_words_become_one_hot():
    table = table_of(colour="red blue red green blue green", y="1.5 2 3 4 5 6")
    encoder = Encoder.fit(table, Target.find(table, "y"))
    assert encoder.columns == (Categorical("colour", ("blue", "green", "red")),)
    np.testing.assert_array_equal(encoder.encode(table), np.eye(3)[[2, 0, 2, 1, 0, 1]])


numbers = st.floats(-1e9, 1e9, width=32, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(numbers, st.sampled_from(["é", "b b", "c,"]), numbers), min_size=6, max_size=20).filter(
        lambda rows: len({row[2] for row in rows}) > 1
    )
)
def test_an_encoder_survives_json_exactly(rows):
    a, b, y = zip(*rows, strict=True)
    table = Table("t.csv", {"a": [repr(x) for x in a], "b": b, "y": [repr(x) for x in y]}, lines=range(len(rows)))
    encoder = Encoder.fit(table, Target.find(table, "y", "regression"))
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder
    np.testing.assert_array_equal(again.encode(table), encoder.encode(table))
    assert np.isfinite(encoder.encode(table)).all()
    scaled = encoder.encode_target(table)
    np.testing.assert_allclose(
        scaled * again.target.std + again.target.mean, np.c_[list(y)], rtol=1e-5, atol=abs(max(y, key=abs)) * 1e-5
    )


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        ("no yes no yes", None, ("no", "yes")),
        ("1 0 1 0", None, ("0", "1")),
        ("10 9 10.0 9 2 2", None, None),
        ("10 9 10.0 9 2 2 10 9 2", None, ("2", "9", "10")),
        ("1.5 2 1.5 2 1.5 2", None, None),
        ("1.5 2 1.5 2 1.5 2", "classification", ("1.5", "2")),
        ("1 0 1 0", "regression", None),
        (map(str, range(100)), None, None),
        ([str(i // 3) for i in range(60)], None, tuple(map(str, range(20)))),
        ([str(i // 3) for i in range(63)], None, None),
    ],
)
def test_the_task_is_told_from_the_target(cells, task, classes):
    table = table_of(y=cells)
    target = Target.find(table, "y", task)
    assert target.classes == classes
    assert target.task == ("regression" if classes is None else "classification")


def test_targets_are_class_numbers():
    table = table_of(y="b a c b a c")
    values = Target.find(table, "y").values(table)
    assert values.tolist() == [1, 0, 2, 1, 0, 2]
    assert values.dtype == np.int64


@pytest.mark.parametrize(
    ("cells", "task", "message"),
    [
        (["a", "", "b"], None, "line 3, column 'y': the target is missing"),
        (["1", "nan", "2"], None, "line 3, column 'y': the target is missing"),
        (["a", "b", "a", "c", "b"], None, "line 5, column 'y': the label 'c' is seen only here"),
        (["1", "0", "0"], None, "line 2, column 'y': the label '1' is seen only here"),
        (["a", "a"], None, "column 'y': all labels are 'a'"),
        (["2.5", "2.5"], None, "column 'y': all values are 2.5"),
        (["a", "b", "a", "b"], "regression", "line 2, column 'y': 'a' is no number"),
        (["1", "inf", "2"], None, "line 3, column 'y': the value is infinite"),
        (["1", "two", "3"], None, "line 3, column 'y': 'two' is no number"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused_with_its_line(cells, task, message):
    with pytest.raises(TableError) as caught:
        Target.find(table_of(y=cells), "y", task)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": [f"n{i}" for i in range(9)]}, "column 'name': 9 different words in 9 rows"),
        ({"a": ["1"] * 8 + ["x"]}, "line 10, column 'a': 'x' is no number"),
        ({"a": ["1"] * 8 + ["inf"]}, "line 10, column 'a': the value is infinite"),
        ({"a": ["1e308"] * 5 + ["-1e308"] * 4}, "column 'a': the values are too large"),
        ({}, "no column to learn from besides the target 'y'"),
        ({"a": [""] * 9}, "no column to learn from besides the target 'y'"),
    ],
)
def test_columns_that_cannot_be_learnt_from_are_refused_by_name(columns, message):
    table = table_of(y="1 2 3.5 4 5 6 7 8 9", **columns)
    with pytest.raises(TableError) as caught:
        Encoder.fit(table, Target.find(table, "y"))
    assert message in str(caught.value)


def test_dropped_columns_are_not_looked_at():
    table = table_of(y="1 2 3.5 4", a="1 2 3 4", name="k l m n")
    assert Encoder.fit(table, Target.find(table, "y"), drop=["name"]).width == 1
    with pytest.raises(TableError, match="did you mean 'name'"):
        Encoder.fit(table, Target.find(table, "y"), drop=["nam"])


def test_new_tables_may_have_other_orders_and_more_columns(caplog):
    table = table_of(a="1 2 3 4", c="u v u v", y="1 2 3.5 4")
    encoder = Encoder.fit(table, Target.find(table, "y"))
    with caplog.at_level(logging.INFO, logger="pullback"):
        encoded = encoder.encode(table_of(note="p q", c="v u", a="4 1"))
    np.testing.assert_array_equal(encoded, encoder.encode(table)[[3, 0]])
    assert [record.getMessage() for record in caplog.records] == ["t.csv: not used: note"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": "1 2"}, "t.csv has no column 'c', which the model was trained on"),
        ({"a": "1 2", "cc": "u v"}, "has no column 'c', which the model was trained on; is it the one named 'cc'?"),
        ({"a": "1 2", "c": "u w"}, "line 3, column 'c': 'w' is none of the categories learnt (u, v)"),
        ({"a": "1 x", "c": "u v"}, "line 3, column 'a': 'x' is no number"),
        ({"a": "1 1e200", "c": "u v"}, "line 3, column 'a': 1e+200 lies too far"),
        ({"a": "inf 1", "c": "u v"}, "line 2, column 'a': the value is infinite"),
    ],
)
def test_a_new_table_that_does_not_fit_is_refused_with_its_line(columns, message):
    table = table_of(a="1 2 3 4", c="u v u v", y="1 2 3.5 4")
    encoder = Encoder.fit(table, Target.find(table, "y"))
    with pytest.raises(TableError) as caught:
        encoder.encode(table_of(**columns))
    assert message in str(caught.value)


def test_pixels_share_one_scale_and_go_by_their_order(tmp_path):
    X = np.random.default_rng(0).integers(0, 17, (30, 3, 2)).astype(np.uint8)
    X[:, 0, 0] = 0
    np.savez(tmp_path / "images.npz", X=X, y=np.arange(30) % 2)
    table = read_table(tmp_path / "images.npz")
    encoder = Encoder.fit(table, Target.find(table, "y"))
    expected = (X.reshape(30, 6) - X.mean()) / X.std()
    np.testing.assert_allclose(encoder.encode(table), expected, rtol=1e-5, atol=1e-6)
    renamed = Table("new.csv", {f"pixel{i}": [str(v) for v in X.reshape(30, 6)[:, i]] for i in range(6)})
    np.testing.assert_array_equal(encoder.encode(renamed), encoder.encode(table))
    with pytest.raises(TableError, match="has 1 column; the model expects 6, in order or named x0 to x5"):
        encoder.encode(table_of(a="1 2"))


def test_a_column_that_was_constant_has_no_say(caplog):
    table = table_of(a="1 1 1 2", b="1 2 3 4", y="0.5 1 2 3")
    with caplog.at_level(logging.INFO, logger="pullback"):
        encoder = Encoder.fit(table, Target.find(table, "y"), rows=[0, 1, 2])
    assert [column.name for column in encoder.columns] == ["b"]
    assert "t.csv: left out, with one value in all rows to learn from: a" in caplog.text
    with pytest.raises(TableError, match="no column to learn from"):
        Encoder.fit(table_of(a="1 1 1", y="0.5 1 2"), Target.find(table, "y"))


def test_a_constant_column_without_a_name_keeps_its_place(tmp_path):
    np.savez(tmp_path / "data.npz", X=[[1, 5], [2, 5], [3, 5]], y=[0.5, 1, 2])
    table = read_table(tmp_path / "data.npz")
    encoder = Encoder.fit(table, Target.find(table, "y"))
    other = table_of(a="1 2 3", b="5 900 5")
    np.testing.assert_array_equal(encoder.encode(other), encoder.encode(table))
    assert not encoder.encode(other)[:, 1].any()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("007 08 007 08", ("007", "08")),
        ("01 1 01 1", ("01", "1")),
        ("9007199254740992 9007199254740993 " * 2, ("9007199254740992", "9007199254740993")),
        (np.asarray([2**53, 2**53 + 1] * 2), ("9007199254740992", "9007199254740993")),
        ("10 9.0 10.0 9", ("9", "10")),
    ],
)
def test_labels_are_neither_altered_nor_merged(labels, classes):
    columns = {"a": ["1", "2", "3", "4"], "y": labels.split() if isinstance(labels, str) else labels}
    target = Target.find(Table("t.csv", columns), "y", "classification")
    assert target.classes == classes
    assert sorted(target.values(Table("t.csv", columns))) == [0, 0, 1, 1]
