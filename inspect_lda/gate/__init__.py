"""The release gate: logs and a policy in, a verdict with its evidence out.

`gate(logs, policy)` reads logs only: no torch, no model, no network. `docs/gate.md`
says how each decision is made.
"""

from inspect_lda.gate.policy import Policy
from inspect_lda.gate.report import GateReport
from inspect_lda.gate.run import gate

__all__ = ["GateReport", "Policy", "gate"]
