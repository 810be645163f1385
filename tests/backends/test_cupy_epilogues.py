"""What CuPy's kernels have cuBLASLt do beside a product: a bias, an activation, and the way back through both."""

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from emulated_cublas import EmulatedCublasLt
from emulated_gpu import COMPILER, emulated_gpu, numpy_with_cupys_kernels
from feed_forward_cases import TOLERANCE, compare, drawn

import pullback as pb
from pullback import models, nn
from pullback.backends.cupy_kernels import kernels, products

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]


@pytest.fixture
def gpu() -> Iterator[Any]:
    """A stand-in for a GPU that has cuBLASLt."""
    with emulated_gpu() as driver:
        driver.cublaslt = EmulatedCublasLt()
        yield driver
        products._plans.clear()


FORWARD = {None: "BIAS", "none": "BIAS", "tanh": "GELU_AUX_BIAS"}
BACK = {None: "DRELU_BGRAD", "none": "DEFAULT", "tanh": "DGELU_BGRAD"}


@pytest.mark.parametrize("rows", [(20,), (2, 3, 5)])
@pytest.mark.parametrize("approximate", [None, "none", "tanh"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_feed_forward_network_is_a_product_with_an_epilogue_each(
    dtype: str, approximate: str | None, rows: tuple[int, ...], gpu: Any
) -> None:
    compare(kernels, drawn(dtype, rows), approximate)
    wide_gelu = approximate == "tanh" and dtype in ("float32", "float64")  # it approximates tanh too
    first, through = ("BIAS", "DEFAULT") if wide_gelu else (FORWARD[approximate], BACK[approximate])
    assert gpu.cublaslt.called == [first, "BIAS", through, "DEFAULT", "BGRADB", "DEFAULT"]
    assert not gpu.cublas.called
    launched = [name.partition("<")[0] for name in gpu.launched]
    if approximate is None:
        assert launched == ["add_bias", "positive_bits"]  # a relu that keeps what is not a number, and where it is
    elif first == "GELU_AUX_BIAS":
        assert launched == []


@pytest.mark.parametrize("approximate", [None, "tanh"])
def test_maps_without_biases_have_none_to_sum(approximate: str | None, gpu: Any) -> None:
    compare(kernels, drawn("float16", biases=False), approximate, frozen=("bias1", "bias2"))
    first, through = ("DEFAULT", "DRELU") if approximate is None else ("GELU_AUX", "DGELU")
    assert gpu.cublaslt.called == [first, "DEFAULT", through, "DEFAULT", "DEFAULT", "DEFAULT"]


@pytest.mark.parametrize("frozen", [("x",), ("x", "weight1", "bias1"), ("bias2",), ("weight2",), ("weight1", "bias2")])
@pytest.mark.parametrize("approximate", [None, "tanh"])
def test_what_needs_no_gradient_gets_none(approximate: str | None, frozen: tuple[str, ...], gpu: Any) -> None:
    compare(kernels, drawn("float16"), approximate, frozen)


ODD = {
    "one row": {"rows": (1,)},
    "no rows": {"rows": (0,)},
    "one output, which the way back has no epilogue for": {"of_y": 1},
    "rows of a length that GELU does not take": {"hidden": 21},
    "a single vector": {"rows": ()},
}


@pytest.mark.parametrize("sizes", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("approximate", [None, "none", "tanh"])
def test_sizes_that_cublaslt_has_no_epilogue_for(approximate: str | None, sizes: Any, gpu: Any) -> None:
    compare(kernels, drawn("float16", **sizes), approximate)


EPILOGUES = ["BIAS", "GELU_AUX_BIAS", "DGELU_BGRAD", "DRELU_BGRAD", "BGRADB"]


@pytest.mark.parametrize("refused", EPILOGUES)
def test_an_epilogue_that_there_is_not_is_asked_for_once_and_done_without(refused: str, gpu: Any) -> None:
    gpu.cublaslt.refused = (refused,)
    for approximate in (None, "tanh"):
        compare(kernels, drawn("float16"), approximate)
    searched = gpu.cublaslt.searched
    for approximate in (None, "tanh"):
        compare(kernels, drawn("float16"), approximate)
    assert gpu.cublaslt.searched == searched
    assert refused not in gpu.cublaslt.called
    assert set(EPILOGUES) - {refused} <= set(gpu.cublaslt.called)


def test_a_bias_that_lies_between_sixteen_bytes_has_no_epilogue(gpu: Any) -> None:
    given = drawn("float16")
    flat = np.zeros(64, "float16")
    begin = -flat.ctypes.data % 16 // 2 + 1
    shifted = flat[begin : begin + given[2].size]
    shifted[...] = given[2]
    given[2] = shifted
    compare(kernels, given, "tanh")
    assert "GELU_AUX_BIAS" not in gpu.cublaslt.called


def test_what_an_epilogue_reads_stays_until_the_product_is_queued(gpu: Any) -> None:
    made: list[Any] = []

    def bits() -> Any:
        found = np.full((20, 16), 255, "uint8")
        made.append(weakref.ref(found))
        return found

    multiply = gpu.cublaslt.matmul

    def watched(*given: Any) -> None:
        assert made[0]() is not None
        multiply(*given)

    gpu.cublaslt.matmul = watched
    g, weight = np.ones((20, 8), "float32"), np.ones((8, 24), "float32")
    np.testing.assert_array_equal(products.product_with("DRELU", g, weight, aux=bits), 8)
    assert made[0]() is None


@pytest.mark.parametrize("shape", [(20,), (2, 3, 5)])
def test_the_gradients_of_weight_and_bias_are_one_product(shape: tuple[int, ...], gpu: Any) -> None:
    generator = np.random.default_rng(0)
    g, x = generator.standard_normal((*shape, 8)), generator.standard_normal((*shape, 6))
    for turned in (False, True):
        given = np.asfortranarray(g) if turned else g
        of_weight, of_bias = kernels["linear.vjp(weight,bias)"](given, x)
        rows = g.reshape(-1, 8)
        np.testing.assert_allclose(of_weight, rows.T @ x.reshape(-1, 6))
        np.testing.assert_allclose(of_bias, rows.sum(0))
    assert gpu.cublaslt.called == ["BGRADB"] * 2
    assert not gpu.launched


def steps(make: Any, count: int, dtype: str | None) -> list[float]:
    pb.manual_seed(0)
    model, x, y, loss = make()
    optimizer, found = pb.optim.AdamW(model.parameters(), lr=1e-2), []
    for _ in range(count):
        optimizer.zero_grad()
        with pb.autocast(dtype or "float16", enabled=dtype is not None):
            value = loss(model(x), y)
        value.backward()
        optimizer.step()
        found.append(value.item())
    return found


def gpt() -> Any:
    tokens = np.random.default_rng(0).integers(0, 29, (2, 13))
    model = models.GPT(vocab_size=29, block_size=12, n_layer=1, n_head=2, n_embd=16, approximate="tanh")
    return model, pb.asarray(tokens[:, :-1]), pb.asarray(tokens[:, 1:]), nn.CrossEntropyLoss()


def encoder() -> Any:
    layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True)
    return layer, pb.random.normal((2, 5, 16)), pb.random.normal((2, 5, 16)), nn.MSELoss()


@pytest.mark.parametrize(
    ("make", "dtype", "epilogues"),
    [
        (gpt, "bfloat16", {"GELU_AUX_BIAS", "DGELU_BGRAD", "BGRADB", "BIAS"}),
        (gpt, None, {"BGRADB", "BIAS"}),
        (encoder, "bfloat16", {"DRELU_BGRAD", "BGRADB", "BIAS"}),
        (encoder, None, {"DRELU_BGRAD", "BGRADB", "BIAS"}),
    ],
)
def test_training_with_epilogues_loses_what_numpy_loses(make: Any, dtype: str | None, epilogues: set[str]) -> None:
    if dtype is not None:
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    expected = steps(make, 4, dtype)
    with numpy_with_cupys_kernels() as gpu:
        lt = gpu.cublaslt = EmulatedCublasLt()
        got = steps(make, 4, dtype)
        products._plans.clear()
    np.testing.assert_allclose(got, expected, rtol=1e-4 if dtype is None else 1e-2)
    assert got[-1] < got[0]
    assert set(lt.called) - {"DEFAULT"} == epilogues
