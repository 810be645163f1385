"""The weights of small networks over 50 steps, for every activation, layer and loss, against PyTorch's."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim

pytestmark = pytest.mark.parity

STEPS, SAMPLES, FEATURES, OUTPUTS = 50, 8, 5, 3
MIDDLES = [
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("ReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.2}),
    ("ELU", {"alpha": 0.7}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
    ("SiLU", {}),
    ("Softplus", {"beta": 2.0}),
    ("Softmax", {"dim": -1}),
    ("LogSoftmax", {"dim": -1}),
    ("Identity", {}),
    ("Dropout", {"p": 0.0}),
    ("Flatten", {}),
    ("Linear", {"in_features": 6, "out_features": 6, "bias": False}),
]
LOSSES = [
    ("MSELoss", {}, None, "real"),
    ("L1Loss", {}, None, "real"),
    ("HuberLoss", {"delta": 0.5}, None, "real"),
    ("BCELoss", {}, "Sigmoid", "share"),
    ("BCEWithLogitsLoss", {"pos_weight": [0.5, 1.0, 3.0]}, None, "share"),
    ("CrossEntropyLoss", {}, None, "class"),
    ("CrossEntropyLoss", {"weight": [0.5, 1.0, 3.0], "label_smoothing": 0.1, "ignore_index": 1}, None, "class"),
    ("CrossEntropyLoss", {}, None, "probabilities"),
    ("NLLLoss", {"weight": [0.5, 1.0, 3.0]}, "LogSoftmax", "class"),
]


def targets(kind):
    rng = np.random.default_rng(1)
    return {
        "real": lambda: rng.normal(size=(STEPS, SAMPLES, OUTPUTS)),
        "share": lambda: rng.uniform(size=(STEPS, SAMPLES, OUTPUTS)),
        "class": lambda: rng.integers(0, OUTPUTS, (STEPS, SAMPLES)),
        "probabilities": lambda: rng.dirichlet(np.ones(OUTPUTS), size=(STEPS, SAMPLES)),
    }[kind]()


@pytest.fixture
def trajectories(torch, dtype):
    """The weights after each of 50 steps here and in PyTorch, each as one Tensor of (steps, parameters)."""

    def start(build):
        rng = np.random.default_rng(0)
        theirs = build(torch.nn).to(getattr(torch, dtype))
        state = {name: rng.normal(size=tuple(p.shape)) * 0.5 for name, p in theirs.state_dict().items()}
        theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        ours = build(nn).to(dtype=dtype)
        ours.load_state_dict(state)
        return ours, theirs

    def run(model, loss, optimizer, tensor, stack, concat, target):
        inputs = np.random.default_rng(2).normal(size=(STEPS, SAMPLES, FEATURES)).astype(dtype)
        path = []
        for x, y in zip(inputs, target.astype(dtype) if target.dtype.kind == "f" else target, strict=True):
            optimizer.zero_grad()
            loss(model(tensor(x)), tensor(y)).backward()
            optimizer.step()
            path.append(concat([p.detach().reshape((-1,)) for p in model.parameters()]) * 1)
        return stack(path)

    def both(build, loss, target):
        ours, theirs = start(build)
        sgd = [
            library.SGD(m.parameters(), lr=0.1, momentum=0.5) for library, m in ((optim, ours), (torch.optim, theirs))
        ]
        return (
            run(ours, loss(nn, pb.tensor).to(dtype=dtype), sgd[0], pb.tensor, pb.stack, pb.concat, target),
            run(
                *(theirs, loss(torch.nn, torch.tensor).to(getattr(torch, dtype)), sgd[1]),
                *(torch.tensor, torch.stack, torch.cat, target),
            ),
        )

    return both


def network(middle, last=None):
    """A function that builds it of a library's layers."""

    def build(nn):
        layers = [nn.Linear(FEATURES, 6), getattr(nn, middle[0])(**middle[1]), nn.Linear(6, OUTPUTS)]
        if last is not None:
            layers.append(getattr(nn, last)(**({"dim": -1} if "Softmax" in last else {})))
        return nn.Sequential(*layers)

    return build


@pytest.mark.parametrize("middle", MIDDLES, ids=str)
def test_networks_of_every_layer_agree(trajectories, agree, middle):
    agree(*trajectories(network(middle), lambda nn, tensor: nn.MSELoss(), targets("real")))


@pytest.mark.parametrize(("name", "options", "last", "kind"), LOSSES)
def test_networks_under_every_loss_agree(trajectories, agree, name, options, last, kind):
    def loss(nn, tensor):
        weights = {key: tensor(value) for key, value in options.items() if isinstance(value, list)}
        return getattr(nn, name)(**{**options, **weights})

    agree(*trajectories(network(("Tanh", {}), last), loss, targets(kind)))
