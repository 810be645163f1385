"""Networks: modules that hold parameters and call ops, losses, and initializers."""

from . import activation, containers, dropout, flatten, init, linear, loss
from .activation import *
from .containers import *
from .dropout import *
from .flatten import *
from .linear import *
from .loss import *
from .module import Module, Parameter
from .stateless import functional_call

__all__ = ["Module", "Parameter", "functional_call", "init"]
__all__ += activation.__all__
__all__ += containers.__all__
__all__ += dropout.__all__
__all__ += flatten.__all__
__all__ += linear.__all__
__all__ += loss.__all__
