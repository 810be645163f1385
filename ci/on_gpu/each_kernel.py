"""Every kernel of a backend, run once or more over the examples of the ops it stands for: work for compute-sanitizer.

    compute-sanitizer --tool memcheck python ci/on_gpu/each_kernel.py [--backend cupy] [--dtype float32]

Forwards and vjps run as they do in training, by `backward()` of the op's outputs; optimizers take two steps. On a GPU
each array has memory of its own, not a piece of a pool's, so that one step beyond its end is seen. What is computed is
compared elsewhere. Prints how many kernels ran, and exits with 1 where one fails.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pullback as pb
from pullback import optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten
from pullback.backends import Backend, find_backend_of

OPTIMIZERS = (
    *(optim.SGD, optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adadelta, optim.Adagrad),
    *(optim.RMSprop, optim.Lion),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run every kernel of a backend once.")
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    options = parser.parse_args(argv)
    failed: list[str] = []
    with pb.use(options.backend) as backend:
        if options.backend == "cupy":
            import cupy

            cupy.cuda.set_allocator(None)
        ran = counted(backend)
        for op, example in chosen(backend):
            try:
                run(op, verify.place(example.draw(), backend, options.dtype), example.metadata)
            except Exception as error:
                failed.append(f"{op.name}: {type(error).__name__}: {error}")
        for kind in OPTIMIZERS:
            try:
                optimize(kind, options.dtype)
            except Exception as error:
                failed.append(f"{kind.__name__}: {type(error).__name__}: {error}")
        backend.synchronize()
        missed = sorted(backend.kernels.keys() - ran.keys())
    print(f"{len(ran)} of {len(backend.kernels)} kernels ran, {sum(ran.values())} times")
    print("not run:", ", ".join(missed) or "none")
    print("\n".join(failed))
    return 1 if failed or not ran else 0


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

    type(backend).kernels = {name: counting(name, kernel) for name, kernel in backend.kernels.items()}
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
