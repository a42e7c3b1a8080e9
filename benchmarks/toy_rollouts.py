"""Many runs of a toy at once, as the estimators of the true rate want them."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.toys import PROMPTS, VOCABULARY, Floats, Ints, Toy
from inspect_lda.statistics.drawn import Cut


def runs(
    toy: Toy,
    alphas: Sequence[float],
    each: int,
    count: int,
    rng: np.random.Generator,
    first_k: int | None = None,
) -> Iterator[Cut]:
    """Draw that many independent runs.

    Args:
        toy: The model.
        alphas: Of the sweep, ascending; every prompt gets rollouts at each.
        each: Rollouts of a prompt at an alpha.
        count: Runs.
        rng: Draws.
        first_k: Tokens to amplify, if not all.
    """
    layout = (count, PROMPTS, len(alphas), each)
    drawn = np.broadcast_to(np.arange(len(alphas))[:, None], layout).ravel()
    prompt = np.broadcast_to(np.arange(PROMPTS)[:, None, None], layout).ravel()
    hit, log_at = _replies(toy, alphas, prompt, drawn, rng, first_k)
    plain = np.array(alphas) == 0
    size = PROMPTS * len(alphas) * each
    for start in range(0, len(hit), size):
        own = slice(start, start + size)
        yield Cut(
            prompts=tuple(map(str, range(PROMPTS))),
            alphas=tuple(alphas),
            prompt=prompt[own],
            drawn=drawn[own],
            hit=hit[own],
            log_p=log_at[own, -1],
            log_at=np.where(plain, log_at[own, -1:], log_at[own, :-1]),
            first_k=first_k,
        )


def _replies(
    toy: Toy,
    alphas: Sequence[float],
    prompt: Ints,
    drawn: Ints,
    rng: np.random.Generator,
    first_k: int | None,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]:
    """Hits, and the log-probability at each alpha and at 0, up to the decision."""
    tables = np.stack([toy.amplified(alpha) for alpha in (*alphas, 0.0)], axis=-1)
    plain = np.repeat(tables[..., -1:], tables.shape[-1], axis=-1)
    rows, plain_rows = _rows(tables), _rows(plain)
    state = toy.starts[prompt]
    counted = np.zeros(len(state), dtype=np.intp)
    log_at = np.zeros((len(state), len(alphas) + 1))
    for position in range(toy.length):
        late = first_k is not None and position >= first_k
        now = plain if late else tables
        token = _drawn(plain_rows if late else rows, state, drawn, rng)
        open_ = (counted < toy.many) | (not toy.stops)
        log_at += now[state, token] * open_[:, None]
        counted += toy.counts[state, token]
        state = toy.follow[state, token]
    return counted >= toy.many, log_at


def _rows(tables: Floats) -> list[Floats]:
    """For each alpha the CDFs of all states, one behind the other: one sorted array."""
    found: list[Floats] = []
    for alpha in range(tables.shape[-1] - 1):
        cdf: Floats = np.exp(tables[..., alpha]).cumsum(axis=1)
        cdf[:, -1] = 1.0
        offset = np.arange(len(cdf), dtype=np.float64)
        found.append(np.ravel(cdf + offset[:, None]))
    return found


def _drawn(
    rows: Sequence[Floats], state: Ints, drawn: Ints, rng: np.random.Generator
) -> Ints:
    """A token of each reply, by inverse CDF."""
    found = np.empty(len(state), dtype=np.intp)
    for alpha, row in enumerate(rows):
        mine = np.flatnonzero(drawn == alpha)
        where = np.searchsorted(row, state[mine] + rng.random(len(mine)), "right")
        found[mine] = np.minimum(where - state[mine] * VOCABULARY, VOCABULARY - 1)
    return found
