"""Files that anybody may have written, temporary files that nobody can guess, and folders for one process."""

import contextlib
import errno
import io
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from cnnmnist import files
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import RunError, WriteError
from cnnmnist.files import (
    locked,
    open_file,
    open_zip,
    read_file,
    remove_leftovers,
    replacing,
)
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from support.limits import SPECIAL_FILES, limited, make_sparse, make_special

DATASET = load_dataset("mnist5k")
TOKEN = "0123456789abcdef"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_that_another_process_is_training_is_left_alone(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    with locked(run.directory), pytest.raises(RunError, match="Another process"), locked(run.directory):
        pass
    with locked(run.directory):
        pass
    assert names_in(run.directory) == ["checkpoints", "figures", "metrics.jsonl", "run.json"]


HOLDER = "import sys; from cnnmnist.files import locked\nwith locked(__import__('pathlib').Path(sys.argv[1])): "


def test_the_lock_holds_between_processes_and_ends_with_them(tmp_path: Path) -> None:
    hold = [sys.executable, "-c", f"{HOLDER}print('held', flush=True); sys.stdin.read()", str(tmp_path)]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="Another process"), locked(tmp_path):
            pass
        holder.kill()
        holder.wait()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("kind", [*SPECIAL_FILES, "link"])
def test_a_lock_file_of_a_stranger_is_neither_followed_nor_waited_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "precious").write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    if kind == "link":
        (folder / ".lock").symlink_to(tmp_path / "precious")
    else:
        make_special(folder / ".lock", kind)
    with limited(seconds=5), pytest.raises(RunError, match=r"Cannot lock .*\.lock"), locked(folder):
        pass
    assert (folder / ".lock").is_symlink() or (folder / ".lock").exists()
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_file_system_without_locks_is_used_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", fail)
    with locked(tmp_path), replacing(tmp_path / "it") as temporary:
        temporary.write_text("new")
    assert names_in(tmp_path) == ["it"]


