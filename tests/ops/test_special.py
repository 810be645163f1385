"""Special functions: the ops' own lines against SciPy's, at awkward points too, and the kernels that stand in for them.

The errors measured against 40 digits are at most 4 units in the last place in both dtypes, away from zeros.
"""

import subprocess
import sys
from collections.abc import Callable
from math import inf, nan, pi
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import Backend, open_backend
from pullback.backends.scipy_kernels import kernels_of
from pullback.ops import special


def own_lines(name: str, x: np.ndarray, **metadata: Any) -> np.ndarray:
    """The op without its kernel."""
    return np.asarray(registry[name].function(open_backend("numpy").namespace, x, **metadata))


class Range(NamedTuple):
    """Where a function is compared: relative tolerances in float64 and float32, absolute ones in units of those."""

    name: str
    reference: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    rtol: tuple[float, float] = (3e-15, 1e-6)
    near_zeros: float = 0.0
    metadata: dict[str, Any] = {}  # noqa: RUF012


RANGES = [
    Range("erf", scipy.special.erf, -30, 30),
    Range("erfc", scipy.special.erfc, -30, 5),
    Range("erfc", scipy.special.erfc, 5, 9, (1e-13, 1e-6)),  # as far as SciPy's, from here on
    Range("erfc", scipy.special.erfc, 9, 26.5, (1e-13, 0)),
    Range("erfinv", scipy.special.erfinv, -0.999999, 0.999999),
    Range("lgamma", scipy.special.gammaln, 1e-30, 0.5),
    Range("lgamma", scipy.special.gammaln, 0.5, 2.1, near_zeros=0.3),
    Range("lgamma", scipy.special.gammaln, 2.1, 1e30),
    Range("lgamma", scipy.special.gammaln, -150, 0, near_zeros=10.0),
    Range("digamma", scipy.special.digamma, 1e-30, 1.4),
    Range("digamma", scipy.special.digamma, 1.4, 1.5, near_zeros=0.1),
    Range("digamma", scipy.special.digamma, 1.5, 1e30),
    Range("digamma", scipy.special.digamma, -150, 0, (1e-13, 2e-6), near_zeros=1.0),
    Range("polygamma", lambda x: scipy.special.polygamma(1, x), 1e-3, 1e6, metadata={"n": 1}),
    Range("polygamma", lambda x: scipy.special.polygamma(2, x), 1e-3, 1e6, metadata={"n": 2}),
    Range("polygamma", lambda x: scipy.special.polygamma(7, x), 0.1, 1e3, metadata={"n": 7}),
    Range("polygamma", lambda x: scipy.special.polygamma(1, x), -40, 0, (1e-13, 2e-6), metadata={"n": 1}),
    Range("polygamma", lambda x: scipy.special.polygamma(4, x), -40, 0, (1e-12, 5e-6), 100.0, metadata={"n": 4}),
    Range("i0e", scipy.special.i0e, -1e6, 1e6),
    Range("i0e", scipy.special.i0e, -20, 20),
    Range("i1e", scipy.special.i1e, -1e6, 1e6),
    Range("i1e", scipy.special.i1e, -20, 20),
    Range("modified_bessel", lambda x: scipy.special.ive(2, x) / x**2, 1e-2, 100, (1e-13, 1e-6), metadata={"n": 2}),
    Range("sinc", np.sinc, -100, 100, near_zeros=0.1),
    Range(
        "spherical_bessel",
        lambda x: scipy.special.spherical_jn(3, pi * x) / (pi * x) ** 3,
        1e-2,
        10,
        (3e-13, 5e-6),
        0.1,
        metadata={"n": 3},
    ),
]


def agrees(case: Range, x: np.ndarray) -> None:
    got = own_lines(case.name, x, **case.metadata)
    expected = case.reference(x.astype("float64"))
    rtol = case.rtol[x.dtype == np.float32]
    assert got.dtype == x.dtype
    smallest = float(np.finfo(x.dtype).tiny)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=max(case.near_zeros * rtol, smallest))


def dtypes(case: Range) -> list[str]:
    return ["float64", "float32"][: 1 + (case.rtol[1] > 0)]


GRIDS = [
    pytest.param(case, dtype, id=f"{case.name}-{number}-{dtype}")
    for number, case in enumerate(RANGES)
    for dtype in dtypes(case)
]


