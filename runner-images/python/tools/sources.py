"""The Python files of a submission, parsed. Everything in it is a stranger's: nothing is imported or run."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

LARGEST_FILE_BYTES = 1 << 20
"""Nobody writes more than this in one file by hand."""

NOT_WRITTEN_HERE = {".git", ".tox", ".venv", "__pycache__", "node_modules", "site-packages", "venv"}
"""Folders whose content is installed or generated."""

TEST_FOLDERS = {"blackbox", "test", "tests"}
TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")


class Source(NamedTuple):
    """One file that parses."""

    path: PurePath
    """Relative to the root of the submission."""
    tree: ast.Module


def is_test(path: PurePath) -> bool:
    """Whether a file is part of the tests rather than of the service."""
    return bool(TEST_FILE.fullmatch(path.name)) or not TEST_FOLDERS.isdisjoint(path.parts[:-1])


def read_all(root: Path) -> Iterator[Source]:
    """Yields every source that parses, in a stable order. What does not parse is the style check's finding."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - NOT_WRITTEN_HERE)
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix != ".py" or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size > LARGEST_FILE_BYTES:
                continue
            try:
                yield Source(path.relative_to(root), ast.parse(path.read_bytes()))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
