"""The needle table runs, and says of a net what the net does."""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import needle
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def test_the_table_has_a_line_for_every_net_and_alpha(
    printed: Callable[..., str], tmp_path: Path
) -> None:
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=1024)
        save_checkpoint(tmp_path / name, model, tiny_tokenizer())
    pair = ("--after", f"{tmp_path}/after", "--before", f"{tmp_path}/before")
    size = ("--prompts", "3", "--tokens", "4", "--alphas", "1,3", "--payload", "the")
    text = printed(needle.main, *pair, *size)
    lines = re.findall(r"^\| ([\d.]+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|", text, re.M)
    assert len(lines) == 1 + 2 * len(needle.NETS)
    alpha, name, _, kl = lines[0]
    assert (alpha, name.strip(), float(kl)) == ("0", "", 0.0)
    by_net = {(alpha, name): float(kl) for alpha, name, _, kl in lines}
    assert by_net["3", "max_kl_per_token 0.5"] < by_net["3", "plain"]
    assert sum("(counted)" in rate for _, _, rate, _ in lines) == 2
