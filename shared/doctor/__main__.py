"""`python -m shared.doctor [--json] [--for SERVICE]`: in images, which have no `gtm`. Exit code 1: something fails."""

import argparse
import json
import sys

from pydantic import ValidationError

from shared.doctor.examination import examine
from shared.doctor.privileges import PARTS
from shared.settings import explain_wrong_settings


def main(arguments: list[str] | None = None) -> int:
    """Print each finding with its mends."""
    parser = argparse.ArgumentParser(prog="python -m shared.doctor", description="Looks at all that the product needs.")
    parser.add_argument("--json", action="store_true", help="one JSON list on stdout")
    parser.add_argument("--for", dest="part", choices=PARTS, help="what this service needs; default: all of them")
    chosen = parser.parse_args(arguments)
    found = []
    try:
        for finding in examine(PARTS if chosen.part is None else (chosen.part,)):
            found.append(finding)
            if not chosen.json:
                print(f"{finding.outcome:4}  {finding.check}: {finding.said}", flush=True)
                for mend in finding.mends:
                    print(f"        {mend}", flush=True)
    except ValidationError as error:
        print("\n".join(explain_wrong_settings(error)), file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps([finding.to_json() for finding in found], indent=2))
    return 1 if any(finding.outcome == "fail" for finding in found) else 0


if __name__ == "__main__":
    sys.exit(main())
