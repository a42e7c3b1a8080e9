"""Importing what Inspect discovers must cost nothing."""

import subprocess
import sys


def test_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys, inspect_lda._registry;"
        "heavy = {'torch', 'transformers', 'openai', 'numpy', 'scipy', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
