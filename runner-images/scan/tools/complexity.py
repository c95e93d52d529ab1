"""Prints length and complexity of every function below the current directory, as lizard's CSV.

lizard obeys comments (`#lizard forgives`, `GENERATED CODE`) and files of the submission's; this takes comments for comments.
"""

import sys
from collections.abc import Iterator

import lizard
import lizard_core.extensions
from lizard_languages.code_reader import CodeReader

OPTIONS = ["--csv", "--no-gitignore", "--whitelist", "/dev/null"]
NOT_WRITTEN_HERE = ["node_modules", "venv", ".venv"]


def without_comments(tokens: Iterator[str], reader: CodeReader) -> Iterator[str]:
    """Takes the place of lizard's own step: drops comments, but not the line ends in them."""
    for token in tokens:
        comment = reader.get_comment_from_token(token)
        if comment is None:
            yield token
        else:
            yield from "\n" * comment.count("\n")


if __name__ == "__main__":
    lizard_core.extensions.comment_counter = without_comments
    exclude = [option for folder in NOT_WRITTEN_HERE for option in ("--exclude", f"*/{folder}/*")]
    lizard.main([sys.argv[0], *OPTIONS, *exclude, "."])
