"""Writes the peers' table, made from results.json, into benchmarks/README.md.

python benchmarks/peers/table.py [RESULTS.json]
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- peers: written by benchmarks/peers/table.py -->", "<!-- peers: end -->"
PARTYNLI = "partynli_sample"
ROUNDS = 3
"""Fewer are no measurement."""
HEAD = (
    "| | version | calls/s | of partynli's | CPU s per 1,000 calls | peak MB | first call after, s | whole, s "
    "| limited: time / ideal | 429s a call | asked again after `kill -9` | of these, answered before | lost |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)


def render(results: dict[str, Any]) -> str:
    """The section's text: what was measured, the table, how each was set up, and what failed."""
    lines = [_told(results), "", HEAD + "\n".join(_row(results, key) for key in results["peers"]), ""]
    lines += [_NOTES, "", "Set up as follows:", ""]
    for one in results["peers"].values():
        lines.append(f"- **{one['name']}**: {one['note']}.")
        lines += [f"  **Failed** ({scenario}): {why}" for scenario, why in one["failed"].items()]
    return "\n".join(lines)


_NOTES = """\
Medians, lowest to highest in brackets; what took over a minute was measured once. Calls a second: from the first call
to the last answer. CPU: all the client's processes, from the first call to their end. Memory: resident, of all its
processes together. Asked again: calls that were paid for twice, those in flight at the kill among them, which nobody
can avoid; answered before: whose answer had been sent 0.1 s before the kill or earlier. Lost: prompts without a kept
answer after the second start; – keeps none."""


def _told(results: dict[str, Any]) -> str:
    fastest = results["in_flight"] / results["latency_s"]
    speeds = [one for figures in results["rounds"] for one in figures.get("speed", {}).values()]
    full = [one for one in speeds if one.get("calls") == max(one["calls"] for one in speeds)]
    server = statistics.median(one["server_cpu_s_per_1000"] for one in full) if full else float("nan")
    busy = " **Others used the machine meanwhile: read the ratios only.**" if results["busy"] else ""
    if len(results["rounds"]) < ROUNDS:
        busy += " **Too few rounds for ratios either: a first look, to be measured again.**"
    return f"""\
Taken {results["at"]}, Python {results["python"]}, {results["cores"]} cores (client on one, server on the other),
rounds in turn: {len(results["rounds"])}. Answers take {results["latency_s"] * 1000:.0f} ms in the mean (half to one
and a half of it), {results["in_flight"]} in flight: at most {fastest:,.0f} calls/s. The server takes {server:.2f} s of
CPU for 1,000 calls, its start included. Limited: {results["rate"]} calls/s, a bucket of {results["burst"]}, 429 with
`Retry-After` in whole seconds.{busy}"""


def values(results: dict[str, Any], scenario: str, key: str, figure: str) -> list[float]:
    """A figure of one peer, round by round; rounds without it are left out."""
    found = [figures.get(scenario, {}).get(key, {}).get(figure) for figures in results["rounds"]]
    return [one for one in found if one is not None]


def ratios(results: dict[str, Any], key: str) -> list[float]:
    """A peer's calls a second over partynli's in the same round."""
    speeds = [figures.get("speed", {}) for figures in results["rounds"]]
    return [one[key]["calls_per_s"] / one[PARTYNLI]["calls_per_s"] for one in speeds if key in one and PARTYNLI in one]


def _row(results: dict[str, Any], key: str) -> str:
    peer = results["peers"][key]

    def cell(scenario: str, figure: str, form: str) -> str:
        found = values(results, scenario, key, figure)
        return _spread(found, form) if found else "failed" if scenario in peer["failed"] else "–"

    calls = values(results, "limited", key, "calls")
    refused = [one / calls[0] for one in values(results, "limited", key, "refused")]
    cells = [
        peer["name"],
        peer["version"] or "–",
        cell("speed", "calls_per_s", ",.0f"),
        _spread(ratios(results, key), ".2f") or "–",
        cell("speed", "cpu_s_per_1000", ".2f"),
        cell("speed", "peak_mb", ",.0f"),
        cell("speed", "start_s", ".1f"),
        cell("speed", "total_s", ".1f"),
        cell("limited", "of_ideal", ".2f"),
        _spread(refused, ".2f") or ("failed" if "limited" in peer["failed"] else "–"),
        cell("killed", "again", ".0f"),
        cell("killed", "settled_again", ".0f"),
        cell("killed", "lost", ".0f"),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(found: list[float], form: str) -> str:
    if not found:
        return ""
    middle, low, high = (format(one, form) for one in (statistics.median(found), min(found), max(found)))
    return middle if low == high else f"{middle} ({low} to {high})"


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results.json"
    text = render(json.loads(file.read_text()))
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    print(text)


if __name__ == "__main__":
    main()
