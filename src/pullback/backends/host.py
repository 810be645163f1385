"""The host's own arrays.

Files, tables, shuffles and figures live in host memory whichever backend trains. Code that deals
with them takes `host` from here, so that no other folder imports an array library by name.
"""

import numpy as host

__all__ = ["host"]
