"""Threads that share the parts of some work, and the few atomic instructions by which they agree who does what.

Compiled work is handed out in parts of some microseconds: to wake a thread for one would cost as much. A worker that
has finished therefore looks out for more for a moment, outside of the interpreter, before it sleeps. Nobody waits for
one that sleeps: each thread has its share of the parts, and who is done with his own takes over those of others that
nobody has begun.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import pairwise
from platform import machine
from queue import SimpleQueue
from threading import Event, Lock, Thread, local
from typing import Any

from ..host import host as np
from .addresses import call_at_address

__all__ = ["Pool", "Task", "launcher", "pool"]

PARTS = 4
"""Into how many parts each thread's share is cut, for others to take over."""
PATIENCE = 20000
"""How often a worker looks for work before it sleeps: for about a millisecond."""

# Where in a pool's state what is written: each number that threads change at once has a line of the cache of its own.
_LINE = 8
_FUNCTION, _ARGUMENTS, _LENGTH, _PARTS = range(4)
_DONE, _FAILED, _LEAVE, _SHARES = _LINE, 2 * _LINE, 3 * _LINE, 4 * _LINE


class Task:
    """A part of some work in Python, and what it raised."""

    def __init__(self, function: Callable[[int, int], None], start: int, stop: int) -> None:
        self.function, self.start, self.stop = function, start, stop
        self.error: BaseException | None = None
        self.done = Event()

    def do(self) -> None:
        """Do it."""
        try:
            self.function(self.start, self.stop)
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()


class Pool:
    """Threads, of which the caller's is the first, and the state that they share."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        size = _SHARES + 2 * threads * _LINE
        state = np.zeros(size + _LINE, np.int64)
        start = -state.ctypes.data % (_LINE * state.itemsize) // state.itemsize
        self.state = state[start : start + size]
        self.inside = local()
        self.busy, self.counting = Lock(), Lock()
        self.asleep = [self.state[_SHARES + (threads + i) * _LINE :][:1] for i in range(threads)]
        self.tasks: list[SimpleQueue[Task | None]] = [SimpleQueue() for _ in range(threads)]
        for number in range(1, threads):
            self.asleep[number][0] = 1
            Thread(target=self._wait_for_tasks, args=(number,), name="pullback", daemon=True).start()

    def _wait_for_tasks(self, number: int) -> None:
        self.inside.worker = True
        while True:
            task = self.tasks[number].get()
            if task is not None:
                task.do()
                del task  # and the arrays that it holds
                continue
            try:
                _serve()(self.state, number, self.threads)
            except BaseException:  # a thread that ended would leave others waiting for what it has yet to do
                logging.getLogger("pullback").exception("a thread cannot take part in compiled work")
                self.asleep[number][0] = 1

    def is_inside(self) -> bool:
        """Whether one of the workers asks."""
        return getattr(self.inside, "worker", False)

    def run(self, launch: Callable[..., int], parts: int, length: int, *arguments: Any) -> None:
        """Do what a `launcher` gave, in so many parts; in one where another thread of the program has the workers."""
        mine = False
        try:
            mine = parts > 1 and self.busy.acquire(blocking=False)
            if mine:
                for asleep, tasks in zip(self.asleep[1:parts], self.tasks[1:parts], strict=False):
                    if asleep[0]:
                        asleep[0] = 0
                        tasks.put(None)
            failed = launch(self.state, self.threads, parts if mine else 1, length, *arguments)
        finally:
            if mine:
                self.busy.release()
        if failed:
            raise MemoryError("there is no memory left for what compiled functions keep for themselves")

    def call(self, function: Callable[[int, int], None], length: int) -> None:
        """Call `function(start, stop)` for one part in each thread; what one of them raises is raised here."""
        count = min(self.threads, length)
        ends = [length * i // count for i in range(count + 1)]
        parts = [Task(function, start, stop) for start, stop in pairwise(ends)]
        begun: list[Task] = []
        self._let_leave(1)
        try:
            for tasks, part in zip(self.tasks[1:count], parts[1:], strict=True):
                begun.append(part)
                tasks.put(part)
            parts[0].do()
        finally:
            for part in begun:  # raise nothing, Ctrl-C neither, as long as somebody writes to the arrays
                while not part.done.is_set():
                    try:
                        part.done.wait()
                    except KeyboardInterrupt as error:
                        parts[0].error = error
            self._let_leave(-1)
        errors = [part.error for part in parts if part.error is not None]
        if errors:
            raise errors[0]

    def _let_leave(self, more: int) -> None:
        """Have workers look for no compiled work, as long as anybody has another task for them."""
        with self.counting:
            self.state[_LEAVE] += more


def pool() -> Pool:
    """The threads of this process."""
    with _making:
        return _pool()


_making = Lock()


@cache
def _pool() -> Pool:
    """One thread for each core that the process may use, or as many as OMP_NUM_THREADS says where that is fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return Pool(max(1, min(cores, int(asked)) if asked.isdecimal() else cores))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of its parent's threads


