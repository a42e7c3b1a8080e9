"""The arithmetic of docs/scale.md: known counts, a simulation by hand, the page."""

import dataclasses
import math

import pytest

from benchmarks.bandwidth import step_bytes
from benchmarks.batching import BLOCK, Job, Simulation, closed_form
from benchmarks.random_pairs import SHAPES
from benchmarks.roofline import FLOAT32, LOGIT_PASSES, Deployment, Device, Shape
from benchmarks.scale import CONFIG, job, sizing, smallest, speed
from inspect_lda.pair import Pair
from tests.packaging.tree import ROOT

PAGE = ROOT / "docs" / "scale.md"
SMALL = Shape(2, 32, 4, 2, 8, 64, 512)
MEMORY_ONLY = Device(memory=1e9, bandwidth=1.0, flops=math.inf, link=math.inf)


@pytest.mark.parametrize(
    ("model", "count"),
    [("8B", 8_030_261_248), ("70B", 70_553_706_496), ("405B", 405_853_388_800)],
)
def test_parameters_are_those_of_the_published_checkpoints(
    model: str, count: int
) -> None:
    assert Shape(**CONFIG["models"][model]).parameters == count


def test_a_step_reads_what_the_other_benchmark_says(pair: Pair) -> None:
    given = SHAPES["tiny"]
    shape = Shape(
        layers=given["num_hidden_layers"],
        hidden=given["hidden_size"],
        heads=given["num_attention_heads"],
        kv_heads=given["num_key_value_heads"],
        head_dim=given["hidden_size"] // given["num_attention_heads"],
        inner=given["intermediate_size"],
        vocab=given["vocab_size"],
        tied=True,
    )
    deployment = Deployment(shape, MEMORY_ONLY, item=FLOAT32)
    logits = LOGIT_PASSES * FLOAT32 * 3 * shape.vocab
    norms = 2 * FLOAT32 * (2 * shape.layers + 1) * shape.hidden
    found = deployment.seconds(rows=3, context=3 * 5) - logits + norms
    assert found == step_bytes(pair, rows=3, context=5)


def test_an_adapter_saves_weights_and_nothing_of_a_step() -> None:
    full = Deployment(SMALL, MEMORY_ONLY)
    shared = dataclasses.replace(full, rank=4)
    assert shared.weights < 0.7 * full.weights
    assert shared.token == full.token
    assert shared.seconds(8, 100) >= full.seconds(8, 100)


def test_two_rollouts_by_hand() -> None:
    deployment = Deployment(SMALL, MEMORY_ONLY)
    asked = Job(prompt=BLOCK + 4, group=2, replies=[2, 3], connections=2)
    # The second finds the first block of the prompt in the cache.
    first = deployment.seconds(2, 2 * (BLOCK + 4), BLOCK + 4 + 4)
    second = deployment.seconds(2, 2 * (BLOCK + 4) + 2)
    third = deployment.seconds(1, BLOCK + 4 + 2)
    found = Simulation(deployment, asked).run()
    assert found.seconds == pytest.approx(first + second + third)
    assert (found.steps, found.rows) == (3, 5 / 3)


def test_a_full_cache_puts_rows_off_and_loses_none() -> None:
    deployment = Deployment(SMALL, MEMORY_ONLY)
    replies = [40 + i % 50 for i in range(60)]
    asked = Job(prompt=30, group=20, replies=replies, connections=16)
    wide, tight = (Simulation(deployment, asked, blocks).run() for blocks in (999, 24))
    assert wide.put_off == 0 < tight.put_off
    for found in (wide, tight):
        assert found.rows * found.steps == pytest.approx(sum(replies))
    assert tight.steps > wide.steps
    with pytest.raises(ValueError, match="not hold"):
        Simulation(deployment, asked, 2).run()


@pytest.mark.parametrize("device", [*CONFIG["devices"]])
def test_the_closed_form_is_what_a_simulated_engine_takes(device: str) -> None:
    found = smallest("70B", device, rank=0)
    asked = job(CONFIG["audit"], share=0.05)
    simulated = Simulation(found, asked).run()
    assert simulated.put_off == 0
    assert simulated.seconds == pytest.approx(
        closed_form(found, asked).seconds, rel=0.03
    )


def test_the_page_shows_what_the_script_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for table in (sizing, speed):
        assert "\n".join(table()) in page
