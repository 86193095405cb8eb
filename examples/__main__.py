"""Run all examples, and compare them with the documents in one table."""

import sys

from examples import and_gate, digits, iris, linear, titanic, toy, tumors, xor
from examples.report import OUTPUT, table

EXAMPLES = [linear, titanic, and_gate, xor, iris, digits, tumors, toy]


def main() -> int:
    rows = []
    for example in EXAMPLES:
        print(f"{example.__doc__}\n")
        rows += example.main()
        print()
    print(table(rows))
    agree = sum(row.agrees for row in rows)
    print(f"\n{agree} of {len(rows)} rows agree; the plots are in {OUTPUT.resolve()}")
    return 0 if agree == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
