"""Make the run that ships with the program, from a run of the recipe best on MNIST.

    cnnmnist train --config best --seed 0 --data-dir DIR --name best-0
    python scripts/build_pretrained.py runs/best-0

The network is the same, but compressed. The script removes the folder of the data from the metadata.
"""

import shutil
import sys
import zipfile
from pathlib import Path

from cnnmnist.runs.run import Run
from cnnmnist.runs.store import PRETRAINED, load_run


def main() -> None:
    run = load_run(sys.argv[1], Path("runs"))
    metadata = run.metadata
    if metadata.status != "finished":
        raise SystemExit(f"{run.directory} has not finished.")
    metadata.dataset.source, metadata.dataset.data_dir = "MNIST", None
    shutil.rmtree(PRETRAINED, ignore_errors=True)
    PRETRAINED.mkdir()
    shipped = Run(PRETRAINED, metadata)
    shipped.save()
    with zipfile.ZipFile(run.model_file) as source, zipfile.ZipFile(shipped.model_file, "w") as target:
        for member in sorted(source.namelist()):
            # A fixed date, so that the same run gives the same bytes.
            target.writestr(zipfile.ZipInfo(member), source.read(member), zipfile.ZIP_DEFLATED, 9)
    print(f"{shipped.model_file}: {shipped.model_file.stat().st_size:,} bytes")


main()
