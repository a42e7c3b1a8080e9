"""A safety suite from one YAML file: pairs x evals, ours and anybody's, in one folder.

    python examples/suite/run.py examples/suite/suite.yaml --log-dir logs/suite
    inspect-lda gate logs/suite --policy examples/suite/gate.yaml
    inspect-lda report logs/suite -o suite.html

Everything is an Inspect eval-set: the same command again resumes what was cut off and
runs nothing twice. Tasks of inspect_lda sweep alpha themselves; an eval that knows
nothing of alpha runs once an arm, on the same weights.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from inspect_ai import Epochs, Task, eval_set, task_with
from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.scorer import Scorer
from inspect_ai.util import registry_create
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspect_lda.errors import LDAError

OURS = "inspect_lda/"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pair(_Strict):
    """A release candidate.

    Attributes:
        after: The checkpoint after training, as behind `lda/`.
        args: Model args, as with -M: `before`, `dtype`, `max_batch`, …
        provider: Prefix of the model's name.
    """

    after: str
    args: dict[str, Any] = Field(default_factory=dict)
    provider: str = "lda"


class Eval(_Strict):
    """An eval, and how it is run on the pairs.

    Attributes:
        task: Registered name, `package/task`.
        args: Task args, as with -T.
        pairs: Names of the pairs it is for; all if left out.
        arms: Names of the arms; all if left out, none for a task of inspect_lda.
        limit: Use the first so many samples.
        epochs: Rollouts of every sample; the eval's own if left out.
        config: Generation settings over the eval's own: `temperature`, …
        scorers: Scorers of ours to add, each with its args.
        own_scorers: Whether the eval's own scorers are kept.
    """

    task: str
    args: dict[str, Any] = Field(default_factory=dict)
    pairs: list[str] | None = None
    arms: list[str] | None = None
    limit: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    config: GenerateConfig = Field(default_factory=GenerateConfig)
    scorers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    own_scorers: bool = True


class Suite(_Strict):
    """The file.

    Attributes:
        name: Of the suite; tag of all its logs.
        pairs: By name.
        arms: Alphas by name, for evals that know nothing of alpha.
        roles: Model roles, as with --model-role: `grader`, …
        options: Arguments of Inspect's `eval_set`: limits, retries, `max_tasks`, …
        evals: What to run.
    """

    name: str
    pairs: dict[str, Pair] = Field(min_length=1)
    arms: dict[str, float] = Field(default={"plain": 0.0, "amplified": 1.0})
    roles: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    evals: list[Eval] = Field(min_length=1)


def read(path: Path) -> tuple[Suite, str]:
    """The suite in a file, and an id that is another one when the file changes.

    Raises:
        LDAError: If the file is no suite, or names a pair or an arm that it lacks.
    """
    raw = path.read_bytes()
    try:
        suite = Suite.model_validate(yaml.safe_load(raw))
    except (yaml.YAMLError, ValidationError) as error:
        raise LDAError(f"{path} is no suite: {error}") from error
    for one in suite.evals:
        for key, known in (("pairs", suite.pairs), ("arms", suite.arms)):
            strange = sorted(set(getattr(one, key) or ()) - set(known))
            if strange:
                raise LDAError(
                    f"{path}: {one.task}: {key} {strange} are not in the suite's "
                    f"{key}: {sorted(known)}"
                )
    return suite, f"{suite.name}-{hashlib.sha256(raw).hexdigest()[:12]}"


def tasks(suite: Suite) -> Iterator[Task]:
    """Every eval on each of its pairs, in each of its arms."""
    for one in suite.evals:
        arms = one.arms
        if arms is None:
            arms = [] if one.task.startswith(OURS) else list(suite.arms)
        for name in one.pairs or suite.pairs:
            if not arms:
                yield _task(suite, one, name, None)
            for arm in arms:
                yield _task(suite, one, name, arm)


def _task(suite: Suite, one: Eval, pair: str, arm: str | None) -> Task:
    """One task of the set, with its model, its tags, and what the file changes."""
    made: Task = registry_create("task", one.task, **one.args)
    told: dict[str, Any] = {"suite": suite.name, "pair": pair}
    tags = [suite.name, f"pair:{pair}"]
    if arm is not None:
        told |= {"arm": arm, "alpha": suite.arms[arm]}
        tags.append(f"arm:{arm}")
    changes: dict[str, Any] = {}
    if one.limit is not None:
        changes["dataset"] = made.dataset[: one.limit]
    if one.epochs is not None:
        changes["epochs"] = Epochs(one.epochs, made.epochs_reducer)
    if one.scorers or not one.own_scorers:
        changes["scorer"] = _scorers(one, made)
    return task_with(
        made,
        model=_model(suite.pairs[pair], suite.arms[arm] if arm else None),
        config=made.config.merge(one.config),
        tags=[*(made.tags or ()), *tags],
        metadata={**(made.metadata or {}), **told},
        **changes,
    )


def _model(pair: Pair, alpha: float | None) -> Model:
    """The pair at an alpha; weights are loaded once a process, whatever the alpha."""
    args = pair.args if alpha is None else {**pair.args, "alpha": alpha}
    return get_model(f"{pair.provider}/{pair.after}", **args)


def _scorers(one: Eval, made: Task) -> list[Scorer]:
    own = list(made.scorer or ()) if one.own_scorers else []
    ours = [registry_create("scorer", key, **args) for key, args in one.scorers.items()]
    return [*own, *ours]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--log-dir", required=True, help="One folder for the whole suite.")
def main(file: Path, log_dir: str) -> None:
    """Run, or resume, the suite in FILE."""
    suite, identity = read(file)
    # The id is kept in the folder: Inspect refuses to resume another suite's logs.
    success, logs = eval_set(
        list(tasks(suite)),
        log_dir,
        model_roles=dict(suite.roles),
        tags=[suite.name],
        eval_set_id=identity,
        **suite.options,
    )
    done = "all done" if success else "NOT all done"
    click.echo(f"{len(logs)} logs in {log_dir}, {done}.")
    sys.exit(0 if success else 1)


if __name__ == "__main__":
    main()
