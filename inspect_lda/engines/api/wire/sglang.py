"""SGLang's native `/generate`: ids in, ids out, and log-probabilities of any ids.

Unless it is started with SGLANG_RETURN_ORIGINAL_LOGPROB=1 its log-probabilities are
those at the request's temperature and after its bias. They are asked at temperature 1
without any; a draft is scored anew.
"""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.wire.answers import Entry, Reply, reading
from inspect_lda.engines.api.wire.ask import Ask
from inspect_lda.engines.api.wire.base import Wire


class SGLang(Wire):
    """Speaks `/generate`."""

    @override
    async def replies(self, prefixes: Sequence[Ids], ask: Ask) -> list[Reply]:
        sampling = {**self.body(prefixes, ask), "max_new_tokens": ask.n}
        if ask.bias:
            sampling["logit_bias"] = {str(t): value for t, value in ask.bias.items()}
        body = {
            **self.profile.always,
            **self.profile.asking(self.number(ask.k)),
            "input_ids": [list(prefix) for prefix in prefixes],
            "sampling_params": sampling,
            "return_logprob": True,
        }
        if ask.given and self.profile.given is not None:
            body[self.profile.given] = [list(ids) for ids in ask.given]
        answer = await self.send(body, ask)
        results = answer if isinstance(answer, list) else [answer]
        with reading(self.endpoint, "Is it SGLang's own server?"):
            replies = [_reply(result) for result in results]
            for prefix, result in zip(prefixes, results, strict=False):
                self.check_read(prefix, result["meta_info"].get("prompt_tokens"))
        self.spend(prefixes, replies)
        return replies

    @override
    async def echo(self, ids: Ids) -> list[float | None] | None:
        if self.profile.echo is None:
            return None
        body = {
            "input_ids": list(ids),
            "sampling_params": {**self.body([ids], Ask(k=1)), "max_new_tokens": 1},
            "return_logprob": True,
            self.profile.echo: 0,
        }
        answer = await self.send(body, Ask(k=1))
        try:
            listed = answer["meta_info"]["input_token_logprobs"]
            pairs = list(zip(ids, listed, strict=True))
            if any(int(one[1]) != token for token, one in pairs):
                raise ValueError("other tokens than were sent")
            return [None if one[0] is None else float(one[0]) for _, one in pairs]
        except (KeyError, TypeError, ValueError) as error:
            raise self.endpoint.refuse(
                f"its prompt log-probabilities cannot be read ({error!r})"
            ) from None


def _reply(result: dict[str, Any]) -> Reply:
    said = result["meta_info"]
    tokens = tuple(int(one[1]) for one in said.get("output_token_logprobs") or ())
    listed = said.get("output_top_logprobs") or [None] * len(tokens)
    reason = said.get("finish_reason") or {}
    return Reply(
        tokens,
        tuple(None if one is None else _entries(one) for one in listed),
        given=tuple(_entries(o) for o in said.get("output_token_ids_logprobs") or ()),
        ended=reason.get("type") == "stop",
    )


def _entries(listed: Sequence[Sequence[Any]]) -> tuple[Entry, ...]:
    """SGLang writes (log-probability, id, text)."""
    return tuple((int(one[1]), float(one[0])) for one in listed)