def test_what_is_flushed_is_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows flushes no other file."""
    flushed = []

    def flush(descriptor: int) -> None:
        flushed.append(os.write(descriptor, b""))  # EBADF on a descriptor for reading

    monkeypatch.setattr(os, "fsync", flush)
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("new")
    with replacing(tmp_path / "folder", folder=True) as temporary:
        (temporary / "part").write_text("new")
    assert len(flushed) == 2


@pytest.mark.parametrize("failures", [0, 3, 100])
@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_another_program_has_open_is_renamed_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, folder: bool
) -> None:
    """As Windows does: nobody can rename what is open there."""
    attempts = []

    def busy(path: Path, target: Path) -> None:
        attempts.append(path)
        if len(attempts) <= failures:
            raise PermissionError(errno.EACCES, "The file is used by another process")
        rename(path, target)

    rename = Path.rename
    for method in ("rename", "replace"):
        monkeypatch.setattr(Path, method, busy)
    monkeypatch.setattr(files, "RENAMES", [0.001] * 5)
    expected = (
        pytest.raises(WriteError, match="another program has it open")
        if failures > 5
        else contextlib.nullcontext()
    )
    with expected, replacing(tmp_path / "it", folder=folder) as temporary:
        (temporary / "part" if temporary.is_dir() else temporary).write_text("new")
    assert names_in(tmp_path) == ([] if failures > 5 else ["it"])


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_only_a_regular_file_is_opened_and_nothing_is_waited_for(tmp_path: Path, kind: str) -> None:
    make_special(tmp_path / "it", kind)
    with limited(seconds=5), pytest.raises(OSError, match=r"regular file|directory|No such device"):
        open_file(tmp_path / "it")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "\ud800", "missing"])
def test_a_name_that_no_file_has_is_an_ordinary_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"name|No such file"):
        open_file(tmp_path / name)


def test_a_link_to_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 7) == b"content"
    with pytest.raises(OSError, match="more than 6 bytes"):
        read_file(tmp_path / "link", 6)


def test_the_size_is_looked_at_before_the_content(tmp_path: Path) -> None:
    make_sparse(tmp_path / "large", 4_000_000_000)
    with limited(megabytes=50), pytest.raises(OSError, match="more than 1,000 bytes"):
        read_file(tmp_path / "large", 1_000)
    with (
        limited(megabytes=50),
        pytest.raises(ValueError, match="bytes, more than"),
        open_zip(tmp_path / "large", 10**6),
    ):
        pass


def archive(*names: str, kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as target:
        for name in names:
            target.writestr(name, b"\0" * 10)
    return file.getvalue()


def with_record_of_many(content: bytes) -> bytes:
    """An archive whose zip64 record announces more members than its end."""
    end = content[-22:]
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, 46 * 10**6, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
    return content[:-22] + record + locator + end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip archive"),
        (b"PK\x05\x06", "not a zip archive"),
        (archive("a")[:-1], "not a zip archive"),
        (archive(*map(str, range(2_000))), "too many members"),
        (with_record_of_many(archive("a")), "too many members"),
        (archive("a")[:-10] + struct.pack("<LLH", 2**31, 0, 0), "too many members"),
        (archive("a", "b").replace(b"b", b"a"), "two members of one name"),
        (archive("a", kind=zipfile.ZIP_BZIP2), "unusual"),
        (archive("a", kind=zipfile.ZIP_LZMA), "unusual"),
    ],
)
def test_an_archive_that_could_take_any_memory_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with limited(megabytes=50), pytest.raises(ValueError, match=message), open_zip(tmp_path / "a.zip", 10**7):
        pass


def test_a_temporary_file_is_made_under_a_name_that_nobody_can_guess(tmp_path: Path) -> None:
    names = set()
    for _ in range(20):
        with replacing(tmp_path / "figure.png") as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".png"
            assert temporary.is_file(), "it is there before anybody else can put something there"
            assert files.TEMPORARY_NAME.fullmatch(temporary.name)
            assert str(os.getpid()) not in re.sub("[0-9a-f]{16}", "", temporary.name)
            names.add(temporary.name)
            temporary.write_bytes(b"x")
    assert len(names) == 20
    assert names_in(tmp_path) == ["figure.png"]
    assert stat.S_IMODE((tmp_path / "figure.png").stat().st_mode) == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_written_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "figure.png").symlink_to("precious")
    with replacing(tmp_path / "figure.png") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "figure.png").read_text() == "new"
    assert not (tmp_path / "figure.png").is_symlink()


def test_a_long_name_is_written_too(tmp_path: Path) -> None:
    path = tmp_path / f"{'ä' * 120}.png"
    with replacing(path) as temporary:
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"


def test_a_missing_folder_is_made_where_that_is_wanted(tmp_path: Path) -> None:
    with replacing(tmp_path / "new" / "er" / "a.txt", make_folder=True) as temporary:
        temporary.write_text("x")
    assert (tmp_path / "new" / "er" / "a.txt").read_text() == "x"
    with pytest.raises(WriteError), replacing(tmp_path / "missing" / "a.txt"):
        pass


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(fails: bool) -> None:
        with replacing(tmp_path / "model", folder=True) as temporary:
            (temporary / "part").write_text(str(fails))
            if fails:
                raise OSError(28, "No space left on device")

    write(fails=False)
    with pytest.raises(WriteError, match="No space left"):
        write(fails=True)
    assert (tmp_path / "model" / "part").read_text() == "False"
    assert names_in(tmp_path) == ["model"]


def leave_file(path: Path) -> None:
    path.write_text("half")


def leave_folder(path: Path) -> None:
    (path / "variables").mkdir(parents=True)
    (path / "variables" / "part").write_text("half")


@pytest.mark.parametrize("leave", [leave_file, leave_folder])
@pytest.mark.parametrize(
    "name", ["model.KEY.tmp.keras", ".000000100.KEY.tmp.npz", ".model-saved-model.KEY.tmp", ".a b.KEY.tmp"]
)
def test_recovery_removes_what_a_kill_left(tmp_path: Path, leave: Callable[[Path], None], name: str) -> None:
    path = tmp_path / f".{name.removeprefix('.')}".replace("KEY", TOKEN)
    leave(path)
    remove_leftovers(tmp_path, tmp_path / "missing")
    assert not path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "notes.tmp",
        ".notes.tmp",
        ".notes-1.tmp.txt",
        f"model.{TOKEN}.tmp",
        f".a.{TOKEN[1:]}.tmp",
        ".a.tmp.x",
        f".a.{TOKEN}.lock",
    ],
)
def test_recovery_removes_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("the user's")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("precious")
    (tmp_path / f".link.{TOKEN}.tmp").symlink_to("outside")
    make_special(tmp_path / f".pipe.{TOKEN}.tmp", "pipe")
    before = names_in(tmp_path)
    with limited(seconds=5):
        remove_leftovers(tmp_path)
    assert names_in(tmp_path) == before
    assert (tmp_path / "outside" / "file").read_text() == "precious"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_recovery_in_the_moment_before_the_lock_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    times = []

    def late(descriptor: int, **options: bool) -> bool:
        times.append(descriptor)
        if len(times) == 1:
            remove_leftovers(tmp_path)
        return lock_in_time(descriptor, **options)

    lock_in_time = filelock.lock_descriptor
    monkeypatch.setattr(filelock, "lock_descriptor", late)
    if kind == "file":
        with replacing(tmp_path / "it") as temporary:
            temporary.write_text("new")
    else:
        with replacing(tmp_path / "it", folder=True) as temporary:
            (temporary / "part").write_text("new")
    assert len(times) == 3, "the writer, the recovery, and the writer again"
    assert names_in(tmp_path) == ["it"]


def test_recovery_leaves_what_another_process_is_writing(tmp_path: Path) -> None:
    with replacing(tmp_path / "figure.png") as file, replacing(tmp_path / "model", folder=True) as folder:
        file.write_text("new")
        (folder / "part").write_text("new")
        remove_leftovers(tmp_path)
    assert (tmp_path / "figure.png").read_text() == (tmp_path / "model" / "part").read_text() == "new"
