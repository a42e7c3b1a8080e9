"""From two addresses to two probed endpoints that are known to serve a pair."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.dialect import Capabilities, Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.fingerprint import fingerprint
from inspect_lda.engines.api.keys import after_key, before_key
from inspect_lda.engines.api.meter import current_meter, metering
from inspect_lda.engines.api.probe import probe
from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.engines.api.texts import check_texts
from inspect_lda.engines.api.view import Side
from inspect_lda.engines.api.watch import Watched
from inspect_lda.engines.api.wire import speak
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


class LocalTokenizer:
    """What dialects that send text need of a tokenizer; a `wire.text.Tokenizer`."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer: Any = tokenizer

    def encode(self, text: str) -> Ids:
        """Ids of a text, nothing added."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, nothing cleaned up."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def __len__(self) -> int:
        return len(self._tokenizer)


async def connect(
    spec: ApiSpec, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[Watched, Watched]:
    """Probe both endpoints at once, `after` first.

    Raises:
        LDAError: If an endpoint can not be used; says why.
        EndpointError: If one does not answer as it has to.
    """
    ours = Address.parse(spec.base_url, "--model-base-url")
    theirs = Address.parse(spec.before_base_url, "-M before_base_url")
    after = Endpoint(spec.base_url, spec.after, key=after_key(ours))
    before = Endpoint(spec.before_base_url, spec.before, key=before_key(theirs, ours))
    local = LocalTokenizer(tokenizer)
    # The probe is no completion's cost, but waits no longer than one.
    with metering(current_meter().retries_allowed):
        return await asyncio.gather(
            _open("after", after, spec.dialect, local),
            _open("before", before, spec.before_dialect, local),
        )


async def _open(
    name: str, endpoint: Endpoint, dialect: str, tokenizer: LocalTokenizer
) -> Watched:
    able = await probe(endpoint, dialect, tokenizer)
    url = endpoint.address.base
    if not able.exact:
        raise LDAError(f"{name}: {able.model} at {url}: {'; '.join(able.problems)}")
    if able.amplifies:
        raise LDAError(
            f"{name}: {able.model} at {url} is an amplified pair already. Ask it by "
            "itself, as any model (openai-api/…), or give the checkpoints it is made of"
        )
    _tell(name, able, url)
    wire = speak(endpoint, able, tokenizer)
    await check_texts(endpoint, able.dialect, tokenizer, name)
    side = Side(name, url, wire, able)
    return Watched(side, endpoint, wire, await fingerprint(wire))


def _tell(name: str, able: Capabilities, url: str) -> None:
    for problem in able.problems:
        logger.warning("%s: %s at %s: %s", name, able.model, url, problem)
