"""Where a plan's time goes: every node as it was executed, its share, and the least time that it could have taken.

A profile's part of the document:

    plan, engine, batch, precision
    call_milliseconds   of a call as it was measured among all systems, without counters
    nodes               [{name, executed_as, precision, milliseconds, share, multiply_adds, needed_multiply_adds,
                        bytes, floor_milliseconds}], in the order of execution
    unfound_multiply_adds   of the graph, which the engine executed under names that are unknown here
    summary             {milliseconds, products_floor, products_above_floor, without_products}, the last three shares
"""

from ganport_bench.nodes.profile import Executed, NodeTime, Profile, Summary, node_times
from ganport_bench.nodes.report import table
from ganport_bench.nodes.winners import Measurements, profile_winners

__all__ = ["Executed", "Measurements", "NodeTime", "Profile", "Summary", "node_times", "profile_winners", "table"]
