"""A real eval on a pair of tiny random checkpoints, and its log."""

from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, read_eval_log

from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def run_on_tiny_pair(task: Task, folder: Path) -> EvalLog:
    """Run a task on `after` against `before`, both in the folder, and read the log."""
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=1024)
        save_checkpoint(folder / name, model, tiny_tokenizer())
    [made] = inspect_eval(
        task,
        model=f"lda/{folder / 'after'}",
        model_args={"before": str(folder / "before")},
        log_dir=str(folder),
        display="none",
    )
    assert made.status == "success", made.error
    return read_eval_log(made.location)
