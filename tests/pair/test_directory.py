"""A pair written down as one model: what is in it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from transformers import AutoConfig, AutoTokenizer

from inspect_lda.checkpoints.block import ARCHITECTURE, PairBlock, ranges
from inspect_lda.checkpoints.directory import write_pair
from inspect_lda.checkpoints.sides import find_sides
from inspect_lda.cli import main
from inspect_lda.errors import LDAError
from tests.pair.conftest import Shelf
from tests.tiny import BOS, EOS, PAD, VOCAB, save_checkpoint, tiny_model, tiny_tokenizer


def config_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "config.json").read_text("utf-8"))
    return found


def test_names_both_checkpoints_and_holds_no_weights(
    shelf: Shelf, tmp_path: Path
) -> None:
    write_pair(str(shelf.after), str(shelf.before), tmp_path / "pair", alpha=0.25)
    config = config_of(tmp_path / "pair")
    block = PairBlock.of(config, "pair")
    assert config["architectures"] == [ARCHITECTURE]
    assert config["model_type"] == "llama"
    assert (block.after.model, block.before.model) == (
        str(shelf.after),
        str(shelf.before),
    )
    assert (block.alpha, block.shares_base) == (0.25, False)
    assert block.ids.allowed == block.ids.shared == ((0, VOCAB),)
    assert not list((tmp_path / "pair").glob("*.safetensors"))


def test_reads_as_a_model_directory(shelf: Shelf, tmp_path: Path) -> None:
    write_pair(str(shelf.after), str(shelf.before), tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).vocab_size == VOCAB
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.chat_template == tiny_tokenizer().chat_template
    # Token ids alone: sampling settings would change what is measured.
    stored = json.loads((tmp_path / "generation_config.json").read_text("utf-8"))
    assert stored == {"eos_token_id": [EOS], "pad_token_id": PAD, "bos_token_id": BOS}


def test_an_adapter_shares_its_base(shelf: Shelf, tmp_path: Path) -> None:
    write_pair(str(shelf.adapter), None, tmp_path)
    block = PairBlock.of(config_of(tmp_path), "pair")
    assert block.shares_base
    assert (block.after.adapter, block.before.adapter) == (str(shelf.adapter), None)


def test_vocabularies_that_differ_at_the_end(tmp_path: Path) -> None:
    # `after` has two more tokens and a padded table.
    wide = tiny_model(seed=2, vocab_size=104)
    save_checkpoint(tmp_path / "after", wide, tiny_tokenizer())
    more = tiny_tokenizer()
    more.add_tokens(["<a>", "<b>"])
    more.save_pretrained(tmp_path / "after")
    save_checkpoint(tmp_path / "before", tiny_model(seed=1), tiny_tokenizer())
    notes = write_pair(
        str(tmp_path / "after"), str(tmp_path / "before"), tmp_path / "pair"
    )
    ids = PairBlock.of(config_of(tmp_path / "pair"), "pair").ids
    assert (ids.size, ids.before_end) == (104, EOS)
    assert (ids.allowed, ids.shared) == (((0, VOCAB + 2),), ((0, VOCAB),))
    assert any("only in after" in note for note in notes)


def test_a_directory_with_something_else_is_left_alone(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(LDAError, match="holds no pair"):
        write_pair(str(shelf.after), str(shelf.before), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_a_pair_is_written_again(shelf: Shelf, tmp_path: Path) -> None:
    for alpha in (1.0, 2.0):
        write_pair(str(shelf.after), str(shelf.before), tmp_path, alpha=alpha)
    assert PairBlock.of(config_of(tmp_path), "pair").alpha == 2.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "no 'lda' block"),
        ({"lda": {"after": 1}}, "after"),
        ({"lda": {"alhpa": 1}}, "did you mean 'alpha'"),
    ],
)
def test_a_block_that_is_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LDAError, match=words):
        PairBlock.of(change, "here")


def test_ranges_are_the_ids() -> None:
    ids = [0, 1, 2, 5, 7, 8]
    found = ranges(ids)
    assert found == ((0, 3), (5, 6), (7, 9))
    assert [i for start, end in found for i in range(start, end)] == ids


def test_from_the_command_line(shelf: Shelf, tmp_path: Path) -> None:
    out = tmp_path / "pair"
    names = [str(shelf.after), "--before", str(shelf.before)]
    done = CliRunner().invoke(
        main, ["pair", *names, "--out", str(out), "--alpha", "-0.5"]
    )
    assert done.exit_code == 0, done.output
    assert f"vllm serve {out}" in done.output
    assert PairBlock.of(config_of(out), "pair").alpha == -0.5
    refused = CliRunner().invoke(
        main, ["pair", *names, "--out", str(out), "--alpha", "x"]
    )
    assert refused.exit_code == 2
    assert "not a number" in refused.output


def test_loads_as_the_pair_it_names(shelf: Shelf, tmp_path: Path) -> None:
    write_pair(str(shelf.adapter), str(shelf.before), tmp_path)
    written = find_sides(str(tmp_path), None)
    given = find_sides(str(shelf.adapter), str(shelf.before))
    assert written.both == given.both


def test_a_pair_directory_takes_no_other_before(shelf: Shelf, tmp_path: Path) -> None:
    write_pair(str(shelf.after), str(shelf.before), tmp_path)
    with pytest.raises(LDAError, match="names both checkpoints"):
        find_sides(str(tmp_path), str(shelf.before))
