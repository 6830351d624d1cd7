"""`python -m gan_repro.report quick`: the table, values of record and of the reader's own run apart."""

import sys

import pandas as pd

from gan_repro.notebooks import notebook_names
from gan_repro.paths import RESULTS, ROOT
from gan_repro.tables import table1


def main(settings: str) -> int:
    """Print the tables and the executed notebooks. Returns how many notebooks have none."""
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 60):
        print("\nTable 1, MNIST, nats. Of record (results/):\n")
        print(table1(RESULTS).to_string(index=False))
        print(f"\nOf your own run with {settings} settings (results/{settings}/), not comparable with the paper:\n")
        print(table1(RESULTS / settings).to_string(index=False))
    print("\nExecuted notebooks:")
    failed = 0
    for name in notebook_names():
        path = ROOT / "executed" / settings / f"{name}.ipynb"
        print(f"  {path.relative_to(ROOT)}" + ("" if path.exists() else "  NOT THERE: it failed, see above"))
        failed += not path.exists()
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1])))
