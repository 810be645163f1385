import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb


@pytest.fixture
def scratch() -> Iterator[Any]:
    """The decorator, for ops that are forgotten afterwards."""
    registry = pb.autodiff.registry
    before = dict(registry)
    yield pb.op
    registry.clear()
    registry.update(before)


@pytest.fixture
def product(scratch: Any) -> Any:
    @scratch
    def scratch_product(xp: Any, x: Any, w: Any, scale: Any = None, /, *, power: int = 1) -> Any:
        y = (x * w) ** power
        return y if scale is None else y * scale

    return scratch_product


def test_optional_inputs_may_be_given_by_name(product: Any) -> None:
    assert product(np.ones(2), np.ones(2), scale=np.full(2, 3.0)).tolist() == [3.0, 3.0]
    assert pb.linear(np.ones((1, 2)), np.ones((3, 2)), bias=np.ones(3)).tolist() == [[3.0] * 3]
    with pytest.raises(TypeError, match="scratch_product"):
        product(np.ones(2))


@pytest.mark.parametrize(
    ("arguments", "rule", "message"),
    [
        (("x",), lambda xp, x: x, r"starts with \(xp, g"),
        (("z",), lambda xp, g: g, "has the inputs x, w, scale; got z"),
        (("x",), lambda xp, g, *, pwer: g, "takes its metadata .power.; got pwer"),
    ],
)
def test_a_vjp_that_does_not_fit_is_refused_at_once(product: Any, arguments: Any, rule: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        product.vjp(*arguments)(rule)


def test_every_op_is_copied_and_pickled_as_itself(product: Any) -> None:
    for op in pb.autodiff.registry.values():
        assert copy.deepcopy(op) is op
        assert op is product or pickle.loads(pickle.dumps(op)) is op
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(product)  # which has no name in its module


def test_a_second_vjp_for_one_input_is_refused(product: Any) -> None:
    product.vjp("x")(lambda xp, g, w: g * w)
    with pytest.raises(ValueError, match="has a vjp for x already"):
        product.vjp("w", "x")


def test_a_vjp_for_two_inputs_beside_one_for_each_is_called_where_both_need_gradients(scratch: Any) -> None:
    @scratch
    def blend(xp: Any, x: Any, w: Any, z: Any, /) -> Any:
        return x * w * z

    called = []

    def register(*names: str, rule: Any) -> None:
        def watched(xp: Any, g: Any, x: Any, w: Any, z: Any) -> Any:
            called.append(names)
            return rule(g, x, w, z)

        blend.vjp(*names)(watched)

    register("x", rule=lambda g, x, w, z: g * w * z)
    register("w", rule=lambda g, x, w, z: g * x * z)
    register("z", rule=lambda g, x, w, z: g * x * w)
    register("x", "w", rule=lambda g, x, w, z: (g * w * z, g * x * z))
    for wanted, rules in (("x", ["x"]), ("w", ["w"]), ("xw", ["xw"]), ("xz", ["x", "z"]), ("xwz", ["xw", "z"])):
        given = [
            pb.tensor(value).requires_grad_(name in wanted) for name, value in zip("xwz", (2.0, 3.0, 5.0), strict=True)
        ]
        called.clear()
        blend(*given).backward()
        assert sorted(map("".join, called)) == sorted(rules)
        assert [None if v.grad is None else v.grad.item() for v in given] == [
            value if name in wanted else None for name, value in zip("xwz", (15.0, 10.0, 6.0), strict=True)
        ]
    for names, taken in ((("w", "z"), "w, z"), (("x", "w"), "w, x"), (("x",), "x"), (("x", "w", "z"), "w, x, z")):
        with pytest.raises(ValueError, match=f"has a vjp for {taken} already"):
            blend.vjp(*names)


def test_a_vjp_names_one_of_several_outputs(scratch: Any) -> None:
    @scratch
    def both(xp: Any, x: Any, /) -> Any:
        return xp.exp(x), xp.sin(x)

    @both.vjp("x")
    def _(xp: Any, g: Any, x: Any, y0: Any) -> Any:
        return g[0] * y0 + g[1] * xp.cos(x)

    x = pb.asarray([0.5, -1.0], dtype="float64")
    pb.check_grads(lambda x: both(x)[0] * both(x)[1], [x], order=2)


@pytest.mark.parametrize(
    ("arguments", "rule", "message"),
    [
        (("x",), lambda xp, g: None, "gave NoneType; a vjp gives an array"),
        (("x", "w"), lambda xp, g: g, "gave one gradient; it is for 2 inputs"),
        (("x", "w"), lambda xp, g: (g, g, g), "gave 3 gradients for 2 inputs"),
        (("x",), lambda xp, g: g[:1, None] * xp.ones((1, 5)), "gave a gradient of shape"),
        (("x",), lambda xp, g, nothing: g, "names 'nothing', which is no input"),
    ],
)
def test_a_vjp_that_gives_what_it_should_not_is_named(product: Any, arguments: Any, rule: Any, message: str) -> None:
    product.vjp(*arguments)(rule)
    x, w = (pb.ones(3, dtype="float64").requires_grad_(name in arguments) for name in ("x", "w"))
    with pytest.raises((TypeError, ValueError), match=message):
        product(x, w).sum().backward()


def test_several_outputs_of_no_axes_have_gradients(scratch: Any) -> None:
    @scratch
    def scratch_extremes(xp: Any, x: Any, /) -> Any:
        return xp.min(x), xp.max(x), xp.argmax(x)

    scratch_extremes.vjp("x")(lambda xp, g, x: g[0] * (x == xp.min(x)) + g[1] * (x == xp.max(x)))
    x = pb.tensor([3.0, 1.0, 2.0], requires_grad=True)
    low, high, place = scratch_extremes(x)
    assert not place.requires_grad
    (2.0 * low + 5.0 * high).backward()
    assert x.grad.tolist() == [5.0, 2.0, 0.0]
