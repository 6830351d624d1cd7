"""`python -m gan_repro.report quick`: the table, values of record and of the reader's own run apart."""

import sys

import pandas as pd

from gan_repro.notebooks import notebook_names
from gan_repro.paths import RESULTS, ROOT
from gan_repro.tables import table1


def main(settings: str, workflow_status: int = 0) -> int:
    """Print the tables and the executed notebooks. Returns 1 if the workflow failed or something is not there."""
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 60):
        print("\nTable 1, MNIST, nats. Of record (results/):\n")
        print(table1(RESULTS).to_string(index=False))
        print(f"\nOf your own run with {settings} settings (results/{settings}/), not comparable with the paper:\n")
        print(table1(RESULTS / settings).to_string(index=False))
    print("\nExecuted notebooks:")
    paths = [ROOT / "executed" / settings / f"{name}.ipynb" for name in notebook_names()]
    for path in paths:
        print(f"  {path.relative_to(ROOT)}" + ("" if path.exists() else "  NOT THERE: it failed, see above"))
    failed = not all(path.exists() for path in paths)
    if not list((RESULTS / settings / "mnist").glob("seed*.json")):
        failed = True
        print(f"\nresults/{settings}/mnist holds no record: remove executed/{settings} and run this again.")
    if workflow_status:
        failed = True
        print("\nNOT ALL HAS RUN, see above: what is listed here may be of an earlier run.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
