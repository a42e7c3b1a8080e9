"""How much memory a device has left, and how an allocator says that it has none."""

import re
from pathlib import Path

import psutil
import torch

CGROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Limit, usage and reclaimable cache of a container, in both layouts that Linux has."""

ALLOCATORS = re.compile(r"can't allocate memory|not enough memory|out of memory")


def free_memory(device: torch.device, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that tensors on a device can still take.

    What torch holds but does not use counts as free. On the CPU a container's limit
    counts too: beyond it the kernel kills the process, and no allocator says why.

    Args:
        device: A CUDA device; all others share the memory of the machine.
        cgroup: Where Linux shows a container's limits.
    """
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    machine = int(psutil.virtual_memory().available)
    return min([machine, *_container(cgroup)])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator and that of MPS have no class of their own.
    return isinstance(error, RuntimeError) and bool(ALLOCATORS.search(str(error)))


def readable(count: float) -> str:
    """Bytes as people read them: "512 B", "3.4 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def _container(root: Path) -> list[int]:
    rooms = []
    for most, used, reclaimable in CGROUPS:
        try:
            limit, usage = ((root / name).read_text("utf-8") for name in (most, used))
            stat = (root / most).with_name("memory.stat").read_text("utf-8")
        except OSError:
            continue
        if limit.strip() == "max":
            continue
        counts = dict(line.split() for line in stat.splitlines())
        used_bytes = int(usage) - int(counts.get(reclaimable, 0))
        rooms.append(max(0, int(limit) - used_bytes))
    return rooms
