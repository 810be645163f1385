"""Functions of SciPy and scikit-learn, which have never heard of pullback, given Tensors: values and gradients.

SciPy looks at SCIPY_ARRAY_API when it is first imported, and other tests import it without. So the functions run in
one process of their own, which is this very file as a script; each test looks at its own line of what that wrote.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "array_api_code_by_others.md"
NEEDED = {"scipy": (1, 17), "sklearn": (1, 9)}
PACKAGES = {"scipy": "scipy", "sklearn": "scikit-learn"}

Draw = Callable[[np.random.Generator], np.ndarray]


class Case(NamedTuple):
    """A function, and what it is called with: drawn inputs, then options."""

    name: str
    inputs: tuple[Draw, ...]
    options: dict[str, Any]
    call: Callable[..., Any] | None = None
    """What is called instead of the function of that name, where it wants more than inputs and options."""


def case(name: str, *inputs: Draw, call: Callable[..., Any] | None = None, **options: Any) -> Case:
    return Case(name, inputs, options, call)


def positive(*shape: int) -> Draw:
    return lambda generator: generator.uniform(0.5, 2.0, shape)


def normal(*shape: int) -> Draw:
    return lambda generator: generator.standard_normal(shape)


def fraction(*shape: int) -> Draw:
    return lambda generator: generator.uniform(0.1, 0.9, shape)


def ascending(*shape: int) -> Draw:
    return lambda generator: np.sort(generator.uniform(0.0, 1.0, shape))


def find(name: str) -> Any:
    """A function or class by its full name."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def like(x: Any, data: np.ndarray) -> Any:
    """Constants of the library that x is of."""
    return x.__array_namespace__().asarray(data)


SAMPLES = np.random.default_rng(1).standard_normal((12, 3))
CLASSES = np.arange(12) % 3
TARGETS = np.random.default_rng(2).standard_normal(12)


def fitted(name: str, method: str, target: np.ndarray | None = None, **options: Any) -> Callable[[Any], Any]:
    """A method of a model that was fitted to constants: its parameters are fixed, the gradient is the input's."""

    def call(x: Any) -> Any:
        model = find(name)(**options)
        model.fit(like(x, SAMPLES), None if target is None else like(x, target))
        return getattr(model, method)(x)

    return call


def refitted(name: str, method: str, **options: Any) -> Callable[..., Any]:
    """A method of a model that is fitted to the inputs: the gradient goes through the fit."""
    return lambda x, *target: getattr(find(name)(**options).fit(x, *target), method)(x)


def rotation(make: str, use: Callable[[Any], Any]) -> Callable[..., Any]:
    rotations = "scipy.spatial.transform.Rotation"
    return lambda given: use(getattr(find(rotations), make)(given))


def per_output(metric: str) -> Callable[..., Any]:
    return lambda *inputs: find(f"sklearn.metrics.{metric}")(*inputs, multioutput="raw_values")


STATISTICS = [
    "gmean", "hmean", "skew", "kurtosis", "kstat", "kstatvar", "sem", "tvar", "tstd", "tsem", "tmin", "tmax",
    "gstd", "circmean", "circvar", "circstd", "differential_entropy", "describe",
]  # fmt: skip
TRANSFORMS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftshift"]
KERNELS = [
    "euclidean_distances", "paired_euclidean_distances", "paired_manhattan_distances", "rbf_kernel", "linear_kernel",
    "polynomial_kernel", "sigmoid_kernel", "chi2_kernel",
]  # fmt: skip
ERRORS = [
    "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "mean_squared_log_error",
    "mean_absolute_percentage_error", "mean_pinball_loss",
]  # fmt: skip

