"""One model of one HTTP endpoint: sends, retries, and says what went wrong."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.client import Clients, ForeignHost
from inspect_lda.engines.api.errors import (
    AnswerError,
    EndpointError,
    EndpointUnavailable,
    excerpt,
)
from inspect_lda.engines.api.meter import current_meter
from inspect_lda.engines.api.retry import (
    LONGEST_ASKED,
    RETRIES,
    asked_wait,
    may_pass,
    wait_before,
)

if TYPE_CHECKING:
    import openai

TIMEOUT = 600.0
_WAYS_OUT = {
    400: "the request does not suit this server; `inspect-lda probe` shows what does",
    401: "set LDA_API_KEY (LDA_BEFORE_API_KEY for before) to a valid key",
    402: "the account has no credit left",
    403: "the key in LDA_API_KEY (LDA_BEFORE_API_KEY) may not use this model",
    404: "the server has no such route or model; check base_url and the model's name",
    413: "the request is too large for the server",
    429: "the quota is used up",
}


class Endpoint:
    """Asks one model; safe to share between tasks and event loops.

    Args:
        url: Base URL as the openai client takes it (`http://localhost:8000/v1`).
        model: Name of the model there.
        key: Sent as a bearer token, if given.
        timeout: Seconds without an answer after which an attempt has failed.
        retries: How often one request is sent again, unless a meter says otherwise.

    Attributes:
        address: Where requests go; nowhere else.
        model: Name of the model.

    Raises:
        LDAError: If the URL is not one, or could hold a secret.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: SecretStr | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
    ) -> None:
        self.address = Address.parse(url)
        self.model = model
        self.retries = retries
        self._key = key
        self._clients = Clients(self.address, key, timeout)

    def __repr__(self) -> str:
        return f"Endpoint({self.model!r} at {self.address.base})"

    async def post(self, route: str, body: dict[str, Any]) -> Any:
        """Send a body, return the answer's JSON.

        Args:
            route: Below the base URL; with a slash in front, below the server.
            body: What is sent, its seed and its prompt in it: it may be sent twice.

        Raises:
            EndpointError: If the endpoint refuses.
            EndpointUnavailable: If every attempt failed in a way that may pass.
        """
        return await self._send("POST", route, body, None)

    async def get(self, route: str, retries: int | None = None) -> Any:
        """Return the JSON of a route; errors as in `post`."""
        return await self._send("GET", route, None, retries)

    def refuse(
        self, what: str, way_out: str = "", kind: type[AnswerError] = AnswerError
    ) -> AnswerError:
        """The error for an answer that cannot be used."""
        hint = f". {way_out}" if way_out else ""
        return kind(f"{self.model} at {self.address.base}: {what}{hint}")

    def close(self) -> None:
        """Close all connections."""
        self._clients.close()

    async def _send(
        self, method: str, route: str, body: Any, retries: int | None
    ) -> Any:
        meter = current_meter()
        if retries is None:
            given = meter.retries_allowed
            retries = self.retries if given is None else given
        for attempt in range(retries + 1):
            try:
                answer = await self._attempt(method, route, body)
            except EndpointUnavailable as error:
                asked = error.retry_after
                if attempt == retries or (asked or 0.0) > LONGEST_ASKED:
                    raise self._given_up(error, attempt) from error
                meter.retries += 1
                await asyncio.sleep(wait_before(attempt, asked))
            else:
                meter.requests += 1
                return answer
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, method: str, route: str, body: Any) -> Any:
        import openai

        client, url = self._clients.current(), self.address.url(route)
        try:
            if method == "GET":
                text = await client.get(url, cast_to=str)
            else:
                text = await client.post(url, cast_to=str, body=body)
        except openai.APIStatusError as error:
            raise self._refused(url, error) from None
        except openai.APITimeoutError:
            raise EndpointUnavailable(self._told(url, "no answer in time")) from None
        except ForeignHost as error:
            raise self._strayed(error) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            if isinstance(cause, ForeignHost):
                raise self._strayed(cause) from None
            reason = f"{type(cause).__name__}: {self._hidden(str(cause))}"
            raise EndpointUnavailable(
                self._told(url, f"the connection failed ({reason})")
            ) from None
        return self._json(url, text)

    def _json(self, url: str, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            if text.lstrip().startswith("<"):
                raise AnswerError(
                    self._told(url, "answered with a page, not with JSON", text)
                    + ". Is this the address of an API?"
                ) from None
            cut = "the answer is not JSON (cut off on the way?)"
            raise EndpointUnavailable(self._told(url, cut, text)) from None

    def _refused(self, url: str, error: "openai.APIStatusError") -> EndpointError:
        status, headers = error.status_code, error.response.headers
        text = error.response.text
        if 300 <= status < 400:
            target = self._hidden(str(headers.get("location", "nowhere")))
            return EndpointError(
                self._told(url, f"HTTP {status} redirects to {target}")
                + ". Redirects are not followed; give the address they lead to",
                status,
            )
        said = self._told(url, f"HTTP {status}", text)
        if may_pass(status, text):
            return EndpointUnavailable(
                said,
                status,
                rate_limited=status == 429,
                retry_after=asked_wait(headers),
            )
        way_out = _WAYS_OUT.get(status, "the server refuses this request")
        return EndpointError(f"{said}. Way out: {way_out}", status, self._hidden(text))

    def _strayed(self, error: ForeignHost) -> EndpointError:
        return EndpointError(
            f"{self.model} at {self.address.base}: a request was on its way to "
            f"{error}, which is not the server that was given; it was not sent"
        )

    def _given_up(
        self, error: EndpointUnavailable, attempt: int
    ) -> EndpointUnavailable:
        attempts = f"after {attempt + 1} attempts" if attempt else "at the one attempt"
        return EndpointUnavailable(
            f"{error} ({attempts}). Way out: is the server up? --max-retries sets how "
            "often one request is repeated, --max-connections how many run at once",
            error.status,
            rate_limited=error.rate_limited,
            retry_after=error.retry_after,
        )

    def _told(self, url: str, what: str, body: str = "") -> str:
        said = f": {excerpt(self._hidden(body))}" if body.strip() else ""
        return f"{self.model} at {url}: {what}{said}"

    def _hidden(self, text: str) -> str:
        """Without the key, should an endpoint repeat it."""
        secret = self._key.get_secret_value() if self._key else ""
        return text.replace(secret, "[key]") if secret else text
