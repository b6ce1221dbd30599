"""What it takes to start: imports, opening, the first image, warm-up, memory, engines, and sizes on disk.

Everything that is timed runs in fresh processes, which take turns where they are compared, so that a slow while of the
machine meets all. `child.py` is what such a process does, `fresh.py` starts it and reads its steps.

The part `start` of a document:

    conditions  [text]: under which all of it was measured
    ways        [{name, kind "ganport"|"bare", runs [text], peer}]: what the processes open. `runs` has what runs, once
                where all batch sizes have the same; `peer` names the bare session on the same file, or is empty
    quantities  [{part, system, what, batch, unit "ms"|"bytes"|"x", value, low, high, repetitions, note}]: medians with
                95 % intervals. What is counted and not timed has one repetition and value = low = high. `batch` is null
                but in `warm-up`.
    missing     {what: why}: what could not be measured here

Parts of quantities:

    import      system: a module
    start       system: a way. The steps `interpreter`, `import` (`from ganport_runtime import Generator`; of a bare
                session numpy and its random numbers), `engine import`, `open`, `first image`; their sum, `start of the
                process to the first image`; `open, the first time on this machine`, when a plan must pass the bundle's
                probe, and `probe: ...`, how much longer that takes; `open, over PEER` and the sum over that of the
                peer, unit x
    warm-up     system: a way. `first call` and `later calls` at each batch size
    memory      system: a way. `resident after ...` and, with a GPU, `GPU memory after ...`: each step, and the top
                bucket; `peak resident`
    engine      system: a graph by a library. `build` and `size`; loading one is a way, and that way's `open`
    bundle      what: a kind of file, and `all of it`
    installed   system: a package `by itself`, or what a program needs with one engine `with all that it requires`
"""

from ganport_bench.start.effort import FULL, QUICK, Effort
from ganport_bench.start.measure import Start, measure_start
from ganport_bench.start.report import tables

__all__ = ["FULL", "QUICK", "Effort", "Start", "measure_start", "tables"]
