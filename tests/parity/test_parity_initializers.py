"""Initializers against PyTorch's: the same gains, the same bounds, and values of the same distribution."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.parity

WEIGHTS = [((90, 200), (90, 200)), ((200, 90), (200, 90)), ((30, 3, 4, 50), (30, 50, 3, 4))]
"""A shape of ours, channels last, and PyTorch's, channels second."""
UNIFORM = [
    ("uniform_", {}),
    ("uniform_", {"a": -3.0, "b": 0.5}),
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 2.0}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": 5**0.5}),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_uniform_", {"nonlinearity": "tanh"}),
]
NORMAL = [
    ("normal_", {}),
    ("normal_", {"mean": 3.0, "std": 0.2}),
    ("xavier_normal_", {}),
    ("xavier_normal_", {"gain": 0.3}),
    ("kaiming_normal_", {"a": 0.2}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {"nonlinearity": "linear"}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.5, "a": -0.4, "b": 1.5}),
    ("trunc_normal_", {"mean": 1.0, "a": -3.0, "b": 0.0}),
]


@pytest.fixture
def draw(torch):
    """Both sides' values of an initializer, as rows of numbers."""

    def both(name, options, shapes):
        ours = getattr(nn.init, name)(pb.empty(shapes[0]), **options, generator=pb.random.Generator(7))
        theirs = torch.empty(shapes[1])
        getattr(torch.nn.init, name)(theirs, **options, generator=torch.Generator().manual_seed(7))
        return ours.numpy().reshape(-1), theirs.numpy().reshape(-1)

    return both


@pytest.mark.parametrize("shapes", WEIGHTS)
@pytest.mark.parametrize(("name", "options"), UNIFORM)
def test_uniform_initializers_have_the_same_bounds_and_distribution(draw, name, options, shapes):
    ours, theirs = draw(name, options, shapes)
    span = theirs.max() - theirs.min()
    assert abs(ours.min() - theirs.min()) < span * 2e-3
    assert abs(ours.max() - theirs.max()) < span * 2e-3
    assert ks_2samp(ours, theirs).pvalue > 0.001


@pytest.mark.parametrize("shapes", WEIGHTS)
@pytest.mark.parametrize(("name", "options"), NORMAL)
def test_normal_initializers_have_the_same_moments_and_distribution(draw, name, options, shapes):
    ours, theirs = draw(name, options, shapes)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.04 * float(theirs.std()))
    assert ks_2samp(ours, theirs).pvalue > 0.001


@pytest.mark.parametrize("shapes", WEIGHTS)
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_has_the_same_products_and_distribution(draw, gain, shapes):
    ours, theirs = draw("orthogonal_", {"gain": gain}, shapes)
    rows = shapes[0][0]
    products = [
        m @ m.T if m.shape[0] < m.shape[1] else m.T @ m for m in (ours.reshape(rows, -1), theirs.reshape(rows, -1))
    ]
    np.testing.assert_allclose(*products, atol=1e-4)
    assert ks_2samp(ours, theirs).pvalue > 0.001


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_the_identity_and_the_zeros_of_sparse_weights_are_the_same(torch, shape):
    theirs = torch.nn.init.eye_(torch.empty(shape)).numpy()
    np.testing.assert_array_equal(nn.init.eye_(pb.empty(shape)).numpy(), theirs)
    for sparsity in (0.0, 0.3, 1.0):
        ours = nn.init.sparse_(pb.empty(shape), sparsity).numpy()
        theirs = torch.nn.init.sparse_(torch.empty(shape), sparsity).numpy()
        np.testing.assert_array_equal((ours == 0).sum(axis=0), (theirs == 0).sum(axis=0))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(3,), (4, 3), (1, 2, 3)])
@pytest.mark.parametrize("inputs", [1, 2, 5])
def test_dirac_weights_are_the_same(torch, groups, kernel, inputs):
    theirs = torch.nn.init.dirac_(torch.empty((6, inputs, *kernel)), groups).numpy()
    ours = nn.init.dirac_(pb.empty((6, *kernel, inputs)), groups).numpy()
    np.testing.assert_array_equal(ours, np.moveaxis(theirs, 1, -1))


@pytest.mark.parametrize(
    ("name", "param"),
    [
        *((name, None) for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv2d")),
        ("conv_transpose1d", None),
        ("leaky_relu", 0.3),
    ],
)
def test_gains_agree(torch, name, param):
    assert nn.init.calculate_gain(name, param) == pytest.approx(torch.nn.init.calculate_gain(name, param), rel=1e-14)


@pytest.mark.parametrize("sizes", [(3, 4000), (700, 300)])
def test_linear_starts_with_the_same_bounds_and_distribution(torch, sizes):
    torch.manual_seed(0)
    ours, theirs = nn.Linear(*sizes), torch.nn.Linear(*sizes)
    bound = sizes[0] ** -0.5
    for mine, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        mine, other = mine.numpy().reshape(-1), other.detach().numpy().reshape(-1)
        for values in (mine, other):
            assert 0.98 * bound < abs(values).max() <= bound * (1 + 1e-6)
        assert ks_2samp(mine, other).pvalue > 0.001
