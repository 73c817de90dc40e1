# SPDX-License-Identifier: MIT
"""Boot tests marked `matrix` on every generation of VT-x that Bochs has, with one core and two."""
from harness import boot

# What Bochs 2.7 can be, oldest first, and what Socle must find there: so that a fallback which is
# meant to run on a model does run there.
PAGES_2M, PAGES_1G = "EPT with pages up to 2M", "EPT with pages up to 1G, dirty flags"
SHADOW, VIRTUAL = "TPR shadow, no virtual interrupts", "TPR shadow, virtual interrupts"
MODELS = {
    "corei5_arrandale_m520": ("0x2b", PAGES_2M, SHADOW),
    "corei7_sandy_bridge_2600k": ("0x2b", PAGES_2M, SHADOW),
    "corei7_ivy_bridge_3770k": ("0x2b", PAGES_2M, SHADOW),
    "corei7_haswell_4770": ("0x2b", PAGES_1G, VIRTUAL),
    "broadwell_ult": ("0x2b", PAGES_1G, VIRTUAL),
    "corei7_skylake_x": ("0x2b", PAGES_1G, VIRTUAL),
    "corei3_cnl": ("0x2b", PAGES_1G, SHADOW),
    "corei7_icelake_u": ("0x4", PAGES_1G, VIRTUAL),
    "tigerlake": ("0x4", PAGES_1G, VIRTUAL),
}
SCALING = ("corei7_skylake_x", "corei3_cnl", "corei7_icelake_u", "tigerlake")
LOGGING = ("corei7_skylake_x", "corei7_icelake_u", "tigerlake")
CORES = (1, 2)


class Cell(boot.Boot):
    """One test on one model."""

    def __init__(self, name, keys, model, cores, build):
        revision, pages, interrupts = MODELS[model]
        scaling = "TSC scaling" if model in SCALING else "no TSC scaling"
        logs = "write logs" if model in LOGGING else "no write logs"
        expect = [f"^socle: VT-x: VMCS revision {revision}, {pages}, VPID, {interrupts}, "
                  f"preemption timer, {scaling}, {logs}$",
                  f"^socle: CPUs: {cores} of {cores} are used$" if cores > 1 else "^socle: VT-x:"]
        keys = {**keys, "cpu": [model], "cpus": [str(cores)],
                "expect": keys.get("expect", []) + expect}
        super().__init__(f"matrix-{name}@{model}-{cores}", keys, "bochs", build)
        self.row, self.column = f"{model} {cores}", name


def find(build):
    return [Cell(name, keys, model, cores, build)
            for name, keys in boot.sections() if "matrix" in keys
            for model in MODELS for cores in CORES]


def table(states):
    """Lines: a row for each model and number of cores, a column for each test."""
    columns = list(dict.fromkeys(column for _, column in states))
    rows = [f"{model} {cores}" for model in MODELS for cores in CORES
            if any(row == f"{model} {cores}" for row, _ in states)]
    first = max(map(len, rows))
    lines = [" ".join(["model, cores".ljust(first), *columns])]
    for row in rows:
        cells = (states.get((row, column), "-").ljust(len(column)) for column in columns)
        lines.append(" ".join([row.ljust(first), *cells]).rstrip())
    return lines
