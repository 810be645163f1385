import re
from collections.abc import Callable
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import Backend, numpy_kernels, open_backend
from pullback.backends.cupy_kernels import kernels as cupy_kernels
from pullback.backends.numba_kernels.random import normals as compiled_normals
from pullback.backends.numpy_kernels import random as kernels
from pullback.ops.random import distributions, random_bits
from pullback.ops.random.bits import philox


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), offset=st.integers(0, 2**62), size=st.integers(0, 40))
def test_the_op_s_own_lines_are_numpys_philox(seed: int, offset: int, size: int) -> None:
    with pb.use("array_api_strict", "device1") as strict:
        bits = random_bits(strict.namespace.zeros(1, device=strict.device), seed=seed, offset=offset, size=size)
        assert bits.device == strict.device
        got = strict.to_host(bits)
    expected = np.random.Philox(key=seed, counter=offset).random_raw(size)
    np.testing.assert_array_equal(got.view(np.uint64), expected)


# Counter, key and words of philox4x64-10 in the file kat_vectors of Random123.
PUBLISHED = [
    ([0] * 4, [0] * 2, [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]),
    (
        [2**64 - 1] * 4,
        [2**64 - 1] * 2,
        [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
    ),
    (
        [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
        [0x452821E638D01377, 0xBE5466CF34E90C6C],
        [0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED, ids=["zeros", "ones", "pi"])
def test_its_authors_answers_are_found(counter: list[int], key: list[int], expected: list[int], place: Backend) -> None:
    words = [place.from_host(np.asarray([word], np.uint64).view(np.int64)) for word in counter]
    found = philox(place.namespace, words, (key[0], key[1]))
    assert [int(place.to_host(word).view(np.uint64)[0]) for word in found] == expected


DRAWS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("random_bits", {}, ("float32",)),
    ("random_mask", {"least": 5 << 20, "digits": 24}, ("float32",)),
    ("random_mask", {"least": 1 << 53, "digits": 53}, ("float32",)),
    ("random_integers", {"low": -3, "high": 1000}, ("int32", "int64")),
    ("random_integers", {"low": -(2**63), "high": 2**62}, ("int64",)),
    ("random_uniform", {}, ("float64", "float32", "float16", "bfloat16")),
    ("random_uniform", {"low": -0.1, "high": 0.3}, ("float64", "float32", "float16", "bfloat16")),
    ("random_normal", {}, ("float64", "float32", "float16", "bfloat16")),
    ("random_normal", {"mean": 1.0, "std": 0.02}, ("float64", "float32", "float16", "bfloat16")),
]
each_draw = pytest.mark.parametrize(
    ("name", "options", "dtype"),
    [
        pytest.param(name, options, dtype, id=f"{name}-{number}-{dtype}")
        for number, (name, options, dtypes) in enumerate(DRAWS)
        for dtype in dtypes
    ],
)
STARTS = ((0, 0), (2**64 - 1, 5), (77, 2**40))
"""Seeds and offsets."""


def draw(run: Callable[..., Any], like: Any, name: str, size: int, start: tuple[int, int], **options: Any) -> Any:
    shape = {"size": size} if name == "random_bits" else {"shape": (size,)}
    return run(like, seed=start[0], offset=start[1], **shape, **options)


def drawn_by_the_lines(name: str, dtype: str, size: int, start: tuple[int, int], **options: Any) -> np.ndarray:
    """What the op's own lines make of NumPy's arrays."""
    numpy = open_backend("numpy")
    like = np.zeros(1, numpy.dtype(dtype))
    lines = registry[name].function

    def run(like: Any, **given: Any) -> Any:
        return lines(numpy.namespace, like, **given)

    return np.asarray(draw(run, like, name, size, start, **options))


def assert_same_bits(got: Any, expected: np.ndarray) -> None:
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert got.tobytes() == expected.tobytes()


def needs(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")


@each_draw
@pytest.mark.parametrize("size", [1, 6, 1003, 70_002])
def test_numpys_kernels_give_the_bits_of_the_lines(
    name: str, options: dict[str, Any], dtype: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(dtype)
    monkeypatch.setattr(kernels, "is_worthwhile", lambda size: False)
    like = np.zeros(1, open_backend("numpy").dtype(dtype))
    assert_same_bits(
        draw(numpy_kernels.kernels.get(name, registry[name]), like, name, size, STARTS[1], **options),
        drawn_by_the_lines(name, dtype, size, STARTS[1], **options),
    )


@pytest.mark.parametrize("size", [40_000, 40_001, 70_002])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_normal_values_are_the_bits_of_the_lines(dtype: str, size: int) -> None:
    pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    assert kernels.is_worthwhile(size)
    given = {"mean": 1.0, "std": 0.02}
    got = draw(numpy_kernels.kernels["random_normal"], np.zeros(1, dtype), "random_normal", size, STARTS[2], **given)
    assert_same_bits(got, drawn_by_the_lines("random_normal", dtype, size, STARTS[2], **given))


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++")
@each_draw
def test_cupys_kernels_give_the_bits_of_the_lines(name: str, options: dict[str, Any], dtype: str) -> None:
    needs(dtype)
    like = np.zeros(1, open_backend("numpy").dtype(dtype))
    for size in (0, 1, 2, 3, 5, 8, 9, 10, 11, 1004, 3001):
        for start in STARTS:
            with emulated_gpu():
                got = draw(cupy_kernels[name], like, name, size, start, **options)
            if got is NotImplemented:
                pytest.skip("the kernel leaves this call to the reference")
            assert_same_bits(got, drawn_by_the_lines(name, dtype, size, start, **options))


@each_draw
@pytest.mark.parametrize("size", [0, 1, 9, 1002])
def test_other_libraries_give_the_bits_of_numpy(
    name: str, options: dict[str, Any], dtype: str, size: int, place: Backend
) -> None:
    needs(dtype)
    try:
        like = place.namespace.zeros(1, dtype=place.dtype(dtype), device=place.device)
    except TypeError:
        pytest.skip(f"{place.name} has no {dtype}")
    for start in STARTS:
        got = place.to_host(pb.astype(draw(registry[name], like, name, size, start, **options), wide(dtype, name)))
        expected = drawn_by_the_lines(name, dtype, size, start, **options)
        assert_same_bits(got, expected.astype(wide(dtype, name)))


def wide(dtype: str, name: str) -> str:
    """A data type that every library has, and that holds what was drawn."""
    kept = {"random_bits": "int64", "random_mask": "bool"}
    return kept.get(name, dtype if dtype in ("int32", "int64", "float64") else "float32")


@pytest.mark.parity
@each_draw
def test_pytorch_gives_the_bits_of_numpy(name: str, options: dict[str, Any], dtype: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    with pb.use("torch") as place:
        test_other_libraries_give_the_bits_of_numpy(name, options, dtype, 1002, place)


def test_one_seed_gives_the_same_numbers_on_every_backend(place: Backend) -> None:
    def drawn() -> list[np.ndarray]:
        generator = pb.Generator(7)
        x = pb.ones((3, 4, 5))
        made = [
            pb.random.uniform((3, 5), generator=generator),
            pb.random.uniform((4,), -1, 2, dtype="float64", generator=generator),
            pb.random.normal((7,), generator=generator),
            pb.random.normal((2, 3), 5, 0.1, dtype="float64", generator=generator),
            pb.random.integers((2, 3), -5, 5, generator=generator),
            pb.dropout(x, p=0.3, generator=generator),
            pb.dropout(x, p=0.3, axes=(0, -1), generator=generator),
            pb.alpha_dropout(x, p=0.3, generator=generator),
        ]
        return [y.numpy() for y in made]

    with pb.use("numpy"):
        expected = drawn()
    for got, value in zip(drawn(), expected, strict=True):
        assert_same_bits(got, value)


def cosine_and_sine(x: Decimal) -> tuple[Decimal, Decimal]:
    """By Taylor's series."""
    sums, term = [Decimal(0)] * 4, Decimal(1)
    for n in range(80):
        sums[n % 4] += term
        term = term * x / (n + 1)
    return sums[0] - sums[2], sums[1] - sums[3]


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628621")
ENDS = [0, 2**64 - 1, 1 << 11, 2**63, 2**62, 3 << 62, 1 << 61, (1 << 61) - 1, 3 << 61, 2**64 - 2**12, 1]
"""Words at which a logarithm, or a cosine, is at its largest or smallest, and where quarter turns meet."""


def made_of(words: np.ndarray, way: str, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The normal values of (2, n) words, distances and directions, in (2, n)."""
    n = words.shape[1]
    if way == "NumPy":
        return np.asarray(kernels._pairs_of_normals(*words))
    if way == "compiled":
        pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
        values = np.empty((2, n))
        compiled_normals(0, n, *words.view(np.int64), *values, 0.0, 1.0)
        return values
    monkeypatch.setattr(distributions, "random_bits", lambda *like, **given: words.view(np.int64).reshape(-1))
    xp = open_backend("numpy").namespace
    return np.asarray(distributions.random_normal.function(xp, np.zeros(1), seed=0, offset=0, shape=(2, n)))


@pytest.mark.parametrize("way", ["lines", "NumPy", "compiled"])
def test_normal_values_are_exact_to_the_last_digits(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    getcontext().prec = 60
    drawn = np.random.Philox(key=8).random_raw(400).reshape(2, -1)
    ends = np.asarray([[a, b] for a in ENDS for b in ENDS], np.uint64).T
    words = np.ascontiguousarray(np.concatenate([drawn, ends], axis=1))
    errors = []
    for distance, direction, *found in zip(*words, *made_of(words, way, monkeypatch), strict=True):
        radius = (-2 * (1 - Decimal(int(distance) >> 11) / 2**53).ln()).sqrt()
        for value, exact in zip(found, cosine_and_sine(PI * (int(direction) >> 11) / 2**52), strict=True):
            nearest = float(radius * exact)
            if abs(nearest) < 1e-40:  # a quarter turn, but for the digits that PI has
                assert value == 0
                continue
            assert np.float32(value) == np.float32(nearest)
            errors.append(abs(float((Decimal(float(value)) - radius * exact) / Decimal(np.spacing(abs(nearest))))))
    assert max(errors) < 4
    assert np.mean(errors) < 0.6


def test_uniform_and_normal_values_are_distributed_as_they_say() -> None:
    pb.manual_seed(0)
    uniform = pb.random.uniform((20_000,), dtype="float64").numpy()
    normal = pb.random.normal((20_001,), dtype="float64").numpy()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert stats.kstest(normal, "norm").pvalue > 0.01
    assert abs(np.corrcoef(normal[:10_000], normal[10_000:20_000])[0, 1]) < 0.03


def test_the_tails_of_normal_values_are_as_long_as_they_should_be() -> None:
    normal = pb.random.normal((1_000_000,), generator=pb.Generator(5)).numpy()
    for bound in (2.0, 3.0, 4.0):
        expected = 2 * stats.norm.sf(bound) * normal.size
        assert abs((np.abs(normal) > bound).sum() - expected) < 4 * expected**0.5


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_uniform_values_stay_below_their_upper_end(dtype: str) -> None:
    needs(dtype)
    values = pb.random.uniform((50_000,), 1, 2, dtype=dtype, generator=pb.Generator(2)).numpy().astype("float64")
    assert values.min() >= 1
    assert values.max() < 2
    assert abs(values.mean() - 1.5) < 0.01


@settings(max_examples=100, deadline=None)
@given(bounds=st.lists(st.integers(-(2**63), 2**63), min_size=2, max_size=2, unique=True), seed=st.integers(0, 999))
def test_integers_are_shares_of_their_range(bounds: list[int], seed: int) -> None:
    low, high = sorted(bounds)
    values = pb.random.integers((5,), low, high, generator=pb.Generator(seed)).tolist()
    words = np.random.Philox(key=seed).random_raw(10).tolist()
    if high - low <= 2**32:
        assert values == [low + (word * (high - low) >> 64) for word in words[:5]]
    else:
        pairs = zip(words[:5], words[5:], strict=True)
        assert values == [low + ((word * 2**64 + next_word) * (high - low) >> 128) for word, next_word in pairs]


def test_integers_are_all_as_likely() -> None:
    dice = pb.random.integers((60_000,), 1, 7, dtype="uint8", generator=pb.Generator(1))
    assert dice.dtype == pb.uint8
    counts = np.bincount(dice.numpy(), minlength=8)
    assert counts[0] == counts[7] == 0
    assert stats.chisquare(counts[1:7]).pvalue > 0.01


@pytest.mark.parametrize(("low", "high", "dtype"), [(3, 3, "int64"), (0, 257, "uint8"), (-1, 3, "uint8")])
def test_ranges_that_are_none_are_refused(low: int, high: int, dtype: str) -> None:
    message = "low is less than high" if low >= high else rf"integers in \[{low}, {high}\) are not all of them {dtype}"
    with pytest.raises(ValueError, match=message):
        pb.random.integers((2,), low, high, dtype=dtype)


@pytest.mark.parametrize(
    ("draw", "options", "kind", "message"),
    [
        (pb.random.uniform, {"low": 2.0, "high": 1.0}, ValueError, "low is at most high; got 2.0 and 1.0"),
        (pb.random.uniform, {"low": float("nan")}, ValueError, "low is at most high; got nan and 1.0"),
        (pb.random.normal, {"std": -1.0}, ValueError, "std is not negative; got -1.0"),
        (pb.random.uniform, {"dtype": "int32"}, TypeError, "uniform values are of a real floating dtype; got int32"),
        (pb.random.normal, {"dtype": pb.int32}, TypeError, "normal values are of a real floating dtype; got int32"),
        (pb.random.normal, {"dtype": "complex64"}, TypeError, "of a real floating dtype; got complex64"),
    ],
)
def test_values_that_cannot_be_drawn_are_refused(draw: Any, options: Any, kind: type, message: str) -> None:
    generator = pb.Generator(0)
    with pytest.raises(kind, match=message):
        draw((2,), generator=generator, **options)
    assert generator.offset == 0


@pytest.mark.parametrize(
    ("axes", "kind", "told"),
    [
        ((5,), IndexError, "axes go from -2 to 1"),
        ((0, -3), IndexError, "axes go from -2 to 1"),
        (2, IndexError, "axes go from -2 to 1"),
        ((0.5,), TypeError, "an axis is a whole number, and several are a tuple of them"),
        ("01", TypeError, "an axis is a whole number, and several are a tuple of them"),
    ],
)
@pytest.mark.parametrize("drop", [pb.dropout, pb.alpha_dropout])
def test_axes_there_are_not_are_refused(drop: Any, axes: Any, kind: type, told: str) -> None:
    generator = pb.Generator(0)
    with pytest.raises(kind, match=re.escape(f"dropout got an array of shape (2, 3), axes={axes!r}; {told}")):
        drop(pb.ones((2, 3)), axes=axes, generator=generator)
    assert generator.offset == 0


@pytest.mark.parametrize(
    "draw", [pb.random.uniform, pb.random.normal, lambda *a, **k: pb.random.integers(*a, 0, 3, **k)]
)
def test_a_shape_is_refused_before_anything_is_drawn(draw: Any) -> None:
    generator = pb.Generator(0)
    for shape in ((-80,), (2.5,), "ab"):
        with pytest.raises(ValueError, match="a shape is made of whole numbers"):
            draw(shape, generator=generator)
    assert generator.offset == 0
    assert draw(3, generator=generator).shape == (3,)


def test_the_whole_range_of_a_data_type_can_be_drawn() -> None:
    values = pb.random.integers((4000,), 0, 256, dtype="uint8", generator=pb.Generator(1)).numpy()
    assert set(values.tolist()) == set(range(256))


def test_draws_follow_one_another_and_never_repeat() -> None:
    pb.manual_seed(3)
    first, second = pb.random.uniform((8,)).numpy(), pb.random.uniform((8,)).numpy()
    assert not np.intersect1d(first, second).size
    pb.manual_seed(3)
    np.testing.assert_array_equal(pb.random.uniform((8,)).numpy(), first)


def test_a_generator_goes_on_from_its_state() -> None:
    generator = pb.Generator(11)
    pb.random.normal((5,), generator=generator)
    resumed = pb.Generator()
    resumed.load_state_dict(generator.state_dict())
    np.testing.assert_array_equal(
        pb.random.normal((5,), generator=resumed).numpy(), pb.random.normal((5,), generator=generator).numpy()
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a"])
def test_what_is_no_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="a seed is a whole number"):
        pb.Generator(seed)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 300), seed=st.integers(0, 1000))
def test_a_permutation_holds_every_number_once(n: int, seed: int) -> None:
    order = pb.random.permutation(n, generator=pb.Generator(seed))
    assert sorted(order.tolist()) == list(range(n))


def test_dropout_drops_its_share_and_keeps_the_mean(place: Backend) -> None:
    x = pb.ones((200, 100)).requires_grad_()
    y = pb.dropout(x, p=0.3)
    y.sum().backward()
    values = y.numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((values == 0).mean() - 0.3) < 0.01
    np.testing.assert_array_equal(x.grad.numpy(), values)
    assert pb.dropout(x, p=0.3, training=False) is x
    assert not pb.dropout(x, p=1.0).numpy().any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        pb.dropout(x, p=1.5)


def test_every_thread_has_its_own_default_generator() -> None:
    from concurrent.futures import ThreadPoolExecutor

    pb.manual_seed(5)
    pb.random.uniform((4,))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: pb.default_generator().state_dict()).result()
    assert other == {"seed": 0, "offset": 0}
    assert pb.default_generator().offset == 1
