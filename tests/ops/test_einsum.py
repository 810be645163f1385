"""einsum against NumPy's, over random subscripts and shapes; its gradients, under vmap, on every backend."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.backends import Backend, backend_of
from pullback.ops.einsum import _plan, einsum

CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bihd,bjhd->bhij", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("bhij,bjhd->bihd", (2, 2, 3, 4), (2, 4, 2, 5)),
    ("ijk,ljm->imlk", (2, 3, 4), (5, 3, 6)),
    ("ijk,k->ij", (2, 3, 4), (4,)),
    ("ijk,j->ik", (2, 3, 4), (3,)),
    ("ijkl,lkmn->mnij", (2, 3, 4, 5), (5, 4, 2, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ij->i", (2, 1), (1, 3)),
    ("i,j->ji", (2,), (3,)),
    ("i,j", (2,), (3,)),
    ("ij,jb->bi", (2, 3), (3, 4)),
    ("ii", (3, 3)),
    ("iij->ji", (3, 3, 2)),
    ("i i j j -> i j", (2, 2, 3, 3)),
    ("iii->i", (3, 3, 3)),
    ("ii,ij->j", (3, 3), (3, 2)),
    ("ba", (2, 3)),
    ("Ba,aB", (2, 3), (3, 2)),
    ("ij->", (2, 3)),
    ("->", ()),
    (",i->i", (), (3,)),
    ("...ij,...jk", (2, 3, 4), (5, 2, 4, 6)),
    ("i...,...i->...", (3, 2), (2, 3)),
    ("...->...", (2, 3)),
    ("...i->i...", (2, 3, 4)),
    ("i...->i", (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)),
    ("i,j,k->kji", (2,), (3,), (4,)),
    ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 2), (2, 3)),
    ("ij,ij,ij->j", (2, 3), (2, 3), (1, 3)),
    ("a,ab,bc->c", (1,), (1, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 4)),
    ("ij,jk->ik", (0, 2), (2, 4)),
    ("ij,kj->", (0, 2), (3, 1)),
]
DTYPES = ("float64", "complex128", "float32", "complex64", "int64", "int32")


def drawn(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng((seed, *shape))
    if dtype.startswith("int"):
        return generator.integers(-5, 6, shape).astype(dtype)
    imaginary = generator.standard_normal(shape) * 1j if dtype.startswith("complex") else 0
    return np.asarray(generator.standard_normal(shape) + imaginary).astype(dtype)


def operands_of(shapes: tuple[tuple[int, ...], ...], dtype: str = "float64") -> list[np.ndarray]:
    return [drawn(shape, dtype, seed) for seed, shape in enumerate(shapes)]


@st.composite
def expressions(draw: Any) -> tuple[str, list[tuple[int, ...]]]:
    """Subscripts and shapes that fit: diagonals, sums, broadcasting, ellipses and lengths of 0 and 1 among them."""
    lengths = {letter: draw(st.sampled_from((0, 1, 2, 2, 3))) for letter in "abcdE"}
    wide = draw(st.lists(st.sampled_from((1, 2, 3)), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from(sorted(lengths)), max_size=4))
        short = {a: draw(st.sampled_from((lengths[a], lengths[a], 1))) for a in sorted(set(letters))}
        shape, term = [short[a] for a in letters], "".join(letters)
        if draw(st.booleans()):
            at = draw(st.integers(0, len(letters)))
            own = wide[draw(st.integers(0, len(wide))) :]
            own = [draw(st.sampled_from((n, 1))) for n in own]
            shape[at:at], term = own, term[:at] + "..." + term[at:]
        terms.append(term)
        shapes.append(tuple(shape))
    if draw(st.booleans()):
        return ",".join(terms), shapes
    known = sorted({a for term in terms for a in term.replace(".", "")})
    output = draw(st.permutations(known))[: draw(st.integers(0, len(known)))] if known else []
    at = draw(st.integers(0, len(output)))
    spread = any("..." in term for term in terms)
    return f"{','.join(terms)}->{''.join(output[:at])}{'...' if spread else ''}{''.join(output[at:])}", shapes


@settings(max_examples=300, deadline=None)
@given(expression=expressions(), dtype=st.sampled_from(("float64", "complex128")))
def test_it_is_numpys(expression: tuple[str, list[tuple[int, ...]]], dtype: str) -> None:
    subscripts, shapes = expression
    operands = operands_of(tuple(shapes), dtype)
    expected = np.einsum(subscripts, *operands)
    got = einsum(subscripts, *operands)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_the_same_on_every_backend(case: Any, place: Backend) -> None:
    subscripts, *shapes = case
    operands = operands_of(tuple(shapes))
    got = einsum(subscripts, *(place.from_host(x) for x in operands))
    assert backend_of(got).name == place.name
    assert place.several_devices is False or place.device_of(got) == place.device
    np.testing.assert_allclose(place.to_host(got), np.einsum(subscripts, *operands), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivatives_of_first_and_second_order(case: Any, dtype: str) -> None:
    subscripts, *shapes = case
    pb.check_grads(lambda *xs: einsum(subscripts, *xs), operands_of(tuple(shapes), dtype), order=2)


@pytest.mark.parametrize("case", [case for case in CASES if len(case) > 2], ids=str)
def test_gradients_on_every_backend_are_einsums_again(case: Any, place: Backend) -> None:
    subscripts, *shapes = case
    operands = operands_of(tuple(shapes))
    variables = [pb.Tensor(place.from_host(x)).requires_grad_() for x in operands]
    y = einsum(subscripts, *variables)
    weight = drawn(y.shape, seed=9)
    y.backward(pb.Tensor(place.from_host(weight)))
    for x, variable in zip(operands, variables, strict=True):
        assert (variable.grad.shape, variable.grad.dtype) == (variable.shape, variable.dtype)
        assert variable.grad.device == variable.device
        moved = drawn(x.shape, seed=10)
        others = [moved if other is x else other for other in operands]
        slope = (np.einsum(subscripts, *others) * weight).sum()  # einsum is linear in each operand
        np.testing.assert_allclose((variable.grad.numpy() * moved).sum(), slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_under_vmap_it_is_a_loop(case: Any, place: Backend) -> None:
    subscripts, *shapes = case
    for shared in range(-1, len(shapes) if len(shapes) > 1 else 0):
        axes = tuple(None if number == shared else 0 for number in range(len(shapes)))
        whole = [
            drawn(shape if axis is None else (3, *shape), seed=number)
            for number, (shape, axis) in enumerate(zip(shapes, axes, strict=True))
        ]
        mapped = pb.vmap(lambda *xs: einsum(subscripts, *xs), in_axes=axes)
        got = mapped(*(place.from_host(x) for x in whole))
        each = [
            np.einsum(subscripts, *(x if axis is None else x[i] for x, axis in zip(whole, axes, strict=True)))
            for i in range(3)
        ]
        np.testing.assert_allclose(place.to_host(got), np.stack(each), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_data_types_are_promoted_as_numpy_does(first: str, second: str) -> None:
    for subscripts, *shapes in (
        ("ij,jk->ik", (2, 3), (3, 2)),
        ("ij,ij->ij", (2, 3), (1, 3)),
        ("ij,k->k", (2, 3), (2,)),
    ):
        operands = [drawn(shapes[0], first), drawn(shapes[1], second)]
        expected = np.einsum(subscripts, *operands)
        got = einsum(subscripts, *operands)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("subscripts", ["ij,->", "i,jkk->j", "ij,k->k", "ij,j->j"])
def test_what_is_summed_alone_is_summed_in_the_data_type_of_the_result(subscripts: str) -> None:
    lengths = dict(zip("ijk", (7, 5, 5), strict=True))
    first, second = (drawn(tuple(lengths[i] for i in part)) for part in subscripts.split("->")[0].split(","))
    for operands in ((first.astype("float32"), second), (first, second.astype("float32"))):
        np.testing.assert_allclose(einsum(subscripts, *operands), np.einsum(subscripts, *operands), rtol=1e-13)


def test_real_and_complex_meet_on_every_backend(place: Backend) -> None:
    operands = [drawn((2, 3), "float32"), drawn((3, 2), "complex64")]
    got = einsum("ij,jk", *map(place.from_host, operands))
    np.testing.assert_allclose(place.to_host(got), np.einsum("ij,jk", *operands), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [("ii->", (3, 3)), ("ij->i", (2, 3)), ("ij,k->k", (2, 3), (2,))], ids=str)
@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_sums_keep_the_data_type(case: Any, dtype: str) -> None:
    subscripts, *shapes = case
    assert einsum(subscripts, *(np.ones(shape, dtype) for shape in shapes)).dtype == dtype


def test_a_number_counts_as_an_operand_without_axes() -> None:
    x = drawn((3,), "float32")
    got = einsum(",i->i", 2.0, x)
    assert got.dtype == "float32"
    np.testing.assert_array_equal(got, 2 * x)


@pytest.mark.parametrize("case", [case for case in CASES if len(case) > 3], ids=str)
def test_without_opt_einsum_it_goes_from_left_to_right(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subscripts, *shapes = case
    operands = operands_of(tuple(shapes))
    _plan.cache_clear()
    monkeypatch.setitem(sys.modules, "opt_einsum", None)
    try:
        np.testing.assert_allclose(einsum(subscripts, *operands), np.einsum(subscripts, *operands), rtol=1e-12)
    finally:
        _plan.cache_clear()


def test_opt_einsum_chooses_the_cheap_order() -> None:
    pytest.importorskip("opt_einsum", reason="opt_einsum is not installed: pip install 'pullback[einsum]'")
    plan = _plan("ij,jk,kl->il", ((50, 50), (50, 50), (50, 1)))
    assert plan.pairs[0][0] in ((1, 2), (2, 1))


def test_a_pair_is_one_matrix_product_and_views(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(sys.modules["pullback.ops.einsum"], "matmul", lambda *given: calls.append(given) or given[0])
    _plan.cache_clear()
    query, key = drawn((2, 5, 3, 4)), drawn((2, 6, 3, 4))
    einsum("bihd,bjhd->bhij", query, key)
    _plan.cache_clear()
    ((left, right),) = calls
    assert np.shares_memory(left, query)
    assert np.shares_memory(right, key)


@pytest.mark.parametrize(
    ("subscripts", "operands", "message"),
    [
        ("ij,jk->il", [(2, 2), (2, 2)], "the result has the index 'l', which no operand has"),
        ("i->ii", [(2,)], "the result has the index 'i' twice"),
        ("ij,jk", [(2, 2)], "describes 2 operands; got 1"),
        ("ij,jk", [(2, 2), (3, 2)], "the index 'j' has the length 2 in operand 0 and 3 in operand 1"),
        ("ii", [(3, 1)], "the index 'i' has the length 3 in operand 0 and 1 in operand 0"),
        ("i,ii->i", [(2,), (1, 2)], "the index 'i' has the length 1 in operand 1 and 2 in operand 1"),
        ("...i,...i->...", [(2, 3), (4, 3)], "axis -1 of '...' has the length 2 in operand 0 and 4 in operand 1"),
        ("ij->i", [(2,)], r"'ij' describes 2 axes; operand 0 has the shape \(2,\)"),
        ("i...->i", [()], r"'i...' describes 1 axis"),
        ("...i->", [(2, 3)], "the result needs '...'"),
        ("i1->i", [(2, 2)], "'1' is no index"),
        ("...i...", [(3,)], "'.' is no index"),
        ("i->i->i", [(3,)], "'-' is no index"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(subscripts: str, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        einsum(subscripts, *map(np.ones, operands))
    assert "\n" not in str(caught.value)


def test_operands_before_the_subscripts_are_refused() -> None:
    with pytest.raises(TypeError, match="subscripts first"):
        einsum(np.ones(3), "i")
