"""Entries of lazy layers: those of the plain layers, the size left out and learnt from a first input."""

import pullback as pb
from pullback import nn

from .convolution import ENTRIES as CONVOLUTIONS
from .convolution import quiet
from .entry import Entry
from .linear import ENTRIES as LINEAR
from .normalization import ENTRIES as NORMALIZATION

DIFFERS = (
    "before the first call `parameters()`, and so an optimizer, and `state_dict()` raise: there are no placeholders; "
    "a state that is loaded makes it the plain layer at once"
)


def _lazy(entry: Entry) -> Entry:
    name, axes = f"Lazy{entry.name}", int(entry.name[-2]) if entry.channels else 0
    lengths = (9,) * axes

    def without_size(options):
        size, *others = options
        return options[size], {key: options[key] for key in others}

    def ours(**options):
        size, others = without_size(options)
        layer = getattr(nn, name)(**others).eval()
        layer(pb.zeros((2, *lengths, size)))
        return layer

    def theirs(torch, **options):
        size, others = without_size(options)
        layer = quiet(getattr(torch.nn, name)(**others).eval())
        layer(torch.zeros((2, size, *lengths)))
        return layer

    differs = DIFFERS if name == "LazyLinear" else f"as `nn.{entry.name}` and `nn.LazyLinear`"
    return entry._replace(name=name, ours=ours, theirs=theirs, differs=differs)


ENTRIES = [_lazy(entry) for entry in [*LINEAR, *CONVOLUTIONS, *NORMALIZATION] if hasattr(nn, f"Lazy{entry.name}")]
