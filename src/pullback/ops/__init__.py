"""Every op of the package: the standard's, one file for each of its sections, and those of training."""

from . import (
    activation,
    creation,
    data_types,
    elementwise,
    fft,
    indexing,
    inspection,
    linalg,
    linear_algebra,
    loss,
    manipulation,
    random,
    scatter,
    searching,
    sets,
    sorting,
    special,
    statistical,
    utility,
)
from .activation import *
from .creation import *
from .data_types import *
from .einsum import einsum
from .elementwise import *
from .indexing import *
from .inspection import *
from .linear_algebra import *
from .loss import *
from .manipulation import *
from .random import Generator, default_generator, dropout, manual_seed
from .scatter import *
from .searching import *
from .sets import *
from .sorting import *
from .statistical import *
from .utility import *

__all__ = ["Generator", "default_generator", "dropout", "einsum", "fft", "linalg", "manual_seed", "random", "special"]
__all__ += activation.__all__
__all__ += creation.__all__
__all__ += data_types.__all__
__all__ += elementwise.__all__
__all__ += indexing.__all__
__all__ += inspection.__all__
__all__ += linear_algebra.__all__
__all__ += loss.__all__
__all__ += manipulation.__all__
__all__ += scatter.__all__
__all__ += searching.__all__
__all__ += sets.__all__
__all__ += sorting.__all__
__all__ += statistical.__all__
__all__ += utility.__all__
