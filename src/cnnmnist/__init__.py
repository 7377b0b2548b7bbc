"""The classic convolutional network for handwritten digits, as a command-line tool."""

__version__ = "0.1.0"
