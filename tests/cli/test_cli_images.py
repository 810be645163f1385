"""Images on the command line: folders of IDX files, the models that take images, and what is refused."""

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback.backends import use
from pullback.cli import main
from pullback.cli.architecture import MODELS
from pullback.cli.run_folder import read_network
from pullback.interop import load_safetensors, save_safetensors

IMAGE_MODELS = [name for name, model in MODELS.items() if model.images]
CODES = {"u1": 8, "f4": 13}


def write_idx(path, array, kind="u1"):
    content = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind], array.ndim, *array.shape)
    content += array.astype(f">{kind}").tobytes()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(gzip.compress(content, 1) if Path(path).suffix == ".gz" else content)


def bars(samples, side, seed, classes=(3, 5)):
    """Noisy images with a bar that lies or stands, as the label says."""
    rng = np.random.default_rng(seed)
    labels, places = rng.integers(0, 2, samples), rng.integers(0, side, samples)
    images = rng.integers(0, 60, (samples, side, side))
    for image, label, place in zip(images, labels, places, strict=True):
        (image.T if label else image)[place] += 180
    return images, np.asarray(classes)[labels]


def write_bars(folder, side=12, samples=400, end="-ubyte.gz"):
    for part, count, seed in (("train", samples, 0), ("t10k", 80, 1)):
        images, labels = bars(count, side, seed)
        write_idx(Path(folder, f"{part}-images-idx3{end}"), images)
        write_idx(Path(folder, f"{part}-labels-idx1{end}"), labels)


def train(*arguments, out="run"):
    assert main(["train", *map(str, arguments), "--quiet", "--out", out]) == 0
    return json.loads(Path(out, "summary.json").read_text())


def predict(file):
    assert main(["predict", "run", str(file), "--out", "predictions.csv"]) == 0
    with Path("predictions.csv").open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize("model", MODELS)
def test_images_of_a_folder_are_learnt_and_predicted(model):
    write_bars("sets/bars", side=8, samples=240)
    summary = train("bars", "--data-dir", "sets", "--model", model, "--epochs", 8)
    assert (summary["model"], summary["dataset"], summary["target"]) == (model, "bars", "label")
    assert summary["rows"] == {"train": 216, "validate": 24, "test": 80}
    assert summary["test_accuracy"] >= 0.9
    described = json.loads(Path("run", "model.json").read_text())
    assert described["architecture"]["model"] == model
    with use("numpy"):
        assert list(load_safetensors("run/weights.safetensors")) == sorted(read_network("run")[0].state_dict())
    rows = predict("sets/bars/t10k-images-idx3-ubyte.gz")
    assert rows == predict("sets/bars")
    truth = bars(80, 8, 1)[1]
    assert np.mean([int(row["prediction"]) == label for row, label in zip(rows, truth, strict=True)]) == pytest.approx(
        summary["test_accuracy"]
    )
    assert list(rows[0]) == ["prediction", "probability_3", "probability_5"]


@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_digits_are_images_too(model):
    summary = train("digits", "--model", model, "--epochs", 1)
    assert (summary["model"], summary["rows"]["test"]) == (model, 359)
    assert summary["test_accuracy"] > 0.3
    Path("digits.csv").write_text(",".join(f"pixel{i}" for i in range(64)) + "\n" + ",".join(["0.5"] * 64) + "\n")
    assert len(predict("digits.csv")) == 1


def test_images_of_an_npz_file_are_learnt_with_their_channels():
    images, labels = bars(200, 12, 0)
    np.savez("bars.npz", X=np.stack([images, 255 - images], axis=-1), y=labels)
    assert train("bars.npz", "--model", "resnet", "--epochs", 6)["network"] == "resnet for 12 x 12 x 2, depth 8"
    assert len(predict("bars.npz")) == 200


