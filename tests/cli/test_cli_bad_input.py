"""Bad input ends with one line on stderr and exit status 2, and leaves nothing behind."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback.cli import main

IRIS = (Path(__file__).parents[1] / "tables" / "iris.csv").read_text()
ROWS = "".join(f"{i}.5,{'ab'[i % 2]}\n" for i in range(20))


@pytest.fixture(autouse=True)
def in_a_folder_of_files(in_an_empty_folder):
    files = {
        "iris.csv": IRIS,
        "gap.csv": IRIS.replace("5.1,3.5,1.4,0.2,setosa", "5.1,3.5,1.4,0.2,", 1),
        "nan.csv": "a,y\n" + "".join(f"{i},{i / 7 if i != 5 else 'NaN'}\n" for i in range(20)),
        "once.csv": IRIS + "1,2,3,4,tulip\n",
        "ragged.csv": IRIS + "1,2,3\n",
        "word.csv": IRIS + "wide,2,3,4,setosa\n",
        "infinite.csv": IRIS + "inf,2,3,4,setosa\n",
        "twice.csv": "a,a,y\n" + "1,2,a\n" * 9,
        "empty.csv": "",
        "header.csv": "a,b,y\n",
        "few.csv": "a,y\n1,a\n2,b\n3,a\n4,b\n",
        "names.csv": "name,y\n" + "".join(f"n{i},{'ab'[i % 2]}\n" for i in range(20)),
        "target_only.csv": "y\n" + "a\nb\n" * 10,
        "one_class.csv": "a,y\n" + "".join(f"{i},same\n" for i in range(20)),
        "headerless.csv": "5.1,3.5\n" + "1.0,2.0\n" * 20,
        "comma.csv": "a,y\n" + "".join(f'"{i},5",{"ab"[i % 2]}\n' for i in range(20)),
        "latin.csv": None,
        "full/kept.txt": "kept",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes("caf\xe9,y\n1,2\n".encode("latin-1") if text is None else text.encode())
    Path("bad.csv.gz").write_bytes(gzip.compress(IRIS.encode())[:-20])
    Path("bad.npz").write_bytes(b"PK junk")
    np.savez("objects.npz", X=np.asarray([1, "a", None] * 5), y=np.arange(15))
    np.savez("no_y.npz", X=np.ones((20, 2)))


def refused(capsys, arguments, status=2):
    """The one line that the command ends with."""
    before = sorted(str(path) for path in Path().rglob("*"))
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert sorted(str(path) for path in Path().rglob("*")) == before
    assert len(err.splitlines()) == 1, err
    assert err.startswith("pullback: ")
    assert not out
    return err


CSV = ["train", "iris.csv", "--target", "species"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.csv", "--target", "y"], "there is no file none.csv"),
        (["train", "digit"], "there is no file digit; did you mean digits?"),
        (["train", "full", "--target", "y"], "full is a folder without images in IDX files (MNIST's format); expected"),
        (["train", "iris.csv"], "name the column to predict with --target; iris.csv has sepal length, sepal width,"),
        (["train", "iris.csv", "--target", "specis"], "has no column 'specis'; did you mean 'species'?"),
        (["train", "digits", "--target", "label"], "digits has no column 'label'"),
        ([*CSV, "--drop", "petal"], "has no column 'petal'; did you mean 'petal"),
        (["train", "gap.csv", "--target", "species"], "gap.csv, line 2, column 'species': the target is missing"),
        (["train", "nan.csv", "--target", "y"], "nan.csv, line 7, column 'y': the target is missing"),
        (["train", "once.csv", "--target", "species"], "152, column 'species': the label 'tulip' is seen only"),
        (["train", "ragged.csv", "--target", "species"], "ragged.csv, line 152: 3 cells where the header has 5"),
        (["train", "word.csv", "--target", "species"], "line 152, column 'sepal length': 'wide' is no number"),
        (["train", "infinite.csv", "--target", "species"], "line 152, column 'sepal length': the value is infinite"),
        (["train", "twice.csv", "--target", "y"], "two columns are named 'a'"),
        (["train", "empty.csv", "--target", "y"], "empty.csv is empty"),
        (["train", "header.csv", "--target", "y"], "header.csv has a header and no rows"),
        (["train", "few.csv", "--target", "y"], "few.csv has 4 rows; at least 10 are needed"),
        (["train", "names.csv", "--target", "y"], "names.csv, column 'name': 20 different words in 20 rows"),
        (["train", "target_only.csv", "--target", "y"], "no column to learn from besides the target 'y'"),
        (["train", "one_class.csv", "--target", "y"], "all labels are 'same'"),
        (["train", "headerless.csv", "--target", "y"], "line 1: no column names, but data"),
        (["train", "latin.csv", "--target", "y"], "latin.csv is not text in UTF-8"),
        (["train", "bad.csv.gz", "--target", "y"], "bad.csv.gz is no gzip file, or damaged"),
        (["train", "bad.npz"], "bad.npz is no .npz file, or damaged"),
        (["train", "objects.npz"], "never unpickled"),
        (["train", "no_y.npz"], "no_y.npz has no column 'y'"),
        ([*CSV, "--task", "regression"], "line 2, column 'species': 'setosa' is no number"),
        ([*CSV, "--batch-size", "0"], "--batch-size: a whole number of 1 or more is expected, not '0'"),
        ([*CSV, "--epochs", "-1"], "--epochs: a whole number of 1 or more is expected, not '-1'"),
        ([*CSV, "--epochs", "ten"], "--epochs: a whole number of 1 or more is expected, not 'ten'"),
        ([*CSV, "--lr", "0"], "--lr: a positive number is expected, not '0'"),
        ([*CSV, "--lr", "nan"], "--lr: a positive number is expected, not 'nan'"),
        ([*CSV, "--hidden", "64,0"], "--hidden: sizes are whole numbers as in 256,128, or none; not '64,0'"),
        ([*CSV, "--hidden", ""], "--hidden: sizes are whole numbers"),
        ([*CSV, "--hidden", str(10**13), "--quiet"], "not enough memory"),
        ([*CSV, "--restarts", "0"], "--restarts: a whole number of 1 or more"),
        ([*CSV, "--seed", "-3"], "--seed: a whole number of 0 or more"),
        ([*CSV, "--seed", str(2**64)], "--seed: a whole number below 2**64"),
        ([*CSV, "--optimizer", "lions"], "--optimizer: invalid choice: 'lions'"),
        ([*CSV, "--backend", "nunpy"], "there is no backend 'nunpy'; choose one of numpy, cupy"),
        ([*CSV, "--device", "cuda:0", "--backend", "numpy"], "one device, 'cpu'; got 'cuda:0'"),
        ([*CSV, "--device", "mars", "--backend", "array_api_strict"], "mars"),
        ([*CSV, "--out", "full"], "full is not empty; name another folder with --out"),
        ([*CSV, "--out", "iris.csv"], "iris.csv is a file; name a folder with --out"),
        ([*CSV, "--out", "iris.csv/run"], "a run cannot be written to iris.csv/run: Not a directory"),
        ([*CSV, "--out", "/proc/run"], "a run cannot be written to /proc/run"),
        ([*CSV, "--lr", "1e30", "--optimizer", "sgd", "--quiet"], "training diverged at iteration"),
        (["train", "digits", "--batch-size", "100000", "--epochs", "1", "--lr", "1e30", "--schedule", "none",
          "--optimizer", "sgd", "--quiet"], "training diverged at iteration 1"),
        (["train", "comma.csv", "--target", "y"], "comma.csv, line 2, column 'a': '0,5' looks like a number with a"),
        ([*CSV, "--fast"], "unrecognized arguments: --fast"),
        (["train"], "the following arguments are required: DATA"),
        (["train", "digits", "--data", "iris.csv"], "DATA is given twice, as digits and with --data iris.csv"),
        ([*CSV, "--model", "lenet"], "lenet takes images: digits, a folder of IDX files, or an .npz"),
        ([*CSV, "--model", "alexnet"], "--model: invalid choice: 'alexnet'"),
        ([*CSV, "--depth", "8"], "--depth is for --model resnet or vit; mlp does not take it"),
        (["train", "digits", "--model", "vit", "--hidden", "8"], "--hidden is for --model mlp; vit does not take it"),
        (["train", "digits", "--model", "resnet", "--depth", "9"], "has 6 n + 2 layers: 8, 14, 20, ...; got 9"),
        (["train", "digits", "--model", "lenet", "--drop", "x3"], "all columns of it; for the columns of digits"),
        (["train", "digits", "--model", "lenet", "--target", "x3"], "all columns of it; for the columns of digits"),
        (["train", "no_y.npz", "--target", "x0", "--task", "regression", "--model", "vit"], "values are 1; there is"),
        (["fly"], "invalid choice: 'fly'"),
        (["predict", "full", "iris.csv"], "full is no run: it has no model.json"),
        (["predict", "none", "iris.csv"], "none is no run: it has no model.json"),
        (["predict", "", "iris.csv"], "RUN: a name is expected, not nothing"),
        (["predict", "none", ""], "FILE: a name is expected, not nothing"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(capsys, arguments, message):
    assert message in refused(capsys, arguments)


@pytest.fixture
def run(in_a_folder_of_files, capsys):
    assert main([*CSV, "--epochs", "1", "--quiet", "--out", "run"]) == 0
    capsys.readouterr()
    return Path("run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sepal length,sepal width,petal length\n1,2,3\n", "new.csv has no column 'petal width', which the model"),
        (
            "sepal length,sepal width,petal length,petal width\n1,2,3,4\n1,2,x,4\n",
            "line 3, column 'petal length': 'x' is no",
        ),
        ("sepal length,sepal width,petal length,petal width\n1,2,3,1e300\n", "lies too far from the values trained on"),
        ("", "new.csv is empty"),
        ("sepal length,sepal width,petal length,petal width\n", "new.csv has a header and no rows"),
    ],
)
def test_a_table_that_does_not_fit_the_run_is_refused(capsys, run, text, message):
    Path("new.csv").write_text(text)
    assert message in refused(capsys, ["predict", "run", "new.csv", "--out", "predictions.csv"])


def test_predictions_never_replace_the_data_or_a_folder(capsys, run):
    assert "holds the data themselves" in refused(capsys, ["predict", "run", "iris.csv", "--out", "iris.csv"])
    inside = ["predict", "run", "iris.csv", "--out", "run/model.json"]
    assert "run/model.json lies in the run's own folder" in refused(capsys, inside)
    assert "full is a folder" in refused(capsys, ["predict", "run", "iris.csv", "--out", "full"])
    assert "full is a folder, and the model was trained on a table" in refused(capsys, ["predict", "run", "full"])
    assert Path("iris.csv").read_text() == IRIS


def test_a_damaged_run_is_refused(capsys, run):
    model, weights = run / "model.json", run / "weights.safetensors"
    whole = model.read_text()
    for damaged in ("{", "[]", "{}", json.dumps({**json.loads(whole), "encoder": {"columns": 3}})):
        model.write_text(damaged)
        assert re.search(r"run.model\.json is damaged", refused(capsys, ["predict", "run", "iris.csv"]))
    model.write_text(whole)
    weights.write_bytes(weights.read_bytes()[:-3])
    assert "weights.safetensors is damaged" in refused(capsys, ["predict", "run", "iris.csv"])
    weights.unlink()
    assert "weights.safetensors: No such file" in refused(capsys, ["predict", "run", "iris.csv"])


def test_a_gpu_that_is_not_there_is_said_with_the_mend(capsys):
    availability = pb.backends()["cupy"]
    if availability.usable:
        pytest.skip("this machine has a GPU")
    assert availability.reason in refused(capsys, [*CSV, "--backend", "cupy"])


def test_ctrl_c_before_training_writes_nothing(capsys, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("pullback.cli.samples.read_table", interrupted)
    assert "interrupted; nothing was written" in refused(capsys, CSV, status=130)


def test_ctrl_c_while_pictures_are_drawn_leaves_nothing_half_written(capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("pullback.cli.train.plot_confusion", interrupted)
    before = sorted(Path().rglob("*"))
    assert main([*CSV, "--epochs", "1", "--out", "new/run"]) == 130
    assert sorted(Path().rglob("*")) == before
