"""Is a log what it must be? Status, completion, versions, prompts, who judged."""

import re
from collections.abc import Iterator

from inspect_lda.gate.case import Case
from inspect_lda.gate.policy import BehaviourRules, LogRules, Policy
from inspect_lda.gate.protocol import (
    comparable_version,
    differences,
    partial,
    prompts_of,
)
from inspect_lda.gate.report import Check
from inspect_lda.gate.rollouts import LogData
from inspect_lda.gate.sequential import obstacles, stopped


def result(name: str, subject: str, ok: bool, found: str) -> Check:
    """A check that holds or fails."""
    return Check(
        name=name, subject=subject, status="ok" if ok else "failed", found=found
    )


def log_checks(log: LogData, rules: BehaviourRules, policy: Policy) -> Iterator[Check]:
    """Everything that the header says."""
    yield _status(log)
    yield _completed(log, policy.logs)
    yield from _versions(log, policy.logs)
    if rules.task_version is not None:
        found = str(log.header.eval.task_version)
        told = f"version {found}, wanted {rules.task_version}"
        same = rules.task_version in (found, comparable_version(found))
        yield result("task version", log.short, same, told)
    if rules.prompts_sha256 is not None:
        digest = prompts_of(log) or "none"
        told = f"prompts {digest[:12]}, wanted {rules.prompts_sha256[:12]}"
        same = digest.startswith(rules.prompts_sha256) and len(rules.prompts_sha256) > 7
        if partial(log.header):
            same = False
            told += ", of which --limit or --sample-id picked some"
        yield result("prompt set", log.short, same, told)
    yield from _graders(log)


def case_checks(case: Case, policy: Policy) -> Iterator[Check]:
    """What only all logs of a behaviour together say."""
    logs = case.candidate.logs
    told = ", ".join(f"{alpha:g}" for alpha in case.alphas) or "none"
    lacking = ", ".join(f"{alpha:g}" for alpha in case.missing)
    found = f"alphas {told}" + (f"; no rollouts at {lacking}" if lacking else "")
    amplified = any(alpha > 0 for alpha in case.alphas)
    if not lacking and not amplified:
        found += ": none amplifies, so nothing was looked for"
    yield result("alphas", case.label, not lacking and amplified, found)
    yield from _stopped(case, policy)
    if len(logs) > 1:
        differ = differences(logs)
        said = f"{len(logs)} logs" + (f" that differ in {differ}" if differ else "")
        yield result("one experiment", case.label, not differ, said)


def _status(log: LogData) -> Check:
    header = log.header
    why = f": {header.error.message}" if header.error else ""
    found = f"status '{header.status}'{why}"
    if header.status != "success":
        found += f". Resume it: inspect eval-retry {log.location}"
    if header.invalidated:
        found += "; samples were invalidated"
    return result(
        "status",
        log.short,
        header.status == "success" and not header.invalidated,
        found,
    )


def _completed(log: LogData, rules: LogRules) -> Check:
    results = log.header.results
    total = results.total_samples if results else 0
    done = results.completed_samples if results else 0
    if log.ended < done:
        found = f"the log holds {log.ended:,} of the {done:,} samples that ran"
        return result("completed", log.short, False, found)
    if log.stopped:
        return result(
            "completed", log.short, True, f"{done:,} samples, then it stopped"
        )
    share = done / total if total else 0.0
    found = f"{done:,} of {total:,} planned samples ran, need {rules.min_completed:.0%}"
    return result("completed", log.short, share >= rules.min_completed, found)


def _stopped(case: Case, policy: Policy) -> Iterator[Check]:
    record = stopped(case)
    for log in case.candidate.logs:
        results = log.header.results
        if results is None or results.early_stopping is None:
            continue
        if record is None:
            found = (
                f"by {results.early_stopping.manager}, after looking at its counts: "
                "bounds of a fixed size do not hold then. Use -T stop=… or none"
            )
            yield result("stopped early", log.short, False, found)
            continue
        against = obstacles(case, record, policy)
        found = f"by a sequential test that holds at any time; {record.skipped:,} left"
        found += " out" + "".join(f"; {one}" for one in against)
        yield result("stopped early", log.short, not against, found)


def _versions(log: LogData, rules: LogRules) -> Iterator[Check]:
    for name, least in rules.min_versions.items():
        found = log.header.eval.packages.get(name)
        ok = found is not None and _numbers(found) >= _numbers(least)
        told = f"{name} {found or 'not recorded'}, need {least} or newer"
        yield result("version", log.short, ok, told)


def _numbers(version: str) -> tuple[int, ...]:
    """`0.3.285.dev1` as (0, 3, 285): what comes before the first part without one."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _graders(log: LogData) -> Iterator[Check]:
    for role, models in sorted(log.graders.items()):
        named = ", ".join(sorted(models))
        tested = log.model.partition("(")[0]
        itself = any(model.partition("(")[0] == tested for model in models)
        bound = role in (log.header.eval.model_roles or {})
        found = f"{role}: {named}"
        if itself:
            found += ", which is the model under test: it must not judge itself"
        elif not bound:
            found += ", though the log names no model for this role"
        yield result(
            "grader", log.short, not itself and bound and len(models) == 1, found
        )
