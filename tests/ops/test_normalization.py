"""What normalization says to inputs that do not fit, in one line each."""

import numpy as np
import pytest

import pullback as pb

NORMS = {
    "layer_norm": lambda x, *factors: pb.layer_norm(x, *factors, normalized_shape=4),
    "rms_norm": lambda x, *factors: pb.rms_norm(x, *factors, normalized_shape=4),
    "batch_norm": pb.batch_norm,
    "group_norm": lambda x, *factors: pb.group_norm(x, *factors, num_groups=2),
    "instance_norm": pb.instance_norm,
}
INTEGERS = {
    **NORMS,
    "standardize": lambda x: pb.standardize(x, pb.zeros(4), pb.ones(4)),
    "local_response_norm": lambda x: pb.local_response_norm(x, size=2),
    "normalize": pb.normalize,
    "dropout": pb.dropout,
    "dropout of all": lambda x: pb.dropout(x, p=1.0),
    "alpha_dropout": pb.alpha_dropout,
    "drop_path": lambda x: pb.drop_path(x, drop_prob=0.5, scale_by_keep=False),
    "rotary_embedding": pb.rotary_embedding,
    "attention": lambda x: pb.scaled_dot_product_attention(x, x, x),
    "attention_weights": lambda x: pb.attention_weights(x, x),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_refused_and_not_made_float64(name, place):
    with pytest.raises(TypeError, match="takes a floating array; got int64"):
        INTEGERS[name](pb.ones((2, 3, 4), dtype="int64"))


def test_integers_from_which_nothing_is_dropped_pass():
    x = pb.asarray([1, 2])
    assert pb.dropout(x, training=False) is x
    assert pb.dropout(x, p=0.0) is x


@pytest.mark.parametrize("size", [1, 2000])  # by the own lines or in machine code
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("shape", [(3,), (1,), (2, 1, 4), ()], ids=str)
def test_weights_of_another_shape_are_refused(name, shape, size, place):
    x, factor = pb.ones((size, 3, 4)), pb.ones(shape)
    with pytest.raises(ValueError, match=r"takes a weight of shape \(4,\); got \("):
        NORMS[name](x, factor)
    if name != "rms_norm":
        with pytest.raises(ValueError, match=r"takes a bias of shape \(4,\); got \("):
            NORMS[name](x, None, factor)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pb.batch_norm(pb.ones(3)), r"takes \(N, ..., C\); got shape \(3,\)"),
        (lambda: pb.standardize(pb.ones((2, 4)), pb.ones(3), pb.ones(4)), "are not broadcast together"),
        (lambda: pb.standardize(pb.ones(4), pb.ones((2, 4)), pb.ones(4)), r"to x, of shape \(4,\)"),
        (lambda: pb.standardize(pb.ones((2, 4)), pb.ones(4), pb.ones(4), pb.ones(3)), "are not broadcast together"),
        (lambda: pb.local_response_norm(pb.ones((2, 4)), size=0), "size is a whole number of 1 or more; got 0"),
        (lambda: pb.group_norm(pb.ones((2, 4)), num_groups=3), "3 groups divide C"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, said, place):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_shape_may_be_a_number_of_numpys():
    x = pb.asarray(np.arange(8.0).reshape(2, 4))
    expected = pb.layer_norm(x, normalized_shape=4)
    np.testing.assert_array_equal(pb.layer_norm(x, normalized_shape=np.int64(4)).numpy(), expected.numpy())
