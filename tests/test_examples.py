"""Every example runs, draws its pictures, and finds what it says it finds."""

import json
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from math import log
from pathlib import Path

import numpy as np
import pytest

from pullback import optim

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PICTURES = {
    name: re.findall(r"`(\w+\.png)`", row)
    for name, row in re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\)(.*)", (EXAMPLES / "README.md").read_text("utf-8"), re.M)
}
LONG = {name for name in PICTURES if "--quick" in (EXAMPLES / f"{name}.py").read_text("utf-8")}
"""They take minutes, and run shortened here; `ci/examples` runs them in full."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What an example's `main` returns, and the folder with its pictures; each example runs once."""

    @cache
    def run(name):
        out = tmp_path_factory.mktemp(name)
        shortened = ["--quick"] if name in LONG else []
        return import_module(name).main(["--out", str(out), *shortened]), out

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield run


def test_the_readme_lists_every_example():
    assert set(PICTURES) == {path.stem for path in EXAMPLES.glob("*.py")} - {"figures", "goals"}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_drawn(run, name):
    from matplotlib.image import imread

    _, out = run(name)
    assert sorted(path.name for path in out.glob("*.png")) == sorted(PICTURES[name])
    for picture in PICTURES[name]:
        pixels = imread(out / picture)[..., :3]
        assert min(pixels.shape[:2]) >= 600
        inked = np.any(pixels < 0.9, axis=-1)
        assert 0.01 < inked.mean() < 0.9
        # A half without ink would be a panel left empty.
        assert all(half.any() for half in (*np.array_split(inked, 2), *np.array_split(inked, 2, axis=1)))
        assert len(np.unique(np.round(pixels[::5, ::5] @ [100, 10, 1]))) > 10


def test_an_example_runs_as_a_script(tmp_path):
    script = [sys.executable, str(EXAMPLES / "backprop_by_hand.py")]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "dL/dz = dL/dh * h * (1 - h)" in done.stdout
    assert not done.stderr
    assert (tmp_path / "runs" / "examples" / "backprop_by_hand.png").exists()


def test_gradients_by_hand_equal_those_of_backward_and_of_differences(run):
    found, _ = run("backprop_by_hand")
    module = import_module("backprop_by_hand")
    for name, by_hand in found["by_hand"].items():
        np.testing.assert_allclose(found["by_pullback"][name], by_hand, rtol=0, atol=1e-12)
        for place in np.ndindex(by_hand.shape):
            nudge = np.zeros(by_hand.shape)
            nudge[place] = 1e-6
            up, down = (
                module.forward(**{**module.START, name: module.START[name] + sign * nudge})[-1] for sign in (1, -1)
            )
            assert by_hand[place] == pytest.approx((up - down) / 2e-6, abs=1e-9)
    assert found["loss_after"] < found["loss_before"]


def test_the_three_kinds_differ_as_they_are_said_to(run):
    found, _ = run("three_kinds_of_gradient_descent")
    paths, costs, lowest = found["paths"], found["costs"], found["lowest"]
    assert {kind: len(path) - 1 for kind, path in paths.items()} == {"BGD": 8, "MBGD": 40, "SGD": 320}
    uphill = {kind: np.mean(np.diff(values) > 0) for kind, values in costs.items()}
    assert uphill["BGD"] == 0 < uphill["MBGD"] < uphill["SGD"]
    assert all(values.min() >= lowest for values in costs.values())
    # After the same epochs BGD is still far off, MBGD has arrived.
    assert costs["BGD"][-1] > 2 * lowest
    assert costs["MBGD"][-1] < 1.05 * lowest
    # SGD is there before the first epoch ends, and never settles.
    assert costs["SGD"][:40].min() < 1.1 * lowest < costs["MBGD"][:6].min() < costs["BGD"][:2].min()
    assert np.std(paths["SGD"][160:], axis=0).min() > 2 * np.std(paths["MBGD"][-10:], axis=0).max()


def test_the_paths_are_those_of_the_textbook(run):
    found, _ = run("three_kinds_of_gradient_descent")
    module = import_module("three_kinds_of_gradient_descent")
    X, y = module.make_points()
    theta = module.START
    for point in found["paths"]["BGD"]:
        np.testing.assert_allclose(point, theta, rtol=1e-12)
        theta = theta - module.ALPHA * X.T @ (X @ theta - y) / len(X)

    # Every step of SGD is that of one row, and an epoch goes through all rows.
    seen = []
    for before, after in zip(found["paths"]["SGD"], found["paths"]["SGD"][1:], strict=False):
        of_rows = before - module.ALPHA * (X @ before - y)[:, None] * X
        (row,) = np.flatnonzero(np.all(np.isclose(of_rows, after, rtol=0, atol=1e-12), axis=1))
        seen.append(row)
    assert all(sorted(seen[start : start + 40]) == list(range(40)) for start in range(0, 320, 40))


def test_learning_rates_crawl_arrive_and_diverge(run):
    found, _ = run("learning_rates")
    X, y = import_module("learning_rates").make_points()
    best = np.linalg.lstsq(X, y)[0]
    lowest = np.mean((X @ best - y) ** 2) / 2
    crawling, right, exploding = (found["costs"][name] - lowest for name in ("too small", "right", "too large"))
    assert np.all(np.diff(crawling) < 0)
    assert crawling[-1] > lowest
    assert 0 <= right[-1] < 1e-6
    # Along the steepest axis a step multiplies the distance by 1 - alpha * lambda, the cost by its square.
    factor = 1 - found["rates"]["too large"] * 2 / found["limit"]
    assert factor == pytest.approx(-1.1)
    assert exploding[-1] / exploding[-2] == pytest.approx(factor**2, rel=1e-6)
    diverged = found["diverged"]
    assert isinstance(diverged, optim.Diverged)
    assert diverged.iteration == len(exploding) + 1
    assert diverged.last_loss == pytest.approx(found["costs"]["too large"][-1])


