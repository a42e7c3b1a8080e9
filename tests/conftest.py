"""For every test: no network, no stray logs, two threads. Fixtures live elsewhere."""

import os
import tempfile

# Read when torch, transformers and Inspect are imported, so set before any of them.
# INSPECT_LDA_CACHE keeps its default: a machine converts the demo's base model once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["INSPECT_LOG_DIR"] = tempfile.mkdtemp(prefix="inspect-lda-logs-")
os.environ["INSPECT_CACHE_DIR"] = tempfile.mkdtemp(prefix="inspect-lda-generate-")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
