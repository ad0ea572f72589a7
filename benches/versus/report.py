"""What was measured, as tables and plots."""

import csv
import math
import statistics
from collections import defaultdict

from contestants import CONTESTANTS, OURS
from rows import CASES

COLUMNS = ["row", "case", "contestant", "round", "figure", "value"]


class Results:
    """Every figure of every contestant in every round."""

    def __init__(self):
        self.values = defaultdict(list)

    def add(self, case, contestant, figures):
        for figure, value in zip(case.figures, figures, strict=True):
            self.values[case.label, contestant, figure.name].append(value)

    def of(self, case, contestant, figure):
        return self.values.get((case.label, contestant, figure.name), [])

    def contestants(self, case):
        return [it.name for it in CONTESTANTS if self.of(case, it.name, case.figures[0])]

    def figures(self, case):
        """Those that anybody has: a row that was measured earlier may lack a new one."""
        return [it for it in case.figures if any(self.of(case, name, it) for name in self.contestants(case))]

    def cases(self):
        return [case for case in CASES if self.contestants(case)]

    def write(self, path):
        rows = {case.label: case.row for case in CASES}
        with path.open("w", newline="") as file:
            out = csv.writer(file, dialect="excel-tab", lineterminator="\n")
            out.writerow(COLUMNS)
            for (label, contestant, figure), values in self.values.items():
                for turn, value in enumerate(values, 1):
                    out.writerow([rows[label], label, contestant, turn, figure, f"{value:.6g}"])

    @classmethod
    def read(cls, path):
        results = cls()
        with path.open(newline="") as file:
            for row in csv.DictReader(file, dialect="excel-tab"):
                key = row["case"], row["contestant"], row["figure"]
                results.values[key].append(float(row["value"]))
        return results


def number(value):
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def spread(values):
    middle = statistics.median(values)
    if len(set(values)) == 1 or math.isnan(middle):
        return number(middle)
    return f"{number(middle)} ({number(min(values))}–{number(max(values))})"


def ratio(mine, other, better):
    """How many times better mine is."""
    if math.isnan(mine) or math.isnan(other):
        return math.nan
    if math.isinf(mine):
        return math.nan if math.isinf(other) else 0
    return mine / other if better == "more" else other / mine if mine else math.nan


def ratios(results, case, figure, ours, other):
    """Round by round, and in the middle."""
    pairs = zip(results.of(case, ours, figure), results.of(case, other, figure))
    values = [ratio(mine, theirs, figure.better) for mine, theirs in pairs]
    middle = statistics.median(values)
    if math.isnan(middle):
        return "–"
    times = ["∞" if math.isinf(value) else f"{value:.3g}" for value in (middle, min(values), max(values))]
    return f"× {times[0]}" + (f" ({times[1]}–{times[2]})" if len(values) > 1 else "")


def table(results, case):
    """Markdown: medians over the rounds with the least and the most, and how many times better ours are, likewise."""
    names = results.contestants(case)
    ours = [name for name in OURS if name in names]
    if len(case.figures) > 3:
        rows = tall(results, case, names, ours)
    else:
        rows = wide(results, case, names, ours)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join([f"### {case.label[0].upper()}{case.label[1:]}", "", *lines, ""])


def wide(results, case, names, ours):
    """A line for each contestant."""
    head = ["contestant"]
    for figure in case.figures:
        head.append(figure.name)
        head += [f"{name} is" for name in ours if figure.better]
    rows = [head]
    for name in names:
        cells = [name]
        for figure in case.figures:
            cells.append(spread(results.of(case, name, figure)))
            if figure.better:
                cells += ["" if it == name else ratios(results, case, figure, it, name) for it in ours]
        rows.append(cells)
    return rows


def tall(results, case, names, ours):
    """A line for each figure."""
    pairs = [(mine, other) for other in names if other not in ours for mine in ours]
    rows = [["figure", *names, *[f"{mine} beside {other}" for mine, other in pairs]]]
    for figure in results.figures(case):
        cells = [spread(results.of(case, name, figure)) for name in names]
        cells += [ratios(results, case, figure, mine, other) for mine, other in pairs]
        rows.append([figure.name, *cells])
    return rows


# ---- plots


def draw(results, folder):
    """A plot of each row: a group of bars for each case, and in it one for each contestant."""
    import matplotlib

    matplotlib.use("svg")
    # The same figures make the same file.
    matplotlib.rcParams |= {"svg.hashsalt": "atonce", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    # One more than the map has.
    colours = dict(zip([it.name for it in CONTESTANTS], [*pyplot.colormaps["tab10"].colors, "black"], strict=True))
    for row in dict.fromkeys(case.row for case in results.cases()):
        cases = [case for case in results.cases() if case.row == row]
        figures = list(dict.fromkeys(figure for case in cases for figure in results.figures(case) if figure.better))
        plot, axes = pyplot.subplots(
            len(figures), 1, figsize=(9, 2.4 * len(figures)), squeeze=False, layout="constrained"
        )
        for axis, figure in zip(axes[:, 0], figures):
            those = [case for case in cases if figure in case.figures]
            names = [it.name for it in CONTESTANTS if any(results.of(case, it.name, figure) for case in those)]
            width = 0.85 / len(names)
            for place, name in enumerate(names):
                found = [(at, results.of(case, name, figure)) for at, case in enumerate(those)]
                found = [(at, statistics.median(values)) for at, values in found if values]
                found = [(at, value) for at, value in found if math.isfinite(value)]
                offset = (place + 0.5) * width - 0.425
                axis.bar(
                    [at + offset for at, _ in found],
                    [value for _, value in found],
                    width,
                    label=name,
                    color=colours[name],
                )
            axis.set_xticks(range(len(those)), [case.short for case in those])
            axis.set_yscale("log")
            axis.set_ylabel(figure.name.replace(", both sides", ""))
            axis.set_title("more is better" if figure.better == "more" else "less is better", loc="right", size=8)
            axis.grid(axis="y", alpha=0.3)
        pairs = [pair for axis in axes[:, 0] for pair in zip(*axis.get_legend_handles_labels())]
        handles = {label: handle for handle, label in reversed(pairs)}
        names = [it.name for it in CONTESTANTS if it.name in handles]
        plot.legend([handles[name] for name in names], names, loc="outside upper center", ncols=5, frameon=False)
        plot.savefig(folder / f"{row}.svg", metadata={"Date": None})
        pyplot.close(plot)
