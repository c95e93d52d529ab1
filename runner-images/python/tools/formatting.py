"""Prints the files that are not formatted, one a line.

    python3 formatting.py DIR

What counts is that a formatter was used, not whose line length: the one that leaves the fewest files is taken.
"""

import json
import os
import subprocess
import sys

RUFF = "/opt/assay/lint/bin/ruff"
LINE_LENGTHS = (88, 79, 100, 120)
NOT_FORMATTED = "unformatted"


def unformatted(folder: str, line_length: int) -> set[str]:
    """The files that ruff would change at this line length; what does not parse is the style check's finding.

    Raises an exception when ruff fails: then it writes no list.
    """
    settings = (f"line-length = {line_length}", "format.quote-style = 'preserve'", "respect-gitignore = false")
    command = [RUFF, "format", "--isolated", "--no-cache", "--check", "--output-format", "json"]
    command += [f"--config={setting}" for setting in settings]
    done = subprocess.run([*command, folder], stdout=subprocess.PIPE, check=False)
    return {
        os.path.relpath(found["filename"], folder)
        for found in json.loads(done.stdout)
        if found["code"] == NOT_FORMATTED
    }


if __name__ == "__main__":
    fewest = min((unformatted(sys.argv[1], length) for length in LINE_LENGTHS), key=len)
    sys.stdout.writelines(f"{name}\n" for name in sorted(fewest))
