"""What a user can get wrong: every message is one sentence that says what is wrong, where, and what to do."""


class CnnMnistError(Exception):
    """Something that the user can mend; the command line prints its message, never a traceback."""

    exit_status = 1


class ClusterError(CnnMnistError):
    """The workers of a cluster are described wrongly, do not appear, disagree, or were lost."""


class DataError(CnnMnistError):
    """A data set is missing, damaged or not what it should be."""


class DownloadError(DataError):
    """A data set could not be fetched from any of its mirrors."""


class MissingExtraError(CnnMnistError):
    """A package that only some commands need is not installed."""


class PictureError(CnnMnistError):
    """A picture file is missing, damaged, of an unknown kind, or shows no digit."""


class RecipeError(CnnMnistError):
    """A recipe, or an override of one of its fields, is not valid."""

    exit_status = 2


class RunError(CnnMnistError):
    """A run directory is missing, damaged, in use or not finished."""


class MissingRunError(RunError):
    """There is no run of that name."""


class SelectionError(CnnMnistError):
    """A layer, image or channel that does not exist was asked for."""

    exit_status = 2


class ServerError(CnnMnistError):
    """The page for drawing cannot be offered, as when its port is taken."""


class TrainingError(CnnMnistError):
    """Training cannot go on, as when the loss is no longer a number."""


class WriteError(CnnMnistError):
    """A file or folder cannot be written."""


def in_one_sentence(error: BaseException) -> str:
    """The reason of an error on one line, without full stop or control characters, at most 200 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return text[:200].rstrip(".")
