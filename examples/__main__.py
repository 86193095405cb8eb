"""Run all examples, and compare them with the documents in one table."""

import sys

from examples import (
    and_gate,
    check_documents,
    digits,
    gallery,
    iris,
    linear,
    programs,
    titanic,
    toy,
    tumors,
    xor,
)
from examples.report import OUTPUT, table

EXAMPLES = [linear, titanic, and_gate, xor, iris, digits, tumors, toy]


def main() -> int:
    rows = []
    for example in EXAMPLES:
        print(f"{example.__doc__}\n")
        rows += example.main()
        print()
    print(f"{gallery.__doc__}\n")
    gallery.main()
    print(f"\n{programs.__doc__}\n")
    programs.main()
    print(f"\n{check_documents.__doc__}\n")
    checks = check_documents.main()
    print(f"\n{table(rows)}")
    agree = sum(row.agrees for row in rows)
    print(f"\n{agree} of {len(rows)} rows agree; plots and drawings are in {OUTPUT.resolve()}")
    checked = sum(check.agrees for check in checks)
    print(f"{checked} of {len(checks)} derivations are judged as they should be")
    return 0 if all(result.agrees for result in [*rows, *checks]) else 1


if __name__ == "__main__":
    sys.exit(main())
