"""How a refused pair is asked for, and how checkpoints are damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_pair


def refusal(spec: PairSpec) -> str:
    with pytest.raises(LDAError) as caught:
        load_pair(spec)
    return str(caught.value)


def edit_json(path: Path, **values: Any) -> None:
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}),
        encoding="utf-8",
    )


def damaged_copy(source: Path, target: Path, keep: float) -> Path:
    shutil.copytree(source, target)
    file = next(target.glob("*.safetensors"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])
    return file
