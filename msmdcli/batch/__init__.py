"""`msmd batch`: animate many lines. This is its contract; each sentence has a test that was seen to fail when the
behaviour was broken on purpose (`tests/stress/break_contract.py` breaks it again).

- A line that fails never stops the others. The exit code is 1 if any line failed, 2 if the command or the manifest
  is wrong (then nothing was started), 130 after an interrupt, else 0.
- An output appears whole or not at all: it is written under a temporary name beside its place and renamed.
- A line is skipped when it is unchanged: the same recording, style clips, bundle and settings, judged by content and
  not by time stamps, and its files are there as we wrote them. `--force` makes it again.
- OUT/ledger.jsonl records what was made from what. A file that somebody edited after we wrote it, or that we never
  wrote, is kept and reported; `--beside` writes ours as `<id>.new.<suffix>` next to it, `--force` overwrites it.
- A line that somebody approved stays as the take that was approved, whatever its line says by now; the summary and the
  report name such lines. `--force` makes them again. What was approved and is not in OUT is made.
- A line's bytes do not depend on its neighbours, their order, the batch size, `--jobs`, `--threads` or `--engine`.
- An interrupt (Ctrl-C, or the SIGTERM of a farm) ends it after the current step: finished lines stay, in OUT as in
  the ledger and the report, which is written; the others leave nothing behind. After a kill at any moment the next run
  makes what is missing and nothing else.
- One batch at a time works in one OUT: a second one ends with exit code 2 before it starts anything, and a lock that a
  kill has left blocks nobody.
- A worker or a node that dies takes no line with it but one that kills its workers; that one fails.
- `--dry-run` touches nothing; it says what would happen and roughly how long it would take.
- With `--json` there is one event per line of output on stdout; talk is on stderr.
- OUT/report.json and OUT/report.html list failed lines first, then the others with the least healthy first.
- With `--check-delivery`, a voice that is much livelier or calmer than its style gives its line a warning.
- What the files of a format need once beside them (Unreal's import script) is written into OUT by the same rules.
- Nothing is written outside OUT but the user's cache.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Batch(ModuleType):
    """This package, which is called like the function of the Python API and therefore is that function, too.

    Python binds `msmdcli.batch` to the package as soon as a module of it is imported, whatever `msmdcli.__getattr__`
    says.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        from msmdcli.api import batch

        return batch(*args, **options)


sys.modules[__name__].__class__ = _Batch
