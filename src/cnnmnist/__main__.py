"""``python -m cnnmnist``."""

from cnnmnist.cli import main

main()
