"""Loss functions: how far predictions are from targets, as one number or one for each sample."""

from . import adaptive_softmax, binary, classification, ctc, distances, ranking, regression
from .adaptive_softmax import *
from .binary import *
from .classification import *
from .ctc import *
from .distances import *
from .ranking import *
from .regression import *

__all__: list[str] = []
__all__ += adaptive_softmax.__all__
__all__ += binary.__all__
__all__ += classification.__all__
__all__ += ctc.__all__
__all__ += distances.__all__
__all__ += ranking.__all__
__all__ += regression.__all__
