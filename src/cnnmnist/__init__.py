"""The classic convolutional network for handwritten digits, as a command-line tool and as a library.

Importing this package is immediate: the first use of a name, listed in ``__init__.pyi``, imports its module.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