@cache
def _instructions() -> Any:
    """Functions for compiled code: `add` and `read` and `write` of shared numbers, `pause`, and `call` of a part."""
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    ir = import_module("llvmlite.ir")
    whole = types.int64

    def place(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.gep(context.make_array(signature.args[0])(context, builder, given[0]).data, [given[1]])

    @intrinsic  # type: ignore[untyped-decorator]
    def add(typing: Any, state: Any, at: Any, number: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.atomic_rmw("add", place(context, builder, signature, given), given[2], "seq_cst")

        return whole(state, whole, whole), code

    @intrinsic  # type: ignore[untyped-decorator]
    def read(typing: Any, state: Any, at: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.load_atomic(place(context, builder, signature, given), "acquire", 8)

        return whole(state, whole), code

    @intrinsic  # type: ignore[untyped-decorator]
    def write(typing: Any, state: Any, at: Any, number: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            builder.store_atomic(given[2], place(context, builder, signature, given), "release", 8)
            return context.get_dummy_value()

        return types.void(state, whole, whole), code

    @intrinsic  # type: ignore[untyped-decorator]
    def pause(typing: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            if machine() in ("x86_64", "AMD64"):
                kind = ir.FunctionType(ir.VoidType(), [])
                builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
            return context.get_dummy_value()

        return types.void(), code

    @intrinsic  # type: ignore[untyped-decorator]
    def call(typing: Any, function: Any, start: Any, stop: Any, arguments: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            address = builder.inttoptr(given[0], _part_type(ir).as_pointer())
            return builder.call(address, given[1:])

        return whole(whole, whole, whole, whole), code

    return add, read, write, pause, call


def _part_type(ir: Any) -> Any:
    """A part's function: of where it starts and stops and where its arguments are; it returns whether it failed."""
    number = ir.IntType(64)
    return ir.FunctionType(number, [number, number, number])


@cache
def _work() -> Any:
    """Do what is there to do, one's own share first."""
    from numba import njit

    add, read, _, _, call = _instructions()

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def work(state: Any, number: int, threads: int) -> None:
        for offset in range(threads):
            owner = (number + offset) % threads
            share = _SHARES + owner * _LINE
            while read(state, share) > 0:
                left = add(state, share, -1)
                if left <= 0:
                    break
                parts, length = state[_PARTS], state[_LENGTH]
                part = parts * (owner + 1) // threads - left
                start, stop = length * part // parts, length * (part + 1) // parts
                if call(state[_FUNCTION], start, stop, state[_ARGUMENTS]):
                    add(state, _FAILED, 1)
                add(state, _DONE, 1)

    return work


@cache
def _serve() -> Any:
    """Work until there has been nothing to do for a while."""
    from numba import njit

    _, read, write, pause, _ = _instructions()
    work = _work()

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def serve(state: Any, number: int, threads: int) -> None:
        patience = PATIENCE
        while patience and not read(state, _LEAVE):
            found = False
            for owner in range(threads):
                found = found or read(state, _SHARES + owner * _LINE) > 0
            if found:
                work(state, number, threads)
                patience = PATIENCE
            else:
                pause()
                patience -= 1
        write(state, _SHARES + (threads + number) * _LINE, 1)

    return serve


@cache
def _share() -> Any:
    """Where a function is that hands out the parts of a length, does what others leave, and returns how many failed."""
    from numba import carray, cfunc, types

    _, read, write, pause, _ = _instructions()
    work = _work()
    whole = types.int64

    @cfunc(whole(types.CPointer(whole), whole, whole, whole, whole, whole), nopython=True)  # type: ignore[untyped-decorator]
    def share(place: Any, threads: int, parts: int, length: int, function: int, arguments: int) -> int:
        state = carray(place, _SHARES + 2 * threads * _LINE)
        state[_FUNCTION], state[_ARGUMENTS], state[_LENGTH], state[_PARTS] = function, arguments, length, parts
        write(state, _DONE, 0)
        write(state, _FAILED, 0)
        for owner in range(threads):
            write(state, _SHARES + owner * _LINE, parts * (owner + 1) // threads - parts * owner // threads)
        work(state, 0, threads)
        while read(state, _DONE) < parts:
            pause()
        return read(state, _FAILED)  # type: ignore[no-any-return]

    return share


def launcher(function: Any) -> Any:
    """Of a compiled function(start, stop, *arguments): one of a pool's state, its threads, parts, length, arguments.

    It returns how many parts failed when all are done. One part is done at once, and the pool not used.
    """
    from numba import njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic

    ir = import_module("llvmlite.ir")
    whole = types.int64
    number = ir.IntType(64)

    @intrinsic  # type: ignore[untyped-decorator]
    def share(typing: Any, state: Any, threads: Any, parts: Any, length: Any, arguments: Any) -> Any:
        taken = types.void(whole, whole, *arguments.types)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            of, threads, parts, length, values = given
            slot = cgutils.alloca_once_value(builder, values)
            part = _part(context, builder.module, function, taken, values.type)
            place = builder.ptrtoint(slot, number)
            failed = cgutils.alloca_once(builder, number)
            with builder.if_else(builder.icmp_signed("<", parts, ir.Constant(number, 2))) as (alone, together):
                with alone:
                    builder.store(builder.call(part, [ir.Constant(number, 0), length, place]), failed)
                with together:
                    pointer = context.make_array(signature.args[0])(context, builder, of).data
                    kind = ir.FunctionType(number, [pointer.type, *[number] * 5])
                    all_parts = builder.inttoptr(ir.Constant(number, _share().address), kind.as_pointer())
                    address = builder.ptrtoint(part, number)
                    builder.store(builder.call(all_parts, [pointer, threads, parts, length, address, place]), failed)
            return builder.load(failed)

        return whole(state, whole, whole, whole, arguments), code

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def launch(state: Any, threads: int, parts: int, length: int, *arguments: Any) -> int:
        return share(state, threads, parts, length, arguments)  # type: ignore[no-any-return]

    return launch


def _part(context: Any, module: Any, function: Any, signature: Any, arguments: Any) -> Any:
    """The code of a part: it takes the arguments from where they are and calls the function, compiled for them."""
    ir = import_module("llvmlite.ir")
    part = ir.Function(module, _part_type(ir), context.mangler(f"part_of_{function.__name__}", signature.args))
    part.linkage = "internal"
    start, stop, place = part.args
    builder = ir.IRBuilder(part.append_basic_block())
    values = builder.load(builder.inttoptr(place, arguments.as_pointer()))
    each = [start, stop, *(builder.extract_value(values, i) for i in range(len(signature.args) - 2))]
    status = call_at_address(context, builder, function, signature, each)
    builder.ret(builder.zext(status.is_error, ir.IntType(64)))
    return part
