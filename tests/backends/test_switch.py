"""The switch: which backend makes new arrays, here, in other threads and tasks, and by the environment."""

import asyncio
import logging
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

import pullback as pb
from pullback.backends import array_beside, backend_of


@pytest.fixture(autouse=True)
def on_numpy():
    """Whatever the suite runs on, these tests start on NumPy and leave the switch as it was."""
    with pb.use("numpy"):
        yield


def run_python(code, **environment):
    """What a new process prints, and its complaints; with no backend chosen but by `environment`."""
    clean = {name: value for name, value in os.environ.items() if name != "PULLBACK_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip(), done.stderr.strip()


def test_a_call_holds_from_here_on():
    pb.use("array_api_strict")
    assert pb.backend().name == "array_api_strict"
    assert type(pb.zeros(2).array).__module__.startswith("array_api_strict")


def test_a_block_ends_and_the_former_choice_is_back():
    with pb.use("array_api_strict", "device1") as inside:
        assert inside is pb.backend()
        assert (inside.name, inside.device_name(inside.device)) == ("array_api_strict", "device1")
        with pb.use("numpy"):
            assert pb.backend().name == "numpy"
        assert pb.backend() is inside
    assert pb.backend().name == "numpy"


def test_a_block_undoes_the_calls_inside_it_and_survives_an_error():
    with pytest.raises(ZeroDivisionError), pb.use("array_api_strict"):
        print(pb.use("array_api_strict", "device2"), 1 / 0)
    assert pb.backend().name == "numpy"


def test_a_refused_choice_changes_nothing():
    with pytest.raises(ValueError, match="there is no backend 'numpi'; choose one of numpy, cupy"):
        pb.use("numpi")
    with pytest.raises(ValueError, match="'cpu'; got 'cuda:0'"):
        pb.use("numpy", "cuda:0")
    assert pb.backend().name == "numpy"


@pytest.mark.parametrize(
    ("name", "option", "told"),
    [
        ("numpy", "memory_limit", "the numpy backend has no option 'memory_limit', which is the cupy backend's"),
        ("numpy", "nonsense", "the numpy backend has no option 'nonsense', but none"),
        ("auto", "nonsense", "the auto backend has no option 'nonsense', but memory_limit, allocator"),
    ],
)
def test_an_option_there_is_not_is_refused(name, option, told):
    with pytest.raises(TypeError, match=re.escape(told)):
        pb.use(name, **{option: 1})
    assert pb.backend().name == "numpy"


def test_the_current_backend_never_moves_an_array():
    x = pb.asarray([1.0, 2.0])
    with pb.use("array_api_strict"):
        assert type(pb.exp(x).array) is type(x.array)
        assert type(pb.zeros_like(x).array) is type(x.array)


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize(
    "values", [3, [[1, 2], [3, 4]], np.arange(4)[::-1], np.arange(6).reshape(2, 3).T, np.asarray(5)], ids=repr
)
def test_values_of_the_host_are_put_beside_an_array_whichever_backend_is_current(place, values, dtype):
    x = pb.zeros(2).array
    with pb.use("numpy"):
        y = array_beside(x, values, dtype)
    assert backend_of(y) is backend_of(x)
    assert pb.Tensor(y).device == pb.Tensor(x).device
    assert pb.Tensor(y).dtype.name == (dtype or "int64")
    np.testing.assert_array_equal(pb.Tensor(y).numpy(), values)


def test_threads_do_not_disturb_one_another():
    chosen, seen = threading.Barrier(3, timeout=10), {}

    def work(device):
        pb.use("array_api_strict", device)
        chosen.wait()
        seen[device] = pb.backend().device_name(pb.ones(1).device)

    threads = [threading.Thread(target=work, args=(device,)) for device in ("device1", "device2")]
    for thread in threads:
        thread.start()
    chosen.wait()
    here = pb.backend().name
    for thread in threads:
        thread.join()
    assert seen == {"device1": "device1", "device2": "device2"}
    assert here == pb.backend().name == "numpy"


def test_tasks_do_not_disturb_one_another():
    async def work(device):
        with pb.use("array_api_strict", device):
            await asyncio.sleep(0.01)
            return pb.backend().device_name(pb.ones(1).device)

    async def main():
        both = await asyncio.gather(work("device1"), work("device2"))
        return both, pb.backend().name

    assert asyncio.run(main()) == (["device1", "device2"], "numpy")


def test_auto_says_in_one_line_what_it_took(caplog):
    with caplog.at_level(logging.INFO, logger="pullback"), pb.use("auto"):
        taken = pb.backend().name
    assert len(caplog.records) == 1
    assert taken in caplog.records[0].getMessage()
    assert taken == ("cupy" if pb.backends()["cupy"].usable else "numpy")


def test_auto_with_the_cpu_is_numpy(caplog):
    with caplog.at_level(logging.INFO, logger="pullback"), pb.use("auto", "cpu"):
        assert pb.backend().name == "numpy"
    assert "the CPU was asked for" in caplog.text


@pytest.mark.parametrize(
    ("variable", "printed"),
    [
        (None, "numpy cpu"),
        ("", "numpy cpu"),
        ("numpy", "numpy cpu"),
        ("array_api_strict", "array_api_strict CPU_DEVICE"),
        ("array_api_strict:device1", "array_api_strict device1"),
    ],
)
def test_the_environment_names_the_backend(variable, printed):
    code = "import pullback as pb; b = pb.backend(); print(b.name, b.device_name(pb.zeros(1).device))"
    assert run_python(code, **({} if variable is None else {"PULLBACK_BACKEND": variable})) == (printed, "")


def test_a_call_outranks_the_environment():
    code = "import pullback as pb; pb.use('numpy'); print(pb.backend().name)"
    assert run_python(code, PULLBACK_BACKEND="array_api_strict") == ("numpy", "")


def test_a_wrong_environment_is_named_with_its_value():
    _, complaint = run_python("import pullback as pb; pb.zeros(1)", PULLBACK_BACKEND="torhc")
    assert complaint.endswith(
        "ValueError: PULLBACK_BACKEND=torhc: there is no backend 'torhc'; "
        "choose one of numpy, cupy, array_api_strict, torch, or 'auto'"
    )


def test_a_wrong_environment_does_not_matter_to_whoever_chooses():
    code = "import pullback as pb\nwith pb.use('numpy'): print(pb.zeros(1).item())"
    assert run_python(code, PULLBACK_BACKEND="torhc") == ("0.0", "")


def test_threads_take_the_environment_s_choice_and_log_it_once():
    code = (
        "import logging, threading, pullback as pb; logging.basicConfig(level=logging.INFO)\n"
        "for _ in range(3):\n"
        "    thread = threading.Thread(target=pb.zeros, args=(1,)); thread.start(); thread.join()\n"
        "print(pb.backend().name)"
    )
    printed, logged = run_python(code, PULLBACK_BACKEND="auto")
    assert printed in ("numpy", "cupy")
    assert logged.count("backend auto") == 1


@pytest.fixture
def fake_cupy(tmp_path):
    """A path on which `import cupy` finds a module with this text."""

    def write(text):
        (tmp_path / "cupy").mkdir()
        (tmp_path / "cupy" / "__init__.py").write_text(text)
        return os.pathsep.join([str(tmp_path), *sys.path])

    return write


NO_DEVICE = """
class cuda:
    class runtime:
        driverGetVersion = runtimeGetVersion = staticmethod(lambda: 13020)
        getDeviceCount = staticmethod(lambda: 0)
"""
NO_DRIVER = """
class cuda:
    class runtime:
        driverGetVersion = staticmethod(lambda: 0)
        runtimeGetVersion = staticmethod(lambda: 13020)
"""
OLD_DRIVER = """
class cuda:
    class runtime:
        driverGetVersion = staticmethod(lambda: 12080)
        runtimeGetVersion = staticmethod(lambda: 13020)
"""
NO_HEADERS = """
class cuda:
    class runtime:
        driverGetVersion = runtimeGetVersion = staticmethod(lambda: 13020)
        getDeviceCount = staticmethod(lambda: 1)
class _core:
    class core:
        def assemble_cupy_compiler_options(options):
            raise RuntimeError("Failed to find CUDA headers. Please install CUDA toolkit headers")
"""
BROKEN = "raise ImportError('libcublas.so.13: cannot open shared object file\\nand more')"
TWO_DEVICES = """
class cuda:
    current = 0
    class Device:
        def __init__(self, id=None):
            self.id = cuda.current if id is None else id
        def use(self):
            cuda.current = self.id
    class runtime:
        getDeviceCount = staticmethod(lambda: 2)
        driverGetVersion = runtimeGetVersion = staticmethod(lambda: 13020)
    get_allocator = staticmethod(lambda: None)
    set_allocator = staticmethod(lambda allocator: None)
"""


REASONS = {
    NO_DEVICE: "the driver found no CUDA device; check that `nvidia-smi` lists one",
    NO_DRIVER: "there is no NVIDIA driver; check that `nvidia-smi` lists a GPU",
    OLD_DRIVER: "the driver is for CUDA 12.8; update the driver, or pip install 'pullback[cuda12]'",
    NO_HEADERS: "finds no headers of CUDA, which it compiles kernels with; pip install 'pullback[cuda13]'",
    BROKEN: "importing it failed (libcublas.so.13: cannot open shared object file)",
}


@pytest.mark.parametrize("module", REASONS, ids=["no device", "no driver", "old driver", "no headers", "broken"])
def test_cupy_that_cannot_be_used_says_why(fake_cupy, module):
    path, reason = fake_cupy(module), REASONS[module]
    printed, warned = run_python("import pullback as pb; print(pb.backends()['cupy'])", PYTHONPATH=path)
    assert printed.startswith("Availability(usable=False, reason=")
    assert "cupy is installed" in printed
    assert reason in printed
    assert not warned
    _, complaint = run_python("import pullback as pb; pb.use('cupy')", PYTHONPATH=path)
    last = complaint.splitlines()[-1]
    assert "BackendUnavailable: the cupy backend cannot be used here: cupy is installed" in last
    assert reason in last
    code = "import logging, pullback as pb; logging.basicConfig(level=logging.INFO); pb.use('auto')"
    logged = run_python(code, PYTHONPATH=path)[1]
    assert "backend auto: numpy (cupy is installed" in logged
    assert reason in logged
    assert len(logged.splitlines()) == 1


def test_cupy_itself_looks_for_headers_before_it_compiles():
    pytest.importorskip("cupy", reason="cupy is not installed: pip install 'pullback[cuda13]'")
    code = (
        "import cuda.pathfinder; cuda.pathfinder.find_nvidia_header_directory = lambda library: None\n"
        "import cupy; cupy._core.core.assemble_cupy_compiler_options(())"
    )
    assert "RuntimeError: Failed to find CUDA headers" in run_python(code)[1]


def test_cupy_that_is_not_installed_says_how_to_install_it():
    code = "import sys; sys.modules['cupy'] = None; import pullback as pb; pb.use('cupy')"
    _, complaint = run_python(code)
    last = complaint.splitlines()[-1]
    assert "BackendUnavailable: the cupy backend cannot be used here: cupy is not installed" in last
    assert "pip install 'pullback[cuda13]'" in last


def test_auto_takes_cupy_where_a_gpu_answers(fake_cupy):
    path = fake_cupy(TWO_DEVICES)
    code = (
        "import logging, pullback as pb; logging.basicConfig(level=logging.INFO)\n"
        "print(pb.use('auto').backend.name, pb.use('auto', 'cuda:1'))"
    )
    printed, logged = run_python(code, PYTHONPATH=path)
    assert printed == "cupy <pullback backend cupy on cuda:1>"
    assert "backend auto: <pullback backend cupy on cuda:0>" in logged


@pytest.mark.parametrize("written", ["cuda:1", "1", 1])
def test_a_cuda_device_is_named_as_the_field_does(fake_cupy, written):
    code = f"import pullback as pb; b = pb.use('cupy', {written!r}).backend; print(b.device_name(b.device))"
    assert run_python(code, PYTHONPATH=fake_cupy(TWO_DEVICES)) == ("cuda:1", "")


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("gpu", "a CUDA device is written 'cuda:0' or 0; got 'gpu'"),
        ("cuda:-1", "a CUDA device is written 'cuda:0' or 0; got 'cuda:-1'"),
        ("cuda:2", "there is no device 'cuda:2'; the driver found 2, the last 'cuda:1'"),
    ],
)
def test_a_cuda_device_there_is_not_is_refused(fake_cupy, written, complaint):
    code = f"import pullback as pb; pb.use('cupy', {written!r})"
    assert run_python(code, PYTHONPATH=fake_cupy(TWO_DEVICES))[1].endswith(f"ValueError: {complaint}")


