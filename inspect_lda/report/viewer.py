"""Where a sample is read in full: addresses in a running `inspect view`."""

from dataclasses import dataclass
from urllib.parse import quote, unquote

from inspect_lda.report.examples import Example

ADDRESS = "http://127.0.0.1:7575"


@dataclass(frozen=True)
class Viewer:
    """A viewer of the folder that a log lies in.

    Attributes:
        address: Of the viewer, or of a bundle that `inspect view bundle` made.
    """

    address: str = ADDRESS

    def log(self, location: str) -> str:
        """The address of a log."""
        name = unquote(location).rpartition("/")[2]
        return f"{self.address.rstrip('/')}/#/logs/{quote(name)}"

    def sample(self, location: str, example: Example) -> str:
        """The address of a sample."""
        # An id is one segment of the path, whatever is in it.
        name = quote(example.sample_id, safe="")
        return f"{self.log(location)}/samples/sample/{name}/{example.epoch}"

    @staticmethod
    def folder(location: str) -> str:
        """What `inspect view` is to be given."""
        return location.rpartition("/")[0] or "."
