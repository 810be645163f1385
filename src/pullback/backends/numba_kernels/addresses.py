"""Calls of compiled functions by their address, so that what is compiled is not compiled again into each caller."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["by_address", "call_at_address"]


def call_at_address(context: Any, builder: Any, function: Any, signature: Any, given: list[Any]) -> Any:
    """Write the call of a function that numba compiles for this signature; what comes back is how it ended."""
    ir = import_module("llvmlite.ir")
    function.compile(signature.args)
    of = function.overloads[signature.args]
    address = ir.Constant(ir.IntType(64), of.library.get_pointer_to_function(of.fndesc.llvm_func_name))
    kind = context.call_conv.get_function_type(signature.return_type, signature.args)
    place = builder.inttoptr(address, kind.as_pointer())
    status, _ = context.call_conv.call_function(builder, place, signature.return_type, signature.args, given)
    return status


def by_address(function: Any) -> Callable[..., None]:
    """Something that compiled functions call as they would this one of numba's, which returns nothing."""
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic, register_jitable

    @intrinsic  # type: ignore[untyped-decorator]
    def call(typing: Any, arguments: Any) -> Any:
        taken = types.void(*map(types.unliteral, arguments.types))

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            values = zip(cgutils.unpack_tuple(builder, given[0]), arguments.types, taken.args, strict=True)
            each = [context.cast(builder, value, kind, wanted) for value, kind, wanted in values]
            status = call_at_address(context, builder, function, taken, each)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.void(arguments), code

    @register_jitable(forceinline=True)  # type: ignore[untyped-decorator]
    def run(*arguments: Any) -> None:
        call(arguments)

    return run  # type: ignore[no-any-return]
