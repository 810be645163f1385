"""Every op of the package: the standard's, one file for each of its sections, and those of training."""

from . import (
    activation,
    attention,
    convolution,
    creation,
    data_types,
    elementwise,
    fft,
    grid_sampling,
    heads,
    indexing,
    inspection,
    linalg,
    linear_algebra,
    loss,
    manipulation,
    normalization,
    padding,
    parametrization,
    perceptron,
    pooling,
    positions,
    random,
    recurrent,
    resampling,
    scatter,
    searching,
    sets,
    sorting,
    special,
    statistical,
    utility,
    windows,
)
from .activation import *
from .attention import *
from .convolution import *
from .creation import *
from .data_types import *
from .einsum import einsum
from .elementwise import *
from .embedding import embedding, embedding_bag
from .grid_sampling import *
from .heads import *
from .indexing import *
from .inspection import *
from .linear_algebra import *
from .loss import *
from .manipulation import *
from .normalization import *
from .padding import *
from .parametrization import *
from .perceptron import *
from .pooling import *
from .positions import *
from .random import Generator, alpha_dropout, default_generator, drop_path, dropout, manual_seed
from .recurrent import *
from .resampling import *
from .scatter import *
from .searching import *
from .sets import *
from .sorting import *
from .statistical import *
from .utility import *
from .windows import *

__all__ = [
    "Generator", "alpha_dropout", "default_generator", "drop_path", "dropout", "einsum", "fft", "linalg", "manual_seed",
    "random", "special",
]  # fmt: skip
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += convolution.__all__
__all__ += creation.__all__
__all__ += data_types.__all__
__all__ += elementwise.__all__
__all__ += heads.__all__
__all__ += grid_sampling.__all__
__all__ += ["embedding", "embedding_bag"]
__all__ += indexing.__all__
__all__ += inspection.__all__
__all__ += linear_algebra.__all__
__all__ += loss.__all__
__all__ += manipulation.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += parametrization.__all__
__all__ += perceptron.__all__
__all__ += positions.__all__
__all__ += pooling.__all__
__all__ += recurrent.__all__
__all__ += resampling.__all__
__all__ += scatter.__all__
__all__ += searching.__all__
__all__ += sets.__all__
__all__ += sorting.__all__
__all__ += statistical.__all__
__all__ += utility.__all__
__all__ += windows.__all__
