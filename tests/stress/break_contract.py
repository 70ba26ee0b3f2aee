"""Break each sentence of the batch's contract on purpose, and see that its test fails.

    python tests/stress/break_contract.py [NAME ...]

The repository is copied to a temporary folder; there one place at a time is changed so that one sentence of the text
of msmdcli/batch/__init__.py no longer holds, and the tests of that sentence are run. A sentence whose tests
still pass is not tested: exit code 1. Where a place is not found any more this script is out of date: exit code 2.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("msmdcli", "tests", "styles", "training", "export", "pyproject.toml")
TESTS = "tests/msmdcli/batch"


@dataclass(frozen=True)
class Break:
    """One way to break one sentence.

    Attributes:
        name: to choose it by.
        sentence: what no longer holds.
        file, old, new: the change.
        tests: a pytest expression for -k.
        where: the file or folder of the tests.
    """

    name: str
    sentence: str
    file: str
    old: str
    new: str
    tests: str
    where: str = TESTS


RUN, PLAN, PLANNED, PLACING, TELLING = (
    f"msmdcli/batch/{name}.py" for name in ("run", "plan", "planned", "placing", "telling")
)
BREAKS = (
    Break(
        "approved",
        "A line that somebody approved stays as the take that was approved.",
        PLAN,
        '        if approval != "changed":\n',
        "        if True:\n",
        "approved_line_is_made_again_with_force_only",
    ),
    Break(
        "approved mixed",
        "A line that somebody approved stays as the take that was approved, whole.",
        PLAN,
        "        ours = {fmt: path for fmt, path in planned.outputs.items() if path in there "
        "and path not in planned.kept}\n",
        "        return replace(planned, approval=approval)\n",
        "no_file_of_an_approved_line_shows_another_take",
    ),
    Break(
        "companions",
        "What the files of a format need once beside them is written into OUT by the same rules.",
        PLACING,
        "        if not self._force and not self.ledger.may_write(name, found):\n",
        "        if False:\n",
        "companion",
        "tests/msmdcli/manifest/test_format_options.py",
    ),
    Break(
        "stops-others",
        "A line that fails never stops the others.",
        RUN,
        '        return teller.record(failed, "failed", details=outcome.details)\n',
        "        raise MsmdError(outcome.error)\n",
        "never_stops_the_others",
    ),
    Break(
        "exit-1",
        "The exit code is 1 if any line failed",
        RUN,
        'failed = any(record.status == "failed" for record',
        "failed = any(False for record",
        "never_stops_the_others",
    ),
    Break(
        "exit-2",
        "2 if the command or the manifest is wrong (then nothing was started)",
        PLAN,
        "    if problems:\n        hint = ",
        "    if False:\n        hint = ",
        "exit_code_2",
    ),
    Break(
        "exit-130",
        "130 after an interrupt",
        RUN,
        "code = INTERRUPTED if interrupted else",
        "code = 0 if interrupted else",
        "an_interrupt_ends_it_cleanly or loses_still_counts",
    ),
    Break(
        "whole-or-not",
        "An output appears whole or not at all: under a temporary name beside its place and renamed.",
        "msmdcli/formats/registry.py",
        "        temporary.unlink(missing_ok=True)\n        raise cannot_write(target",
        "        temporary.replace(target)\n        raise cannot_write(target",
        "failing_write",
    ),
    Break(
        "in-place",
        "An output appears whole or not at all (a kill while it is written).",
        "msmdcli/system/files.py",
        'return target.with_name(f".{target.name}.{secrets.token_hex(4)}.msmd-tmp")',
        "return target",
        "failing_write or no_temporary_file or kill_loses",
    ),
    Break(
        "time-stamps",
        "judged by content and not by time stamps",
        PLANNED,
        '            "audio": planned.audio_sha256,\n',
        '            "audio": str(planned.line.audio.stat().st_mtime_ns),\n',
        "whatever_the_time_stamps",
    ),
    Break(
        "recording-ignored",
        "skipped when unchanged: the same recording",
        PLANNED,
        '            "audio": planned.audio_sha256,\n',
        '            "audio": "",\n',
        "only_what_changed",
    ),
    Break(
        "styles-ignored",
        "skipped when unchanged: the same style clips",
        PLANNED,
        '            "styles": styles,\n',
        '            "styles": [],\n',
        "only_what_changed",
    ),
    Break(
        "settings-ignored",
        "skipped when unchanged: the same settings",
        PLANNED,
        '            "sampling": sampling.description(),\n            "seed"',
        '            "seed"',
        "only_what_changed",
    ),
    Break(
        "bundle-ignored",
        "skipped when unchanged: the same bundle",
        PLANNED,
        '            "bundle": bundle.sha256,\n            "styles"',
        '            "styles"',
        "another_bundle",
    ),
    Break(
        "lost-file",
        "and its files are there as we wrote them",
        "msmdcli/batch/ledger.py",
        "return digest is not None and entry is not None and entry.key == key and entry.outputs.get(output) == digest",
        "return entry is not None and entry.key == key",
        "only_what_changed",
    ),
    Break(
        "no-force",
        "`--force` makes it again",
        PLAN,
        "        if self.options.force:\n            return planned\n",
        "",
        "whatever_the_time_stamps or edited_by_hand",
    ),
    Break(
        "no-ledger",
        "OUT/ledger.jsonl records what was made from what.",
        PLACING,
        '        "audio_sha256": planned.audio_sha256,\n        "style": style_words',
        '        "style": style_words',
        "ledger_records",
    ),
    Break(
        "overwrites",
        "A file that somebody edited is kept and reported",
        "msmdcli/batch/ledger.py",
        "return digest in self._ours.get(output, ())",
        "return True",
        "edited_by_hand or never_wrote",
    ),
    Break(
        "no-beside",
        "`--beside` writes ours next to it",
        PLAN,
        "                if not self.options.beside:\n                    continue\n",
        "                continue\n",
        "beside",
    ),
    Break(
        "other-bytes",
        "A line's bytes are the same whatever its neighbours, their order, the batch size, --jobs, --threads",
        "msmdcli/model/solver.py",
        "generators = [window_rng(layer.job.seed,",
        "generators = [window_rng(layer.job.seed + len(layers),",
        "same_bytes",
    ),
    Break(
        "other-engine",
        "whatever --engine",
        "msmdcli/workers/ray_cluster.py",
        "        self._promised[task.id] = promise\n",
        "        import dataclasses\n\n        task = dataclasses.replace(task, seed=task.seed + 1)\n"
        "        self._promised[task.id] = promise\n",
        "same_bytes",
        "tests/msmdcli/workers/test_ray_cluster.py",
    ),
    Break(
        "leaves-behind",
        "An interrupt: the others leave nothing behind",
        RUN,
        "        finally:\n            if tasks is not None:\n                _sweep(out, making)\n",
        "        finally:\n            out.mkdir(exist_ok=True)\n"
        '            (out / ".line0.csv.00000000.msmd-tmp").touch()\n',
        "an_interrupt_ends_it_cleanly or no_temporary_file",
    ),
    Break(
        "no-report",
        "An interrupt: the report is written",
        RUN,
        "        # 7. Report.\n",
        "        if interrupted:\n            return INTERRUPTED\n",
        "an_interrupt_ends_it_cleanly",
    ),
    Break(
        "parted",
        "An interrupt: finished lines stay, in OUT as in the report",
        RUN,
        "            with interrupts.held():  # a line that is in place is told of, too\n",
        "            with nullcontext():\n",
        "does_not_part_a_line",
    ),
    Break(
        "two-at-once",
        "One batch at a time works in one OUT: a second one ends with exit code 2 before it starts anything",
        RUN,
        "    with nullcontext() if options.dry_run else alone_in(out):\n",
        "    with nullcontext():\n",
        "one_batch_at_a_time",
    ),
    Break(
        "stale-lock",
        "a lock that a kill has left blocks nobody",
        "msmdcli/batch/out_lock.py",
        "            if not _lock(descriptor):\n",
        "            if path.stat().st_size or not _lock(descriptor):\n",
        "lock_that_a_kill_has_left",
    ),
    Break(
        "dry-run-locks",
        "`--dry-run` touches nothing (and so needs nobody to wait)",
        RUN,
        "    with nullcontext() if options.dry_run else alone_in(out):\n",
        "    with alone_in(out):\n",
        "one_batch_at_a_time",
    ),
    Break(
        "ledger-late",
        "After a kill at any moment the next run makes what is missing and nothing else.",
        PLACING,
        "            self.ledger.record(replace(entry, outputs=digests))\n"
        "            for written in ours.values():\n                written.commit()\n",
        "            for written in ours.values():\n                written.commit()\n"
        "            import time\n\n            time.sleep(0.2)\n"
        "            self.ledger.record(replace(entry, outputs=digests))\n",
        "a_kill_loses",
    ),
    Break(
        "death-takes-all",
        "A worker or a node that dies takes no line with it but one that kills its workers",
        "msmdcli/workers/dispatch.py",
        "        self._suspects.extend(held)\n        return []\n",
        "        return [Outcome.failed(task.id, MsmdError(why)) for task in held]\n",
        "a_worker_that_dies",
    ),
    Break(
        "dry-run-writes",
        "`--dry-run` touches nothing",
        RUN,
        "        if options.dry_run:\n            return int",
        "        if options.dry_run:\n            out.mkdir(exist_ok=True)\n            return int",
        "dry_run",
    ),
    Break(
        "dry-run-silent",
        "`--dry-run` says what would happen and roughly how long it would take.",
        TELLING,
        'self.console.event("estimate",',
        'self.console.event("guess",',
        "dry_run",
    ),
    Break(
        "events-lost",
        "With --json there is one event per line of output on stdout",
        TELLING,
        '        self.console.event("line", **record.as_event())\n',
        "",
        "events_tell",
    ),
    Break(
        "talk-on-stdout",
        "talk is on stderr",
        "msmdcli/console.py",
        "            print(text, file=self._stderr, flush=True)\n\n    def detail",
        "            print(text, file=self._stdout, flush=True)\n\n    def detail",
        "events_tell",
    ),
    Break(
        "best-first",
        "the reports list failed lines first, then the others with the least healthy first",
        "msmdcli/batch/report.py",
        "return order, -self.score, self.id",
        "return order, self.score, self.id",
        "worst_first",
    ),
    Break(
        "no-delivery",
        "With --check-delivery, a voice that is much livelier or calmer than its style gives its line a warning",
        RUN,
        "        if options.check_delivery:\n",
        "        if False:\n",
        "contradicts_its_style",
    ),
    Break(
        "always-delivery",
        "(without `--check-delivery`: not)",
        RUN,
        "        if options.check_delivery:\n",
        "        if True:\n",
        "contradicts_its_style",
    ),
    Break(
        "outside",
        "Nothing is written outside OUT but the user's cache.",
        PLAN,
        "if not (out / path).parent.resolve().is_relative_to(out):",
        "if False:",
        "outside_out",
    ),
    Break(
        "oversubscribed",
        "(BatchOptions) the cores are divided among the workers",
        "msmdcli/workers/local.py",
        "jobs = min(jobs, lines, cores)",
        "jobs = min(jobs, lines)",
        "more_threads_than",
        "tests/msmdcli/workers/test_local.py",
    ),
)


def passes(folder: Path, tests: str, where: str) -> bool:
    """Whether the tests pass in a copy of the repository."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", where, "-k", tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode == 5:
        raise SystemExit(f"no test matches {tests!r} in {where}")
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="some of them only")
    names = parser.parse_args().names
    chosen = [entry for entry in BREAKS if not names or entry.name in names]
    survived = []
    with tempfile.TemporaryDirectory(prefix="msmd_break_") as temporary:
        folder = Path(temporary)
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        for entry in chosen:
            path = folder / entry.file
            content = path.read_text(encoding="utf-8")
            if content.count(entry.old) != 1:
                print(f"{entry.name}: the place is not found (once) in {entry.file}", file=sys.stderr)
                return 2
            path.write_text(content.replace(entry.old, entry.new), encoding="utf-8")
            unnoticed = passes(folder, entry.tests, entry.where)
            path.write_text(content, encoding="utf-8")
            print(f"{'NOT NOTICED' if unnoticed else 'noticed':11}  {entry.name:18}  {entry.sentence}", flush=True)
            survived += [entry.name] * unnoticed
    print(f"{len(chosen) - len(survived)} of {len(chosen)} breaks are noticed")
    return int(bool(survived))


if __name__ == "__main__":
    raise SystemExit(main())
