"""Which versions of vLLM the plugin works with."""

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from inspect_lda.errors import LDAError

SUPPORTED = SpecifierSet(">=0.31,<0.33")
"""Outside it the seams this stands on are missing, or nobody has looked."""


def check_version(installed: str) -> None:
    """Refuse a vLLM that would serve wrong numbers, or nothing.

    Args:
        installed: `vllm.__version__`; a local part such as `+cpu` is ignored.

    Raises:
        LDAError: If it lies outside `SUPPORTED`.
    """
    try:
        fits = Version(Version(installed).base_version) in SUPPORTED
    except InvalidVersion:
        fits = False
    if not fits:
        raise LDAError(
            f"vllm: version {installed} is installed; pairs are served by {SUPPORTED}. "
            f"Install one with: pip install 'vllm{SUPPORTED}'"
        )
