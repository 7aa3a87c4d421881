"""The one tree of exceptions.

Every message is one line and says what is wrong, where, and what would be right.
The command line prints it and ends with `exit_code`; the library lets it pass to the caller.
"""


class CsideployError(Exception):
    """Root of all errors that csideploy raises on purpose."""

    exit_code = 2


class InputError(CsideployError):
    """Bad use or bad input: a file, key, shape, domain, option or value."""


class FormatError(CsideployError):
    """A bundle, payload, package or checkpoint that does not say what its format demands."""


class PairingError(FormatError):
    """Two ends that do not belong together: their pairing ids or payload layouts differ."""


class UnsupportedError(CsideployError):
    """A network that the compiler cannot lower yet: names the operator and the node."""


class MissingDependencyError(CsideployError):
    """An optional extra is not installed: names the extra."""


class OutputError(CsideployError):
    """A file or folder that cannot be written: no permission, full disk, exists already."""


class CheckFailedError(CsideployError):
    """The command ran, and a check did not hold (validate, plan, report against a budget)."""

    exit_code = 1
