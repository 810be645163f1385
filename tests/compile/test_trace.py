from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.backends import Backend
from pullback.compile import trace


@pytest.mark.on_numpy
def test_a_program_is_a_straight_line_that_can_be_read() -> None:
    traced = trace(lambda x: pb.softmax(x * 2.0), pb.zeros((2, 3)))
    assert str(traced).splitlines() == [
        "program(v0: float32[2, 3]):",
        "    v1 = multiply(v0, 2.0)  # float32[2, 3]",
        "    v2 = softmax(v1)  # float32[2, 3]",
        "    return v2",
    ]


def test_what_has_no_kernel_is_written_in_array_api_calls() -> None:
    with pb.use("array_api_strict"):
        traced = trace(lambda x: pb.softmax(x), pb.zeros((2, 3)))
    names = [instruction.name for instruction in traced.program.instructions]
    assert names == ["max", "sub", "exp", "sum", "truediv"]


def test_arguments_and_results_may_be_nested(place: Backend) -> None:
    traced = trace(lambda p, s: {"sum": p["a"] + p["b"][0] * s}, {"a": pb.ones(2), "b": [pb.ones(2)]}, 2.0)
    result = traced({"a": pb.zeros(2), "b": [pb.ones(2)]}, 5.0)
    assert result["sum"].tolist() == [5.0, 5.0]


def test_replays_refuse_other_shapes_dtypes_and_constants() -> None:
    traced = trace(lambda x, axis: pb.sum(x, axis=axis), pb.ones((2, 3)), 1)
    with pytest.raises(ValueError, match=r"takes \(float32\[2, 3\]\); got \(float32\[3, 2\]\)"):
        traced(pb.ones((3, 2)), 1)
    with pytest.raises(ValueError, match=r"got \(float64"):
        traced(pb.ones((2, 3), dtype="float64"), 1)
    with pytest.raises(ValueError, match="trace again"):
        traced(pb.ones((2, 3)), 0)


def test_a_decision_that_would_come_out_otherwise_is_noticed(place: Backend) -> None:
    def relu_of_the_sum(x: Any) -> Any:
        return x * 2.0 if pb.sum(x) > 0 else x * 0.0

    traced = trace(relu_of_the_sum, pb.ones(3))
    assert traced(pb.ones(3) * 4.0).tolist() == [8.0] * 3
    with pytest.raises(ValueError, match="Trace it again"):
        traced(pb.ones(3) * -1.0)


def test_writing_and_reading_parts_is_traced(place: Backend) -> None:
    traced = trace(lambda x: pb.grad(lambda x: (x[1:] * x[:-1]).sum())(x), pb.ones(3))
    assert traced(pb.tensor([1.0, 2.0, 4.0])).tolist() == [2.0, 5.0, 2.0]


def test_state_is_read_and_replaced_by_the_replay_alone() -> None:
    total = pb.zeros(2)

    def add(x: Any) -> Any:
        total.array = (total + x).array
        return total * 1.0

    traced = trace(add, pb.ones(2), state=[total])
    assert total.tolist() == [0.0, 0.0]
    assert traced(pb.ones(2)).tolist() == [1.0, 1.0]
    assert traced(pb.ones(2) * 2.0).tolist() == [3.0, 3.0]
    assert total.tolist() == [3.0, 3.0]


@pytest.mark.on_numpy
def test_constants_of_the_backend_below_may_stand_in_a_program() -> None:
    weight = np.asarray([1.0, 2.0], dtype="float32")
    traced = trace(lambda x: x * weight, pb.ones(2))
    assert traced(pb.ones(2) * 3.0).tolist() == [3.0, 6.0]
    assert "<constant float32[2]>" in str(traced)


def test_a_result_that_does_not_depend_on_the_inputs_is_refused() -> None:
    with pytest.raises(TypeError, match="does not depend on its inputs"):
        trace(lambda x: pb.ones(2), pb.ones(2))


def test_an_error_while_tracing_leaves_the_state_as_it_was() -> None:
    w = pb.ones(2).requires_grad_()

    def fail(x: Any) -> Any:
        (w * x).sum().backward()
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        trace(fail, pb.ones(2), state=[w])
    assert w.tolist() == [1.0, 1.0]
    assert w.grad is None


def test_taking_a_value_out_while_tracing_is_refused() -> None:
    with pytest.raises(TypeError, match="return it from the traced function"):
        trace(lambda x: x * pb.sum(x).item(), pb.ones(2))


def test_arithmetic_on_numbers_is_part_of_the_program(place: Backend) -> None:
    traced = trace(lambda x, s: x * (1 - s), pb.ones(2), 0.5)
    assert traced(pb.ones(2), 0.25).tolist() == [0.75, 0.75]
    chosen = trace(lambda x, s: x * 2.0 if s > 0.4 else x * 1.0, pb.ones(2), 0.5)
    with pytest.raises(ValueError, match="Trace it again"):
        chosen(pb.ones(2), 0.1)


def test_random_draws_are_refused_rather_than_repeated(place: Backend) -> None:
    with pytest.raises(TypeError, match="not traced yet"):
        trace(lambda x: pb.dropout(x, p=0.5), pb.ones(4))
