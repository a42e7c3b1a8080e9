"""The engine for pairs that are served elsewhere: it decodes, endpoints compute."""

import logging
import threading
from dataclasses import replace

from inspect_lda.engines.api.drafted import decode_drafted
from inspect_lda.engines.api.forced import score
from inspect_lda.engines.api.meter import current_meter, metering
from inspect_lda.engines.api.opened import Opened
from inspect_lda.engines.api.plan import AUDIT_EVERY, Ledger, Prices, plan_text
from inspect_lda.engines.api.rollout import Limits, Rollout
from inspect_lda.engines.api.served import ServedPair, open_pair
from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.engines.api.stepwise import decode_stepwise
from inspect_lda.engines.base import Completion, Request, Scored, ScoreRequest

logger = logging.getLogger(__name__)


class ApiEngine:
    """Runs a pair behind two endpoints; see `engines.base.Engine`.

    The endpoints are asked what they can do by the first request.

    Args:
        spec: The endpoints and how they are used.
    """

    def __init__(self, spec: ApiSpec) -> None:
        self.spec = spec
        self.ledger = Ledger(Prices.of(spec))
        self._lock = threading.Lock()
        self._pair = Opened(lambda: open_pair(spec))
        self._planned = False

    async def pair(self) -> ServedPair:
        """Open the endpoints if that has not happened, and return the pair.

        Raises:
            LDAError: If they can not be used, at every call.
            EndpointError: The same; only what may pass is tried again.
        """
        return await self._pair.get()

    async def generate(self, request: Request) -> Completion:
        """Sample one completion."""
        pair = await self.pair()
        self._plan(request)
        rollout = self.rollout(pair, request)
        with metering(current_meter().retries_allowed) as meter:
            try:
                await self.decode(rollout)
            finally:
                self.ledger.add(meter.cost(), len(rollout.row.tokens))
        return replace(rollout.completion(), cost=meter.cost())

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation at every alpha."""
        pair = await self.pair()
        with metering(current_meter().retries_allowed) as meter:
            try:
                scored = await score(pair.view(request), request)
            finally:
                self.ledger.add(meter.cost(), 0)
        return replace(scored, cost=meter.cost())

    def close(self) -> None:
        """Tell what was spent, and close the connections."""
        self.ledger.tell()
        pair = self._pair.let_go()
        if pair is not None:
            pair.close()

    def rollout(self, pair: ServedPair, request: Request) -> Rollout:
        """A request that is ready to be decoded.

        Raises:
            EngineError: If the endpoints can not answer it.
        """
        pair.check(request)
        lone = request.alpha == 0 and request.evidence == "none"
        # A placebo's order is one of the support: the whole vocabulary has another.
        unaudited = lone or request.placebo
        limits = Limits(self.spec.max_lost_mass, self._audit_every(unaudited))
        view = pair.view(request, lone)
        return Rollout(request, pair.decoding, view, pair.vocabulary, limits)

    async def decode(self, rollout: Rollout) -> None:
        """Decode to the end, by drafts where that is asked for and possible."""
        # A draft is drawn from a support: the whole vocabulary has none.
        drafts = rollout.row.support is not None and rollout.view.after.can.drafts
        if self.spec.draft == 0 or not drafts:
            await decode_stepwise(rollout)
        else:
            fixed = None if self.spec.draft == "auto" else self.spec.draft
            await decode_drafted(rollout, fixed)

    def _audit_every(self, never: bool) -> int:
        if never:
            return 0
        asked = self.spec.audit_every
        return AUDIT_EVERY if asked is None else asked

    def _plan(self, request: Request) -> None:
        with self._lock:
            if self._planned:
                return
            self._planned = True
        sizes = len(request.prompt), request.max_tokens, request.support
        logger.warning("%s", plan_text(self.spec, *sizes))