def test_cupys_own_current_device_follows_the_switch(fake_cupy):
    code = (
        "import cupy, pullback as pb; seen = []\n"
        "with pb.use('cupy'):\n"
        "    with pb.use('cupy', 'cuda:1'): seen.append(cupy.cuda.current)\n"
        "    seen.append(cupy.cuda.current)\n"
        "pb.use('cupy', 1); seen.append(cupy.cuda.current); pb.use('cupy'); print(*seen, cupy.cuda.current)"
    )
    assert run_python(code, PYTHONPATH=fake_cupy(TWO_DEVICES)) == ("1 0 1 0", "")


def test_every_backend_that_cannot_be_used_has_a_mend():
    for name, (usable, reason) in pb.backends().items():
        assert usable == (reason == ""), name
        assert usable or re.search("pip install|nvidia-smi|reinstall", reason), reason


def test_a_backend_shows_its_name_and_device():
    assert repr(pb.use("numpy")) == "<pullback backend numpy on cpu>"
    assert repr(pb.use("array_api_strict", "device1")) == "<pullback backend array_api_strict on device1>"
    assert repr(pb.use("array_api_strict")) == "<pullback backend array_api_strict on CPU_DEVICE>"


def test_a_choice_that_is_kept_can_be_entered_again():
    with pb.use("numpy"):
        strict = pb.use("array_api_strict")
        for _ in range(2):
            with strict:
                assert pb.backend().name == "array_api_strict"
                with strict:
                    assert pb.backend().name == "array_api_strict"
                assert pb.backend().name == "array_api_strict"
            assert pb.backend().name == "numpy"


def test_a_choice_that_is_kept_can_be_entered_in_another_thread():
    seen = []
    with pb.use("numpy"):
        strict = pb.use("array_api_strict")

        def work():
            with strict:
                seen.append(pb.backend().name)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == ["array_api_strict"]


def test_no_name_is_refused():
    with pytest.raises(TypeError, match="name a backend"):
        pb.use(None)