PASSING = [
    case("scipy.special.softmax", normal(4, 3), axis=-1),
    *(case(f"scipy.special.{name}", fraction(12)) for name in ("erf", "erfc", "erfinv", "i0e", "i1e", "sinc")),
    case("scipy.special.xlogy", positive(12), positive(12)),
    *(case(f"scipy.stats.{name}", positive(12)) for name in STATISTICS),
    case("scipy.stats.moment", positive(12), order=3),
    case("scipy.stats.pmean", positive(12), p=2.5),
    case("scipy.stats.trim_mean", positive(12), proportiontocut=0.2),
    case("scipy.stats.zmap", positive(12), positive(9)),
    case(
        "scipy.stats.directional_stats",
        normal(5, 3),
        call=lambda x: find("scipy.stats.directional_stats")(x).mean_direction,
    ),
    case("scipy.integrate.trapezoid", positive(9), ascending(9)),
    case("scipy.integrate.cumulative_trapezoid", positive(9), ascending(9)),
    case("scipy.integrate.romb", positive(9)),
    *(case(f"scipy.fft.{name}", positive(12)) for name in TRANSFORMS),
    *(case(f"scipy.fft.{name}", positive(5, 4)) for name in ("fft2", "fftn", "rfft2", "rfftn", "irfft2")),
    case("scipy.signal.fftconvolve", normal(16), normal(5)),
    case("scipy.signal.oaconvolve", normal(16), normal(5)),
    case("scipy.optimize.rosen", positive(6)),
    case(
        "scipy.spatial.transform.Rotation.from_quat, as_matrix",
        normal(4),
        call=rotation("from_quat", lambda r: r.as_matrix()),
    ),
    case(
        "scipy.spatial.transform.Rotation.from_rotvec, apply",
        normal(3),
        call=rotation("from_rotvec", lambda r: r.apply(r.as_rotvec()[::-1])),
    ),
    case(
        "scipy.spatial.transform.Rotation.mean", normal(3, 4), call=rotation("from_quat", lambda r: r.mean().as_quat())
    ),
    case(
        "scipy.spatial.transform.Rotation * Rotation",
        normal(4),
        call=rotation("from_quat", lambda r: (r * r).as_matrix()),
    ),
    *(
        case(f"sklearn.metrics.{name}(raw_values)", positive(5, 3), positive(5, 3), call=per_output(name))
        for name in ERRORS
    ),
    *(case(f"sklearn.metrics.pairwise.{name}", positive(5, 3), positive(5, 3)) for name in KERNELS),
    case(
        "sklearn.preprocessing.KernelCenterer",
        positive(4, 4),
        call=refitted("sklearn.preprocessing.KernelCenterer", "transform"),
    ),
    case(
        "sklearn.preprocessing.StandardScaler.transform",
        normal(5, 3),
        call=fitted("sklearn.preprocessing.StandardScaler", "transform"),
    ),
    case(
        "sklearn.preprocessing.MinMaxScaler.transform",
        normal(5, 3),
        call=fitted("sklearn.preprocessing.MinMaxScaler", "transform"),
    ),
    case(
        "sklearn.decomposition.PCA.fit, transform",
        normal(12, 3),
        call=refitted("sklearn.decomposition.PCA", "transform", n_components=2, svd_solver="full"),
    ),
    case(
        "sklearn.linear_model.RidgeCV.fit, predict",
        normal(12, 3),
        normal(12),
        call=refitted("sklearn.linear_model.RidgeCV", "predict", alphas=[0.1, 1.0]),
    ),
    case(
        "sklearn.linear_model.Ridge.predict",
        normal(5, 3),
        call=fitted("sklearn.linear_model.Ridge", "predict", TARGETS, solver="svd"),
    ),
    case(
        "sklearn.linear_model.LogisticRegression.predict_proba",
        normal(5, 3),
        call=fitted("sklearn.linear_model.LogisticRegression", "predict_proba", CLASSES, solver="lbfgs"),
    ),
    case(
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis.predict_proba",
        normal(5, 3),
        call=fitted("sklearn.discriminant_analysis.LinearDiscriminantAnalysis", "predict_proba", CLASSES),
    ),
    case("sklearn.model_selection.train_test_split", normal(8, 3), random_state=0),
]

REASONS = {
    "writes": "cannot be written to",
    "leaves": "is not turned into a NumPy array",
    "number": "no gradient",
}
STOPPED = {
    "writes": [
        case("scipy.special.logsumexp", normal(4, 3)),
        case("scipy.special.log_softmax", normal(4, 3)),
        *(case(f"scipy.stats.{name}", positive(12)) for name in ("zscore", "variation", "iqr", "tmean", "lmoment")),
        case("scipy.stats.quantile", positive(12), p=0.3),
        case("scipy.stats.pearsonr", positive(12), positive(12)),
        case(
            "scipy.integrate.cumulative_simpson",
            positive(9),
            ascending(9),
            call=lambda y, x: find("scipy.integrate.cumulative_simpson")(y, x=x),
        ),
        case("scipy.signal.hilbert", normal(16)),
        case("scipy.optimize.rosen_der", positive(6)),
        case("scipy.cluster.vq.whiten", positive(5, 3)),
        case("sklearn.metrics.pairwise.cosine_similarity", positive(5, 3), positive(5, 3)),
        case("sklearn.preprocessing.normalize", positive(5, 3)),
        case(
            "sklearn.preprocessing.StandardScaler.fit, transform",
            normal(12, 3),
            call=refitted("sklearn.preprocessing.StandardScaler", "transform"),
        ),
        case(
            "sklearn.linear_model.Ridge.fit, predict",
            normal(12, 3),
            normal(12),
            call=refitted("sklearn.linear_model.Ridge", "predict", solver="svd"),
        ),
    ],
    "leaves": [
        *(case(f"scipy.special.{name}", fraction(12)) for name in ("gammaln", "expit", "ndtr", "entr")),
        case("scipy.signal.detrend", normal(12)),
        case("scipy.signal.convolve", normal(12), normal(5)),
        case("scipy.fft.dct", normal(12)),
        case("scipy.linalg.inv", lambda generator: generator.standard_normal((4, 4)) + 4 * np.eye(4)),
        case("scipy.spatial.distance.pdist", normal(5, 3)),
        case("scipy.ndimage.gaussian_filter", normal(5, 5), sigma=1.0),
        case("scipy.stats.ttest_1samp", positive(12), popmean=1.0),
        case(
            "sklearn.linear_model.LinearRegression.fit",
            normal(12, 3),
            normal(12),
            call=lambda x, y: find("sklearn.linear_model.LinearRegression")().fit(x, y).coef_,
        ),
    ],
    "number": [
        case("sklearn.metrics.mean_squared_error", positive(9), positive(9)),
        case("sklearn.metrics.mean_tweedie_deviance", positive(9), positive(9)),
    ],
}


