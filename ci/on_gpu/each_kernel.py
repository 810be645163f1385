"""Every kernel of a backend, run once or more over the examples of the ops it stands for: work for compute-sanitizer.

    compute-sanitizer --tool memcheck python ci/on_gpu/each_kernel.py [--backend cupy] [--dtypes float32,float16,...]

Forwards and vjps run as they do in training, by `backward()` of the op's outputs; optimizers take two steps. On a GPU
each array has memory of its own, not a piece of a pool's, so that one step beyond its end is seen. What is computed is
compared elsewhere. Prints how many kernels ran in each data type, and exits with 1 where one fails. Where an op calls
for what the library does not have in half precision, that is no failure, but told.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pullback as pb
from pullback import optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten
from pullback.backends import HALVES, Backend, dtype_name, find_backend_of, is_half

DTYPES = ("float32", *HALVES)
OPTIMIZERS = (
    *(optim.SGD, optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adadelta, optim.Adagrad),
    *(optim.RMSprop, optim.Lion),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run every kernel of a backend once in each data type.")
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    options = parser.parse_args(argv)
    failed = []
    with pb.use(options.backend) as backend:
        if options.backend == "cupy":
            import cupy

            cupy.cuda.set_allocator(None)
        ran = counted(backend)
        every = set(backend.kernels)
        met: set[str] = set()
        for dtype in options.dtypes.split(","):
            ran.clear()
            failed += run_all(backend, dtype)
            backend.synchronize()
            met |= ran.keys()
            print(f"{dtype}: {len(ran)} of {len(every)} kernels ran, {sum(ran.values())} times")
            failed += [] if ran else [f"{dtype}: no kernel ran"]
    print("not run:", ", ".join(sorted(every - met)) or "none")
    print("\n".join(failed))
    return 1 if failed else 0


def run_all(backend: Backend, dtype: str) -> list[str]:
    """Run all there is in a data type; what failed."""
    work: list[tuple[str, Callable[[], None]]] = [
        (op.name, lambda op=op, example=example: run(op, placed(example, backend, dtype), example.metadata))
        for op, example in chosen(backend)
    ]
    work += [(kind.__name__, lambda kind=kind: optimize(kind, dtype)) for kind in OPTIMIZERS]
    failed, lacking = [], set()
    for name, call in work:
        try:
            call()
        except Exception as error:
            if is_half(dtype) and isinstance(error, (TypeError, ValueError, NotImplementedError)):
                lacking.add(name)
            else:
                failed.append(f"{dtype}: {name}: {type(error).__name__}: {error}")
    if lacking:
        print(f"not to be had in {dtype}:", ", ".join(sorted(lacking)))
    return failed


def placed(example: Any, backend: Backend, dtype: str) -> list[Any]:
    """An example's inputs, in half precision those that are real."""
    if not is_half(dtype):
        return verify.place(example.draw(), backend, dtype)
    narrow = backend.dtype(dtype)
    return [
        backend.namespace.astype(x, narrow) if dtype_name(getattr(x, "dtype", "")) == "float32" else x
        for x in verify.place(example.draw(), backend, "float32")
    ]


def counted(backend: Backend) -> Counter[str]:
    """How often each kernel is called from now on, by name."""
    ran: Counter[str] = Counter()

    def counting(name: str, kernel: Any) -> Any:
        def call(*arguments: Any, **metadata: Any) -> Any:
            found = kernel(*arguments, **metadata)
            if found is not NotImplemented:
                ran[name] += 1
            return found

        call.__dict__.update(getattr(kernel, "__dict__", {}))
        return call

    backend.kernels = {name: counting(name, kernel) for name, kernel in backend.kernels.items()}
    backend.implementations.clear()
    return ran


def chosen(backend: Backend) -> Iterator[tuple[Op[..., Any], Any]]:
    """The ops that have a kernel for their forward or for a vjp, with each of their examples."""
    for op in registry.values():
        if any(name in backend.kernels for name in (op.name, *(rule.name for rule in op.rules))):
            for example in op.examples:
                yield op, example


def run(op: Op[..., Any], inputs: list[Any], metadata: dict[str, Any]) -> None:
    """The op, and every gradient that it has."""
    wanted = set(verify.inputs_with_gradients(op, inputs)) if op.differentiable else set()
    given = [pb.Tensor(x).requires_grad_(i in wanted) if find_backend_of(x) else x for i, x in enumerate(inputs)]
    for y in flatten(op(*given, **metadata))[0]:
        if y.requires_grad:
            y.backward(pb.ones_like(y.detach()), retain_graph=True)


def optimize(kind: Any, dtype: str) -> None:
    """Two steps over parameters of several shapes."""
    parameters = [pb.ones(shape, dtype=dtype).requires_grad_() for shape in ((1000,), (7, 3), ())]
    for p in parameters:
        p.grad = pb.ones_like(p.detach())
    optimizer = kind(parameters, lr=0.1)
    optimizer.step()
    optimizer.step()


if __name__ == "__main__":
    sys.exit(main())
