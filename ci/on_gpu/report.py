"""What `ci/gpu` found, as a page of Markdown."""

from collections.abc import Iterator
from typing import Any

__all__ = ["write_markdown"]

UNITS = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k"}
HOW = (
    "Medians in milliseconds of one training step, or of one update for Adam; all sides start from the same weights "
    "and take turns in one process. The ratio is ours to the fastest of the others."
)
COUNTED = (
    "Operations are those of matrix products, convolutions and attention, forward and backward, as PyTorch's "
    "FlopCounterMode counts them (attention in full, with no account of its causal mask). Adam's bytes are seven "
    "arrays of float32: four are read, three written."
)
WORDS = {True: "ok", False: "**failed**"}


def write_markdown(report: dict[str, Any]) -> str:
    """The page: what computed, how each step went, and the tables of those that have figures."""
    lines = [f"# pullback on {report['device']['name']}, {report['date'][:10]}", ""]
    if report["backend"] != "cupy" or report["quick"]:
        lines += [f"This is a trial of `ci/gpu` on {report['backend']}: its figures say nothing about a GPU.", ""]
    lines += table(facts(report))
    lines += ["", "## Steps", ""]
    lines += table(
        {"step": name, "": word_of(step), "found": step["found"], "seconds": f"{step['seconds']:.0f}"}
        for name, step in report["steps"].items()
    )
    if report["left_out"]:
        lines += ["", "Left out:", "", *(f"- {what}" for what in report["left_out"])]
    for name, write in TABLES.items():
        if name in report["steps"]:
            lines += write(report["steps"][name])
    return "\n".join(lines) + "\n"


def word_of(step: dict[str, Any]) -> str:
    """How a step went. One whose time was over has shown nothing, unless it failed before."""
    if step["ok"] is None:
        return "stopped" if step["stopped"] else "not run"
    return WORDS[step["ok"]]


def facts(report: dict[str, Any]) -> Iterator[dict[str, str]]:
    device = report["device"]
    yield {"": "device", "is": ", ".join(value if key == "name" else f"{key} {value}" for key, value in device.items())}
    yield {"": "date", "is": f"{report['date']}, in {report['seconds']:.0f} s"}
    yield {"": "versions", "is": ", ".join(f"{name} {version}" for name, version in report["versions"].items())}
    for name, state in report["facts"].items():
        yield {"": name, "is": state}


def failures(step: dict[str, Any]) -> list[str]:
    names = step.get("failures") or []
    more = [f"- and {len(names) - 40} more"] if len(names) > 40 else []
    return ["", "Failed tests, see tests.log:", "", *(f"- `{name}`" for name in names[:40]), *more] if names else []


def trajectories(step: dict[str, Any]) -> list[str]:
    rows = [
        {
            "network": row["network"],
            "steps": row["steps"],
            "first loss": f"{row['first_loss']:.4f}",
            "last loss, NumPy": f"{row['last_loss']:.4f}",
            "last loss, here": f"{row['last_loss_there']:.4f}",
            "furthest apart": f"{row['largest_difference']:.1e}, step {row['at_step']}",
            "same first weights": "yes" if row["same_start"] else "**no**",
        }
        for row in step.get("networks", ())
    ]
    return ["", "## NumPy and this backend, from one seed, in float32", "", *table(rows)] if rows else []


def memory(step: dict[str, Any]) -> list[str]:
    rows = [
        {"check": name, "": WORDS[check["ok"]], "found": described(check)}
        for name, check in step.get("checks", {}).items()
    ]
    return ["", "## Memory and transfers", "", *table(rows)] if rows else []


def described(check: dict[str, Any]) -> str:
    told = {
        name.replace("_bytes", ""): f"{value:,} bytes" if name.endswith("_bytes") else each(value)
        for name, value in check.items()
        if name != "ok"
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def each(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {number}" for name, number in value.items()) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def benchmarks(step: dict[str, Any]) -> list[str]:
    rows = step.get("tasks", [])
    if not rows:
        return []
    sides = list(dict.fromkeys(name for row in rows for name in row["milliseconds"]))
    lines = ["", "## Benchmarks", "", HOW, ""]
    lines += table(
        {
            "task": f"{row['task']}, {row['dtype']}",
            **{name: number(row["milliseconds"].get(name)) for name in sides},
            "ratio": number(row["ratio"]),
            "limit": row["limit"],
            "": "within" if row["ok"] else "**beyond**",
        }
        for row in rows
    )
    lines += ["", "What that comes to each second:", ""]
    lines += table(rates(row, sides) for row in rows)
    lines += ["", f"{COUNTED} {copied(step, rows)}", ""]
    for row in rows:
        lines += [f"- {row['task']}: {name} failed with {error}" for name, error in row["failed"].items()]
        lines += [f"- {row['task']}: not the same work: {difference}" for difference in row["differ"]]
    return lines


def copied(step: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    told = f"A copy on the device moves {rate(step['copy_bytes_per_second'], 'B/s')}, counting what is read and written"
    shares = [
        f"; our Adam moves {row['share_of_copy']:.0%} of that (at least {row['least_share_of_copy']:.0%} is wanted)"
        for row in rows
        if "share_of_copy" in row
    ]
    return told + "".join(shares) + "."


def rates(row: dict[str, Any], sides: list[str]) -> dict[str, str]:
    found, unit = row.get("flops_per_second"), "FLOP/s"
    if found is None:
        found, unit = row.get("bytes_per_second", {}), "B/s"
    return {"task": row["task"], **{name: rate(found.get(name), unit) for name in sides}}


def rate(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    size, letter = next(((size, letter) for size, letter in UNITS.items() if value >= size), (1.0, ""))
    return f"{number(value / size)} {letter}{unit}"


def number(value: float | None) -> str:
    """Three digits, never in powers of ten."""
    if value is None:
        return ""
    return (
        f"{value:,.0f}"
        if value >= 100
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
        if value >= 1
        else f"{value:.3f}"
    )


def table(rows: Any) -> list[str]:
    """Rows with the same keys as lines of Markdown."""
    rows = list(rows)
    columns = list(rows[0])
    cells = [[str(row[column]).replace("|", "\\|").replace("\n", " ") for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells)]


TABLES = {"tests": failures, "trajectories": trajectories, "memory": memory, "benchmarks": benchmarks}
"""What is written below the steps."""