def numbers(result: Any) -> list[Any]:
    """The real and complex parts of what a function gave, in order."""
    if isinstance(result, (tuple, list)):
        return [part for piece in result for part in numbers(piece)]
    return (
        [result]
        if re.match(r"float|complex", str(getattr(result, "dtype", type(result).__name__)).split(".")[-1])
        else []
    )


def examine(given: Case) -> dict[str, str | None]:
    """What is wrong with the values and with the gradients of a function of Tensors; None where nothing is."""
    import pullback as pb

    generator = np.random.default_rng(0)
    arrays = [draw(generator) for draw in given.inputs]
    call = given.call or find(given.name)
    found: dict[str, str | None] = {"value": None, "gradient": None}
    try:
        expected = numbers(call(*arrays, **given.options))
        got = numbers(call(*map(pb.asarray, arrays), **given.options))
        for a, b in zip(got, expected, strict=True):
            a = a.numpy() if isinstance(a, pb.Tensor) else a
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    except Exception as error:
        found["value"] = f"{type(error).__name__}: {error}"
    try:
        recorded = numbers(call(*(pb.asarray(x).requires_grad_() for x in arrays), **given.options))
        places = [i for i, y in enumerate(recorded) if isinstance(y, pb.Tensor) and y.requires_grad]
        assert places, "no gradient"

        def differentiable(*inputs: Any) -> list[Any]:
            parts = numbers(call(*inputs, **given.options))
            return [parts[i] for i in places]

        pb.check_grads(differentiable, arrays, order=1, rtol=1e-5)
    except Exception as error:
        found["gradient"] = f"{type(error).__name__}: {error}"
    return found


def run_the_example() -> str:
    """What the first example of the page prints."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code[1], str(PAGE), "exec"), {})
    return printed.getvalue()


def installed(library: str) -> bool:
    if find_spec(library) is None:
        return False
    return tuple(map(int, version(PACKAGES[library]).split(".")[:2])) >= NEEDED[library]


def library_of(given: Case) -> str:
    return given.name.partition(".")[0]


def main() -> None:
    """Examine all that is installed, and write what was found as JSON."""
    if installed("sklearn"):
        find("sklearn.set_config")(array_api_dispatch=True)
    cases = [*PASSING, *(given for stopped in STOPPED.values() for given in stopped)]
    found = {given.name: examine(given) for given in cases if installed(library_of(given))}
    json.dump({"found": found, "example": run_the_example()}, sys.stdout)


@pytest.fixture(scope="module")
def report() -> Any:
    if not installed("scipy"):
        pytest.skip("needs SciPy 1.17 or newer: pip install 'pullback[test]'")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PULLBACK_BACKEND": "numpy"}
    run = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def look_up(report: Any, given: Case) -> dict[str, str | None]:
    if given.name not in report["found"]:
        pytest.skip("needs scikit-learn 1.9 or newer: pip install scikit-learn")
    return report["found"][given.name]


def named(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("given", cases, ids=[given.name for given in cases])


@named(PASSING)
def test_values_and_gradients_pass_through(report: Any, given: Case) -> None:
    assert look_up(report, given) == {"value": None, "gradient": None}


@pytest.mark.parametrize(
    ("reason", "given"),
    [pytest.param(reason, given, id=given.name) for reason, cases in STOPPED.items() for given in cases],
)
def test_where_gradients_cannot_pass_values_do_and_the_reason_is_said(report: Any, reason: str, given: Case) -> None:
    found = look_up(report, given)
    assert found["value"] is None
    assert found["gradient"] is not None
    assert REASONS[reason] in found["gradient"]


def test_the_page_names_what_passes_and_what_does_not() -> None:
    told: dict[str, set[str]] = {"yes": set(), "no": set()}
    for cell, gradient in re.findall(r"^\| (`.*?) \| yes \| (yes|no) \|", PAGE.read_text(), re.MULTILINE):
        module, *names = re.findall(r"`([^`]+)`", cell)
        told[gradient] |= {f"{module}.{name}" for name in names}
    assert told["yes"] == {given.name for given in PASSING}
    assert told["no"] == {given.name for cases in STOPPED.values() for given in cases}


def test_the_example_of_the_page_prints_what_it_says(report: Any) -> None:
    told = re.search(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert told is not None
    shown, printed = (re.findall(r"-?\d+\.\d*", text) for text in (told[1], report["example"]))
    np.testing.assert_allclose(np.asarray(shown, float), np.asarray(printed, float), rtol=1e-5)


if __name__ == "__main__":
    main()