def test_xor_is_solved_from_some_starts_and_not_from_others(run):
    found, _ = run("xor")
    last = [losses[-1] for losses in found["losses"]]
    assert found["right"][found["best"]] == 4
    assert found["best"] == int(np.argmin(last))
    stuck = [loss for loss, right in zip(last, found["right"], strict=True) if right < 4]
    # Two points right, a coin toss for the other two.
    assert stuck == pytest.approx([log(2) / 2] * len(stuck), abs=0.01)
    assert 1 <= len(stuck) < len(last)


def test_digits_are_read(run):
    found, _ = run("digits")
    assert found["accuracy"] >= 0.97
    assert found["confusion"].sum() == 359
    assert np.trace(found["confusion"]) == round(359 * found["accuracy"]) == 359 - found["wrong"]


def test_network_and_least_squares_draw(run):
    found, _ = run("regression_on_a_table")
    true = found["true"]
    for name, predicted in found["predicted"].items():
        r2 = 1 - np.sum((predicted - true) ** 2) / np.sum((true - true.mean()) ** 2)
        assert found["overall"][name] == pytest.approx(r2, abs=1e-6)
        assert r2 > 0.4
    np.testing.assert_allclose(found["predicted"]["gradient descent"], found["predicted"]["closed form"], atol=0.1)
    # What is said of them: ahead now and then, and less apart than the folds are.
    line, network = (np.asarray(found["r2"][name]) for name in ("closed form", "network"))
    assert 0 < np.sum(network > line) < len(line)
    assert abs(found["overall"]["network"] - found["overall"]["closed form"]) < np.std(line) / 2


def test_every_backend_answers_in_kind_and_learns_alike(run):
    found, _ = run("choosing_the_backend")
    assert {"numpy", "array_api_strict"} <= set(found["losses"])
    for name, (taken, given) in found["kinds"].items():
        assert taken == given
        assert taken.partition(".")[0] == name
        np.testing.assert_allclose(found["losses"][name], found["losses"]["numpy"], rtol=1e-4)
        np.testing.assert_allclose(found["curves"][name], found["curves"]["numpy"], rtol=0, atol=1e-12)
    assert found["losses"]["numpy"][-1] < found["losses"]["numpy"][0] / 2


@pytest.mark.parametrize("name", sorted(LONG))
def test_long_ones_say_what_they_set_out_to_reach(run, name):
    found, out = run(name)
    written = json.loads((out / f"{name}.json").read_text("utf-8"))
    assert [goal["text"] for goal in written] == [str(goal) for goal in found["goals"]]
    assert [goal["reached"] for goal in written] == [goal.reached for goal in found["goals"]]
    assert all(np.isfinite(goal.value) for goal in found["goals"])


def test_a_full_run_that_misses_its_goal_fails(tmp_path):
    from goals import Goal, report

    missed = [Goal("accuracy", 0.8, at_least=0.9), Goal("loss", 1.0, at_most=2.0)]
    assert [goal.reached for goal in missed] == [False, True]
    report(missed, tmp_path / "x.json", quick=True)
    with pytest.raises(SystemExit):
        report(missed, tmp_path / "x.json")


def test_a_shortened_lenet_and_resnet_are_better_than_chance(run):
    assert run("fashion_lenet")[0]["accuracy"] > 0.4
    assert run("fashion_resnet")[0]["accuracy"] > 0.3
    assert run("fashion_lenet")[0]["confusion"].sum() == 1000


def test_shortened_autoencoders_learn_something(run):
    found, _ = run("fashion_autoencoder")
    assert found["mistake"] < 0.12  # of an image that is grey all over it is about 0.17
    assert found["bound"] < 784 * log(2)


def test_the_distance_of_two_samples_is_that_of_its_definition(run):
    module = import_module("digits_gan")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((9, 3)) + 0.5
    width = np.median([np.sum((x - y) ** 2) for x in b for y in b])
    kernel = lambda x, y: np.exp(-np.sum((x - y) ** 2) / width)
    of_pairs = lambda s: np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])
    expected = of_pairs(a) + of_pairs(b) - 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert module.distance(a, b) == pytest.approx(expected, rel=1e-9)
    distances = run("digits_gan")[0]["distances"]
    assert distances[-1] < distances[0]


@pytest.mark.parametrize("name", ["shakespeare_gpt", "shakespeare_lstm"])
def test_what_reads_shakespeare_knows_his_letters_soon(run, name):
    found, _ = run(name)
    assert max(found["validation"].values()) < log(65) + 0.2
    assert found["validation"][max(found["validation"])] < 3.4 < found["losses"][0]
    assert len(found["sample"]) == 121


def test_scikit_learn_and_pullback_draw(run):
    for name, scores in run("against_scikit_learn")[0]["scores"].items():
        assert scores.shape == (5, 2)
        assert abs(np.diff(scores.mean(axis=0))[0]) < (0.08 if name == "diabetes" else 0.03)