def test_what_is_about_to_be_done_is_said_with_pictures_that_name_the_classes(capsys, monkeypatch):
    named = []
    monkeypatch.setattr("pullback.cli.train.plot_curves", lambda history, path: None)
    monkeypatch.setattr("pullback.cli.train.plot_confusion", lambda matrix, classes, path: named.append(classes))
    write_bars("bars")
    Path("bars/classes.txt").write_text("a\nb\nc\nlying\ne\nstanding\n")
    options = ["--model", "resnet", "--depth", "14", "--epochs", "1", "--batch-size", "64", "--optimizer", "lion"]
    assert main(["train", "--data", "bars", *options, "--out", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "data     bars: 480 images of 12 x 12 pixels",
        "target   label, 2 classes (classification)",
        "images   360 to train on, 40 to validate, 80 to test",
    ]
    assert lines[3].startswith("network  resnet for 12 x 12 x 1, depth 14, 17")
    assert lines[4].startswith("method   lion, learning rate 0.0003, schedule one-cycle, 1 epoch in batches of 64, on")
    assert lines[-1] == "next     pullback predict run IMAGES"
    assert named == [("lying", "standing")]
    assert list(predict("bars")[0]) == ["prediction", "probability_lying", "probability_standing"]


def test_data_are_found_by_path_first_then_under_the_data_folder(monkeypatch):
    write_bars("bars", samples=100)
    write_bars("sets/bars", samples=200)
    write_bars("elsewhere/other", samples=300, end="-ubyte")
    monkeypatch.setenv("PULLBACK_DATA_DIR", "elsewhere")
    options = ["--epochs", 1, "--hidden", "none"]
    for number, (data, training) in enumerate([("bars", 90), ("sets/bars", 180), ("other", 270)]):
        assert train(data, *options, out=f"run{number}")["rows"]["train"] == training
    assert train("bars", "--data-dir", "sets", *options, out="run3")["rows"]["train"] == 90


def test_floating_pixels_are_taken_as_they_are():
    images, labels = bars(100, 8, 0)
    for part in ("train", "t10k"):
        write_idx(f"bars/{part}-images-idx3-ubyte", images / 255, "f4")
        write_idx(f"bars/{part}-labels-idx1-ubyte", labels)
    train("bars", "--epochs", 1)
    write_idx("bytes", images)
    for row, other in zip(predict("bytes"), predict("bars/t10k-images-idx3-ubyte"), strict=True):
        assert float(row["probability_3"]) == pytest.approx(float(other["probability_3"]), abs=1e-5)


def test_images_are_learnt_from_on_another_backend():
    write_bars("bars", side=8, samples=60)
    summary = train("bars", "--model", "lenet", "--epochs", 1, "--backend", "array_api_strict")
    assert summary["backend"] == "array_api_strict"
    assert len(predict("bars")) == 80


def test_a_run_of_version_0_1_is_still_read():
    """There a network was the sizes of its layers, and always a perceptron."""
    train("digits", "--epochs", 1, "--hidden", "8")
    before = load_safetensors("run/weights.safetensors")
    model = json.loads(Path("run/model.json").read_text())
    model["architecture"] = {"inputs": 64, "hidden": [8], "outputs": 10}
    Path("run/model.json").write_text(json.dumps(model))
    with use("numpy"):
        network, encoder, architecture = read_network("run")
        assert (architecture.model, architecture.shape, encoder.width) == ("mlp", (64,), 64)
        np.testing.assert_array_equal(network.state_dict()["0.weight"].numpy(), before["0.weight"].numpy())


def refused(capsys, *arguments):
    capsys.readouterr()
    before = sorted(str(path) for path in Path().rglob("*"))
    assert main(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert sorted(str(path) for path in Path().rglob("*")) == before
    assert len(err.splitlines()) == 1, err
    assert not out
    return err


def spoilt(name):
    """Make one file of a good folder a bad one."""
    write_bars("bars", samples=40, end="-ubyte")
    images, labels = (Path(f"bars/train-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    if name == "missing":
        labels.unlink()
    elif name == "cut":
        images.write_bytes(images.read_bytes()[:-7])
    elif name == "packed badly":
        packed = bytearray(gzip.compress(images.read_bytes()))
        packed[20:60] = b"\xff" * 40
        images.write_bytes(packed)
    elif name == "few":
        write_idx(images, np.zeros((4, 12, 12)))
        write_idx(labels, np.zeros(4))
    elif name == "none":
        write_idx(images, np.zeros((0, 12, 12)))
        write_idx(labels, np.zeros(0))
    elif name == "blank":
        write_idx(images, np.zeros((40, 12, 12)))
    elif name == "infinite":
        write_idx(images, np.full((40, 12, 12), np.inf), "f4")
    elif name == "one label":
        write_idx(labels, np.ones(40))
    elif name == "strange label":
        write_idx(labels, np.arange(40) % 2)
    elif name == "other size":
        write_idx(images, np.zeros((40, 12, 14)))
    elif name == "not square":
        for part, count in (("train", 40), ("t10k", 80)):
            write_idx(f"bars/{part}-images-idx3-ubyte", np.random.default_rng(0).integers(0, 255, (count, 12, 14)))
    elif name == "small":
        for part, count in (("train", 40), ("t10k", 80)):
            write_idx(f"bars/{part}-images-idx3-ubyte", np.random.default_rng(0).integers(0, 255, (count, 3, 3)))
    elif name == "few names":
        Path("bars/classes.txt").write_text("a\nb\nc\nlying\n")
    elif name == "one name":
        Path("bars/classes.txt").write_text("a\nb\nc\nsame\ne\nsame\n")
    elif name == "latin names":
        Path("bars/classes.txt").write_bytes("a\nb\nc\ncaf\xe9\ne\nf\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("missing", [], "bars has no train-labels-idx1-ubyte (nor"),
        ("cut", [], "train-images-idx3-ubyte is damaged"),
        ("packed badly", [], "is damaged"),
        ("few", [], "all training images of bars have the label 0"),
        ("none", [], "bars has no training images"),
        ("blank", [], "all pixels of the training images are alike"),
        ("infinite", [], "pixels that are no numbers, or infinite"),
        ("one label", [], "all training images of bars have the label 1"),
        ("strange label", [], "a test image of bars has the label"),
        ("other size", [], "the training images of bars have 12 x 14 pixels, its test images 12 x 12 pixels"),
        (
            "not square",
            ["--model", "lenet"],
            "lenet takes square images, and these have 12 x 14 pixels; --model resnet",
        ),
        ("not square", ["--model", "vit"], "vit takes square images"),
        ("small", ["--model", "lenet"], "pixels or more in height and width; got 3"),
        ("few names", [], "bars/classes.txt has 4 lines, a name for each label from 0; there is a label 5"),
        ("one name", [], "bars/classes.txt has a line that is empty, or there twice"),
        ("latin names", [], "bars/classes.txt is not text in UTF-8"),
        ("nothing", ["--target", "y"], "--target is for tables; bars is a folder of images"),
        ("nothing", ["--drop", "y"], "--drop is for tables"),
        ("nothing", ["--task", "regression"], "--task regression is for tables; the labels of bars are classes"),
        ("nothing", ["--hidden", "3", "--model", "lenet"], "--hidden is for --model mlp; lenet does not take it"),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_is_refused_in_one_line(capsys, name, options, message):
    spoilt(name)
    assert message in refused(capsys, "train", "bars", *options)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["mnist"], ["there is no file mnist; a folder", "or lies in the folder of --data-dir", "train-images-idx3"]),
        (["mnist", "--data-dir", "sets"], ["there is no file mnist and no sets/mnist;", "t10k-labels-idx1-ubyte"]),
        (["a.csv", "--data-dir", "sets"], ["there is no file a.csv and no sets/a.csv\n"]),
    ],
)
def test_a_name_that_is_nowhere_is_refused_with_where_was_looked_and_for_what(capsys, arguments, messages):
    line = refused(capsys, "train", *arguments)
    assert [message for message in messages if message not in line] == []


@pytest.mark.parametrize("name", ["bar", "Bars", "bras"])
def test_a_name_that_is_misspelt_is_met_with_the_right_one(capsys, name):
    write_bars("sets/bars", samples=40)
    line = refused(capsys, "train", "--data", name, "--data-dir", "sets")
    assert line.endswith(f"there is no file {name} and no sets/{name}; did you mean bars?\n")
    assert "name the folder they are in" in refused(capsys, "train", "sets/bars/train-images-idx3-ubyte.gz")


def test_a_folder_in_the_home_of_the_user_is_found(monkeypatch):
    write_bars("home/bars", samples=40)
    monkeypatch.setenv("HOME", "home")
    monkeypatch.setenv("USERPROFILE", "home")
    train("--data=~/bars", "--epochs", 1, "--hidden", "none")


def test_what_is_no_image_of_the_trained_size_is_not_predicted(capsys):
    write_bars("bars", samples=40, end="-ubyte")
    train("bars", "--epochs", 1, "--hidden", "none")
    write_idx("larger", np.zeros((2, 14, 14)))
    Path("table.csv").write_text("a,b\n1,2\n")
    write_idx("none", np.zeros((0, 12, 12)))
    write_bars("empty", samples=40, end="-ubyte")
    write_idx("empty/t10k-images-idx3-ubyte", np.zeros((0, 12, 12)))
    write_idx("empty/t10k-labels-idx1-ubyte", np.zeros(0))
    cases = {
        "none": "none has no images to predict",
        "empty": "empty has no images to predict",
        "larger": "the images have 14 x 14 pixels; the model was trained on 12 x 12 pixels",
        "bars/t10k-labels-idx1-ubyte": "holds an array of shape (80,); a file of images has three axes",
        "table.csv": "table.csv is no IDX file",
        "nowhere": "nowhere: No such file",
        "run": "run has no t10k-images-idx3-ubyte",
    }
    for file, message in cases.items():
        assert message in refused(capsys, "predict", "run", file)
    inside = ["predict", "run", "bars", "--out", "bars/train-labels-idx1-ubyte"]
    assert "holds the data themselves" in refused(capsys, *inside)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "alexnet"},
        {"options": {}},
        {"options": {"sizes": [144, 3]}},
        {"options": {"sizes": [144, 2], "colour": "red"}},
        {"options": [144, 2]},
        {"shape": [12, 12, 2]},
        {"model": "lenet", "options": {"classes": 2, "in_channels": 1, "image_size": 12}},
    ],
)
def test_an_architecture_that_does_not_fit_the_run_is_refused(capsys, change):
    write_bars("bars", samples=40, end="-ubyte")
    train("bars", "--epochs", 1, "--hidden", "none")
    model = json.loads(Path("run/model.json").read_text())
    Path("run/model.json").write_text(json.dumps({**model, "architecture": {**model["architecture"], **change}}))
    assert "run/model.json is damaged" in refused(capsys, "predict", "run", "bars")


def test_weights_of_another_network_are_refused(capsys):
    write_bars("bars", samples=40, end="-ubyte")
    train("bars", "--epochs", 1, "--hidden", "none")
    save_safetensors("run/weights.safetensors", {"0.weight": pb.zeros((2, 3)), "0.bias": pb.zeros(2)})
    assert "0.weight" in refused(capsys, "predict", "run", "bars")
