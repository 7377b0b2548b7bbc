"""The cores that a process may use, and what its processor is and can do, also on systems that are not at hand."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from archspec import cpu

from cnnmnist.data.loading import load_dataset
from cnnmnist.processor import computes_in_bfloat16, count_cores, processor_name
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run

VISIBLE = 64


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(VISIBLE)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


V1 = "12:memory:/pod\n4:cpu,cpuacct:/kubepods/pod\n0::/\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, VISIBLE),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, VISIBLE),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, VISIBLE),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, VISIBLE),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, VISIBLE),
        ({"proc/self/cgroup": "nonsense\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}, VISIBLE),
        # the limit of a group above its own
        (
            {
                "proc/self/cgroup": "0::/user.slice/a/b\n",
                "sys/fs/cgroup/user.slice/a/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/user.slice/a/b/cpu.max": "max 100000\n",
            },
            3,
        ),
        # version 1, on the machine itself and in a container, which sees its group at the top
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/kubepods/pod/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu,cpuacct/kubepods/pod/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1,
        ),
    ],
)
@pytest.mark.usefixtures("many_cores")
def test_a_quota_counts_as_so_many_cores(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert count_cores(write(tmp_path, files)) == cores


def test_without_an_affinity_the_cores_of_the_machine_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert count_cores(tmp_path) == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores(tmp_path) == 1


def test_a_real_group_with_a_quota_is_obeyed() -> None:
    group = Path("/sys/fs/cgroup/cpu", f"cnnmnist-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("100000")
    except OSError as error:
        pytest.skip(f"no control group with a quota can be made here: {error}")
    try:
        script = (
            "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(str(__import__('os').getpid()));"
            "from cnnmnist.processor import CORES; print(CORES)"
        )
        started = [sys.executable, "-c", script, str(group / "cgroup.procs")]
        assert subprocess.run(started, capture_output=True, text=True, check=True).stdout == "1\n"
    finally:
        group.rmdir()


APPLE = {"machdep.cpu.brand_string": "Apple M2 Pro"}
INTEL_MAC = {
    "machdep.cpu.brand_string": "Intel(R) Core(TM) i7",
    "machdep.cpu.vendor": "GenuineIntel",
    "machdep.cpu.features": "SSE4.2 AVX1.0",
    "machdep.cpu.leaf7_features": "AVX512_BF16",
}


@pytest.mark.parametrize("values", [APPLE, INTEL_MAC])
def test_a_mac_tells_its_name_and_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    def sysctl(arguments: list[str], env: object) -> str:
        lines = [f"{key}: {value}\n" for key, value in values.items()]
        return values["machdep.cpu.brand_string"] if "-n" in arguments else "".join(lines)

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(cpu.detect, "_check_output", sysctl)
    for function in (cpu.detect._machine, cpu.detect._darwin_sysctl_data):
        function.cache_clear()
        monkeypatch.setattr(cpu.detect, function.__name__, function.__wrapped__)
    assert processor_name() == values["machdep.cpu.brand_string"]
    assert not computes_in_bfloat16()


@pytest.mark.parametrize("system", ["Linux", "Windows"])
@pytest.mark.parametrize(
    ("features", "native"),
    [
        ({"avx512_bf16"}, True),
        ({"amx_bf16"}, True),
        ({"bf16"}, True),
        ({"avx2", "avx512f"}, False),
        (set(), False),
    ],
)
def test_bfloat16_is_for_processors_with_its_instructions_on_every_other_system(
    monkeypatch: pytest.MonkeyPatch, system: str, features: set[str], native: bool
) -> None:
    info = cpu.detect.partial_uarch(features=features)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setitem(cpu.detect.INFO_FACTORY, system, [lambda: info])
    assert computes_in_bfloat16() is native


def test_a_processor_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no memory may hold instructions here")

    monkeypatch.setattr(cpu, "brand_string", fail)
    monkeypatch.setattr(cpu.detect, "detected_info", fail)
    assert processor_name() == (platform.processor() or platform.machine())
    assert not computes_in_bfloat16()


def test_a_run_names_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "brand_string", lambda: " Apple  M2 ")
    run = create_run(tmp_path, None, load_recipe(), load_dataset("mnist5k"))
    assert run.metadata.processor.startswith("Apple M2, ")
    assert run.metadata.processor.endswith(" threads")
