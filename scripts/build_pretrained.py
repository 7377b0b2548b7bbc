"""Make a run that ships with the program, from a run on MNIST.

    cnnmnist train --config best --seed 0 --data-dir DIR --name best-0
    python scripts/build_pretrained.py runs/best-0 pretrained

    cnnmnist train --config handwriting --seed 0 --data-dir DIR --name handwriting-0
    python scripts/build_pretrained.py runs/handwriting-0 handwriting

The network is the same, but compressed. The script removes the folder of the data from the metadata.
"""

import shutil
import sys
import zipfile
from pathlib import Path

from cnnmnist.runs.run import Run
from cnnmnist.runs.store import SHIPPED, load_run


def main() -> None:
    name, shipped_as = sys.argv[1:]
    run, folder = load_run(name, Path("runs")), SHIPPED[shipped_as]
    metadata = run.metadata
    if metadata.status != "finished":
        raise SystemExit(f"{run.directory} has not finished.")
    metadata.dataset.source, metadata.dataset.data_dir = "MNIST", None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shipped = Run(folder, metadata)
    shipped.save()
    with zipfile.ZipFile(run.model_file) as source, zipfile.ZipFile(shipped.model_file, "w") as target:
        for member in sorted(source.namelist()):
            # A fixed date, so that the same run gives the same bytes.
            target.writestr(zipfile.ZipInfo(member), source.read(member), zipfile.ZIP_DEFLATED, 9)
    print(f"{shipped.model_file}: {shipped.model_file.stat().st_size:,} bytes")


main()