@pytest.mark.parametrize(("case", "dtype"), GRIDS)
def test_own_lines_are_scipys_on_a_dense_grid(case: Range, dtype: str) -> None:
    x = np.linspace(case.low, case.high, 20_001)[1:-1]
    if case.low > 0:
        x = np.concatenate([x, np.geomspace(case.low, case.high, 20_001)[1:-1]])
    x = x.astype(dtype)
    agrees(case, x[x != np.round(x)] if case.low < 0 and "gamma" in case.name else x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_own_lines_are_scipys_anywhere(dtype: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([case for case in RANGES if dtype in dtypes(case)]))
    width = int(dtype[-2:])
    low, high = (float(np.dtype(dtype).type(bound)) for bound in (case.low, case.high))
    elements = st.floats(low, high, width=width, allow_subnormal=False)
    if case.low < 0 and "gamma" in case.name:
        # SciPy's distance from a pole is rounded, which shows near it.
        elements = elements.filter(lambda x: abs(x - round(x)) > 1e-3)
    agrees(case, data.draw(arrays(dtype, 4, elements=elements)))


# To 17 digits by mpmath, where SciPy's are fewer or where one formula gives way to another.
KNOWN = [
    ("erf", 0.46875, 0.49261347321793799),
    ("erfc", 12.0625, 2.9989165805056539660e-65),
    ("erfc", 26.5, 2.2109076642637342759e-307),
    ("erfinv", 0.875, 1.0847870400692831413),
    ("erfinv", 1 - 2.0**-40, 5.0512540852493899671),
    ("lgamma", 1.96875, -0.012895025980167410621),
    ("lgamma", 1.0009765625, -5.629031799912046317e-4),
    ("lgamma", -7.3125, -7.832171538695549679),
    ("digamma", 1.46875, 6.8654114707357767281e-3),
    ("digamma", 1.4616321325302124, -1.2036052549106669488e-8),
    ("digamma", -0.28125, 2.3875669781990257059),
    ("digamma", -0.99999, -99999.57718967068369),
    ("lgamma", -1 - 2.0**-40, 27.725887222397427857),
    ("i0e", 12.25, 0.11520524238907617722),
    ("i1e", 12.25, 0.11039797177996275852),
    ("i1e", 0.0078125, 3.8758808918031526141e-3),
    ("sinc", 1000000.25, 2.2507902276952082501e-7),
]


@pytest.mark.parametrize(("name", "x", "expected"), KNOWN)
def test_own_lines_are_exact_to_the_last_digits(name: str, x: float, expected: float) -> None:
    assert own_lines(name, np.asarray(x)) == pytest.approx(expected, rel=1e-15, abs=0.0)


SPECIAL_VALUES = {
    "erf": {0.0: 0.0, inf: 1.0, -inf: -1.0, nan: nan},
    "erfc": {0.0: 1.0, inf: 0.0, -inf: 2.0, nan: nan, 40.0: 0.0},
    "erfinv": {0.0: 0.0, 1.0: inf, -1.0: -inf, 1.5: nan, -2.0: nan, inf: nan, nan: nan},
    # SciPy has -inf at -inf; C and PyTorch have inf.
    "lgamma": {0.0: inf, -1.0: inf, -1e20: inf, inf: inf, -inf: inf, nan: nan, 1.0: 0.0, 2.0: 0.0},
    "digamma": {0.0: -inf, -1.0: nan, -1e20: nan, inf: inf, -inf: nan, nan: nan},
    "i0e": {0.0: 1.0, inf: 0.0, -inf: 0.0, nan: nan},
    "i1e": {0.0: 0.0, inf: 0.0, -inf: 0.0, nan: nan},
    "sinc": {0.0: 1.0, 1.0: 0.0, -7.0: 0.0, 1e6: 0.0, nan: nan},
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SPECIAL_VALUES)
def test_special_values_are_met_without_a_warning(name: str, dtype: str, place: Backend) -> None:
    x, expected = (np.asarray(list(part), dtype=dtype) for part in zip(*SPECIAL_VALUES[name].items(), strict=True))
    np.testing.assert_array_equal(own_lines(name, x), expected)
    got = place.to_host(getattr(special, name)(place.from_host(x)))
    np.testing.assert_array_equal(got[x > -inf], expected[x > -inf])


def test_zeros_have_signs() -> None:
    x = np.asarray([0.0, -0.0])
    np.testing.assert_array_equal(np.signbit(own_lines("erf", x)), [False, True])
    np.testing.assert_array_equal(own_lines("lgamma", x), [inf, inf])
    np.testing.assert_array_equal(own_lines("digamma", x), [-inf, inf])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma_at_its_poles_is_scipys(n: int) -> None:
    x = np.asarray([0.0, -0.0, -1.0, -30.0, -1e20, -inf, inf, nan])
    np.testing.assert_array_equal(own_lines("polygamma", x, n=n), scipy.special.polygamma(n, x))


@pytest.mark.parametrize("n", [-1, 1.5])
def test_polygamma_refuses_what_is_no_order(n: Any) -> None:
    with pytest.raises(ValueError, match="polygamma has a whole order of 0 or more; got n="):
        special.polygamma(n, np.ones(2))


def test_polygamma_of_order_zero_is_digamma() -> None:
    assert special.polygamma(0, np.asarray([2.5])) == special.digamma(np.asarray([2.5]))


def derivative(function: Callable[[Any], Any], order: int, x: float) -> float:
    for _ in range(order):
        function = pb.grad(function)
    return float(function(pb.tensor(x, dtype="float64")))


@pytest.mark.parametrize("x", [-2.3, -0.5, 0.2, 3.7, 25.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_lgamma_is_closed_under_differentiation(order: int, x: float, place: Backend) -> None:
    expected = float(scipy.special.polygamma(order - 1, x))
    assert derivative(special.lgamma, order, x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", range(9))
def test_sinc_has_every_derivative_at_zero(order: int, place: Backend) -> None:
    expected = 0.0 if order % 2 else (-1) ** (order // 2) * pi**order / (order + 1)
    assert derivative(special.sinc, order, 0.0) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("x", [1e-9, 1e-4, 0.3, 1.0065, 1.01, 40.25])
def test_derivatives_of_sinc_are_integrals_of_cosines(x: float) -> None:
    t, weight = np.polynomial.legendre.leggauss(200)
    t, weight = (t + 1) / 2, weight / 2  # sinc(x) is the integral of cos(pi * x * t) for t from 0 to 1
    for order in range(4):
        expected = np.sum(weight * (pi * t) ** order * np.cos(pi * x * t + order * pi / 2))
        assert derivative(special.sinc, order, x) == pytest.approx(expected, rel=1e-11, abs=1e-13)


def test_scaled_bessel_functions_at_their_kink(place: Backend) -> None:
    assert [derivative(special.i0e, order, 0.0) for order in (0, 1)] == [1.0, 0.0]
    assert [derivative(special.i1e, order, 0.0) for order in (0, 1, 2)] == [0.0, 0.5, 0.0]
    for side in (-1, 1):
        assert derivative(special.i0e, 1, side * 1e-12) == pytest.approx(-side)
        assert derivative(special.i1e, 1, side * 1e-12) == pytest.approx(0.5)
        assert derivative(special.i1e, 2, side * 1e-12) == pytest.approx(-side)


@pytest.mark.parametrize("x", [-15.0, -3.0, 1e-3, 0.5, 11.99, 12.01, 200.0])
def test_scaled_bessel_functions_differentiate_into_neighbours(x: float) -> None:
    def ive(n: int) -> float:
        return float(scipy.special.ive(n, x))

    sign = np.sign(x)
    # I_n' is the mean of its neighbours, DLMF 10.29.1.
    slopes = {n: (ive(n - 1) + ive(n + 1)) / 2 - sign * ive(n) for n in (0, 1, 2)}
    assert derivative(special.i0e, 1, x) == pytest.approx(slopes[0], rel=1e-10)
    assert derivative(special.i1e, 1, x) == pytest.approx(slopes[1], rel=1e-10)
    second = (slopes[0] + slopes[2]) / 2 - sign * slopes[1]
    assert derivative(special.i1e, 2, x) == pytest.approx(second, rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("gap", [1e-1, 1e-4, 1e-8, 1e-12, 2.0**-53])
def test_erfinv_is_steep_near_one(gap: float) -> None:
    y = scipy.special.erfinv(1 - gap)
    expected = np.sqrt(pi) / 2 * np.exp(y * y)
    for x in (1 - gap, gap - 1):
        assert abs(own_lines("erfinv", np.asarray(x))) == pytest.approx(y, rel=3e-15)
        assert derivative(special.erfinv, 1, x) == pytest.approx(expected, rel=1e-13)
        assert derivative(special.erfinv, 2, x) == pytest.approx(np.sign(x) * 2 * y * expected**2, rel=1e-12)


ROWS = np.asarray([[1.0, -inf, 2.0], [-inf, -inf, -inf], [800.0, 1000.0, -1000.0], [inf, 0.0, -inf], [nan, 0.0, 1.0]])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logsumexp_is_scipys_also_of_infinite_rows(dtype: str, place: Backend) -> None:
    with np.errstate(all="ignore"):
        expected = scipy.special.logsumexp(ROWS, axis=1)
    x = pb.tensor(ROWS.tolist(), dtype=dtype, requires_grad=True)
    y = special.logsumexp(x, axis=1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6 if dtype == "float32" else 1e-15)
    y.backward(pb.ones_like(y))
    share = [1 / (1 + np.e), 0.0, 1 / (1 + 1 / np.e)]
    np.testing.assert_allclose(x.grad.numpy()[:4], [share, [0.0] * 3, [0.0, 1.0, 0.0], [0.0] * 3], 1e-6, 1e-80)
    assert np.isnan(x.grad.numpy()[4]).all()


@pytest.mark.parametrize(("shape", "axis"), [((0,), None), ((0, 3), 0), ((0, 3), (0, 1)), ((3, 0), -1)])
def test_logsumexp_of_nothing_is_minus_infinity(shape: Any, axis: Any, place: Backend) -> None:
    for keepdims in (False, True):
        y = special.logsumexp(place.from_host(np.zeros(shape)), axis=axis, keepdims=keepdims)
        expected = np.sum(np.zeros(shape), axis=axis, keepdims=keepdims) - inf
        np.testing.assert_array_equal(place.to_host(y), expected)


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4)),
    st.sampled_from([None, 0, -1, (0, 1), (1,)]),
    st.booleans(),
)
def test_logsumexp_is_scipys(x: np.ndarray, axis: Any, keepdims: bool) -> None:
    expected = scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(special.logsumexp(x, axis=axis, keepdims=keepdims), expected, rtol=1e-14, atol=1e-14)


X1 = [0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, nan, -1.5]
X2 = [0.0, -1.0, nan, inf, 2.0, nan, 0.5, 1.0, 7.0]


def test_xlogy_is_scipys(place: Backend) -> None:
    y = special.xlogy(pb.tensor(X1, dtype="float64"), pb.tensor(X2, dtype="float64"))
    np.testing.assert_allclose(y.numpy(), scipy.special.xlogy(X1, X2), rtol=1e-15)


def test_the_gradients_of_xlogy_at_zero_are_finite(place: Backend) -> None:
    x1, x2 = (pb.tensor(values[:5], dtype="float64", requires_grad=True) for values in (X1, X2))
    special.xlogy(x1, x2).sum().backward()
    np.testing.assert_array_equal(x1.grad.numpy(), [0.0, 0.0, nan, inf, np.log(2)])
    np.testing.assert_array_equal(x2.grad.numpy(), [0.0, 0.0, nan, 0.0, 0.0])


def test_the_mixed_derivative_of_xlogy_at_zero_is_one_over_the_other(place: Backend) -> None:
    zero, x2 = pb.tensor(0.0, dtype="float64"), pb.tensor(4.0, dtype="float64")
    assert float(pb.grad(lambda b: pb.grad(lambda a: special.xlogy(a, b))(zero))(x2)) == 0.25
    assert float(pb.grad(lambda a: pb.grad(lambda b: special.xlogy(a, b))(x2))(zero)) == 0.25


def test_entropy_has_a_gradient_where_a_probability_is_zero() -> None:
    p = pb.tensor([0.0, 0.25, 0.75], dtype="float64", requires_grad=True)
    special.xlogy(p, p).sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), [0.0, 1 + np.log(0.25), 1 + np.log(0.75)])


KERNELS = kernels_of("scipy.special")


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_kernels_keep_the_dtype(name: str, dtype: str) -> None:
    for x in (np.asarray([0.25, 0.5], dtype=dtype), np.asarray(0.5, dtype=dtype), np.dtype(dtype).type(0.5)):
        assert KERNELS[name](x).dtype == dtype


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_decline_what_is_not_floating_and_what_is_not_installed(name: str) -> None:
    assert KERNELS[name](np.asarray([1])) is NotImplemented
    assert kernels_of("pullback.no_such_library")[name](np.asarray([0.5])) is NotImplemented


@pytest.mark.parametrize("name", KERNELS)
def test_without_the_library_the_ops_own_lines_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = open_backend("numpy")
    monkeypatch.setattr(type(numpy), "kernels", kernels_of("pullback.no_such_library"))
    monkeypatch.setattr(numpy, "implementations", {})
    monkeypatch.setattr(registry[name], "_runs", {})
    x = np.asarray([0.25, 0.7])
    np.testing.assert_array_equal(getattr(special, name)(x), own_lines(name, x))


def test_another_library_serves_its_arrays_by_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    standin = ModuleType("cupyx_standin")
    standin.gammaln = lambda x: x + 1
    monkeypatch.setitem(sys.modules, "cupyx_standin", standin)
    np.testing.assert_array_equal(kernels_of("cupyx_standin")["lgamma"](np.ones(2)), [2.0, 2.0])


def test_scipy_is_imported_by_the_first_call_that_has_a_use_for_it() -> None:
    code = """
import sys, numpy, pullback
from pullback.ops import special
x = numpy.ones(2)
pullback.exp(x), special.sinc(x)
print("scipy" in sys.modules)
special.erf(x)
print("scipy" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
