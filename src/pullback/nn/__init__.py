"""Networks: modules that hold parameters and call ops, losses, and initializers."""

from . import (
    activation,
    attention,
    containers,
    convolution,
    distance,
    dropout,
    embedding,
    flatten,
    init,
    lazy,
    linear,
    loss,
    normalization,
    packed_sequence,
    padding,
    parametrizations,
    pooling,
    positions,
    recurrent,
    resampling,
    transformer,
)
from .activation import *
from .attention import *
from .containers import *
from .convolution import *
from .distance import *
from .dropout import *
from .embedding import *
from .flatten import *
from .lazy import *
from .linear import *
from .loss import *
from .module import Module, Parameter
from .normalization import *
from .packed_sequence import *
from .padding import *
from .pooling import *
from .positions import *
from .recurrent import *
from .resampling import *
from .stateless import functional_call
from .transformer import *

__all__ = ["Module", "Parameter", "functional_call", "init", "parametrizations"]
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += containers.__all__
__all__ += convolution.__all__
__all__ += distance.__all__
__all__ += dropout.__all__
__all__ += embedding.__all__
__all__ += flatten.__all__
__all__ += lazy.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += packed_sequence.__all__
__all__ += padding.__all__
__all__ += pooling.__all__
__all__ += positions.__all__
__all__ += recurrent.__all__
__all__ += resampling.__all__
__all__ += transformer.__all__
