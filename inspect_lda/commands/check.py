"""`inspect-lda check`: what can honestly be amplified in a pair, before a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspect_lda.commands.output import write

if TYPE_CHECKING:
    from inspect_lda.calibration.check import Asked
    from inspect_lda.pair import PairSpec

BROKEN = 4
"""Exit code where an identity does not hold: no number of such a pair is valid."""


@click.command()
@click.argument("pair")
@click.option("--before", help="The checkpoint before training, as -M before=.")
@click.option("--alpha", type=float, multiple=True, help="Refuse it if not honest.")
@click.option("--dtype", default="auto", show_default=True, help="As -M dtype=.")
@click.option("--head-dtype", default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--adapter-scale", type=float, default=1.0, show_default=True)
@click.option("--trust-remote-code", is_flag=True, help="As -M trust_remote_code=.")
@click.option("--allow-mixed-quantization", is_flag=True, help="Check such a pair too.")
@click.option("--max-batch", type=click.IntRange(1), default=32, show_default=True)
@click.option("--prompts", type=click.IntRange(2), default=16, show_default=True)
@click.option("--prompt-set", default="builtin:everyday", show_default=True)
@click.option("--tokens", type=click.IntRange(2), default=8, show_default=True)
@click.option("--chat-template", help="As -M chat_template=.")
@click.option("--reference/--no-reference", default=None, help="Float32 as well.")
@click.option("--adapter", help="The adapter that was merged into PAIR.")
@click.option("--max-noise", type=click.FloatRange(0, 1, True, True), default=0.05)
@click.option("--max-share", type=click.FloatRange(0, min_open=True), default=0.7)
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--png", type=click.Path(path_type=Path), help="Write the picture here.")
@click.pass_context
def check(context: click.Context, /, pair: str, **options: Any) -> None:
    """Test PAIR (what stands after `lda/`): noise, signal, largest honest alpha.

    Exits with 4 if alpha 0 or -1 is not the checkpoint, with 1 if an --alpha is not
    honest or the pair can not be loaded.
    """
    from inspect_lda.calibration.check import check_pair
    from inspect_lda.calibration.guard import broken, refuse_noise
    from inspect_lda.report.check_table import print_check

    found = check_pair(_spec(pair, options), _asked(options))
    print_check(found)
    if options["json_file"] is not None:
        text = found.model_dump_json(indent=1, by_alias=True)
        write(options["json_file"], text.encode())
    if options["png"] is not None:
        from inspect_lda.report.check_figure import draw_check

        write(options["png"], draw_check(found))
    if not found.test.passed:
        click.echo(f"Error: {broken(found.test)}", err=True)
        context.exit(BROKEN)
    refuse_noise(found.test, options["alpha"], allowed=False)


def _spec(pair: str, options: dict[str, Any]) -> "PairSpec":
    from inspect_lda.pair import PairSpec

    scale = 1.0 if options["adapter"] else options["adapter_scale"]
    return PairSpec(
        after=pair.removeprefix("lda/"),
        before=options["before"],
        dtype=options["dtype"],
        head_dtype=options["head_dtype"],
        device=options["device"],
        trust_remote_code=options["trust_remote_code"],
        allow_mixed_quantization=options["allow_mixed_quantization"],
        adapter_scale=scale,
    )


def _asked(options: dict[str, Any]) -> "Asked":
    from inspect_lda.calibration.check import Asked
    from inspect_lda.calibration.result import Limits
    from inspect_lda.tasks.prompt_sets import load_prompts

    prompts = load_prompts(options["prompt_set"])
    return Asked(
        texts=[prompt.input for prompt in prompts.pick(options["prompts"])],
        prompt_set={"spec": prompts.spec, "sha256": prompts.sha256},
        length=options["tokens"],
        rows=options["max_batch"],
        reference=options["reference"],
        limits=Limits(max_tv=options["max_noise"], share=options["max_share"]),
        adapter=options["adapter"],
        adapter_scale=options["adapter_scale"],
        chat_template=options["chat_template"],
    )
