"""What people read of a profile: its nodes, the longest first, and a line on where the rest goes."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from ganport_bench.ceilings import Peak
from ganport_bench.nodes.profile import NodeTime, Profile

__all__ = ["table"]

SHOWN = 24  # rows; what is shorter is added up


def table(profile: Profile, peaks: Mapping[str, Peak]) -> Table:
    """A row a node, the longest first, and below them where the time goes.

    Args:
        profile: of one plan.
        peaks: of the machine, by precision.
    """
    title = (
        f"{profile.plan}, batch {profile.batch}: {profile.summary.milliseconds:.2f} ms in {len(profile.nodes)} nodes"
    )
    result = Table(title=title, title_justify="left", caption=_summary(profile), caption_justify="left")
    for column in ("node", "executed as", "in", "ms", "share", "floor ms", "x floor", "Gop/s", "of its peak", "KiB"):
        result.add_column(column)
    ranked = sorted(profile.nodes, key=lambda node: -node.milliseconds)
    for node in ranked[:SHOWN]:
        result.add_row(*map(Text, _cells(node, peaks.get(node.precision))))
    if rest := ranked[SHOWN:]:
        spent, share = sum(node.milliseconds for node in rest), sum(node.share for node in rest)
        result.add_row(*map(Text, (f"{len(rest)} more", "", "", f"{spent:.3f}", f"{share:.1%}")))
    return result


def _cells(node: NodeTime, peak: Peak | None) -> tuple[str, ...]:
    floor = node.floor_milliseconds
    times = "" if not floor else f"{node.milliseconds / floor:.1f}"
    speed = share = ""
    if node.multiply_adds:
        speed = f"{node.operations_per_second / 1e9:.0f}"
        share = "" if peak is None else f"{node.operations_per_second / peak.operations_per_second.value:.0%}"
    shown = "" if floor is None else f"{floor:.3f}"
    spent = (f"{node.milliseconds:.3f}", f"{node.share:.1%}")
    return node.name, node.executed_as, node.precision, *spent, shown, times, speed, share, f"{node.bytes / 1024:,.0f}"


def _summary(profile: Profile) -> str:
    found = profile.summary
    unknown = any(node.floor_milliseconds is None for node in profile.nodes)
    lost = profile.unfound_multiply_adds
    return (
        f"{found.products_floor:.0%} of the time is the floor of the nodes that multiply matrices, "
        f"{found.products_above_floor:.0%} is what these take above it{', or have no known floor' if unknown else ''}, "
        f"{found.without_products:.0%} goes to nodes without products. "
        f"Without counters a call took {profile.call_milliseconds:.2f} ms."
        f"{f' {lost:,} multiply-adds were not found in the nodes by their names.' if lost else ''}"
        f"{f' {profile.note}.' if profile.note else ''}"
    )
