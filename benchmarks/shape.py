"""The shape of the tree: sizes of files and functions, comments, docstrings. `make check` prints it, and holds limits.

A file or function over its limit fails, unless `EXCEPTIONS` names it with the reason.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("dfp_platform", "dbt_datafusion", "tests", "benchmarks", "android_lab")
FILE_LIMIT, FUNCTION_LIMIT = 400, 60

EXCEPTIONS: dict[str, str] = {}
"""Path, or path::function, to the reason why it may be longer."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its name, its lines without the docstring, and whether everything in its signature is annotated."""

    name: str
    lines: int
    public: bool
    annotated: bool
    documented: bool


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of Python. `code` counts lines that are neither empty, comment nor docstring."""

    path: str
    lines: int
    code: int
    comments: int
    docstrings: int
    functions: tuple[Function, ...]


def measured(path: Path, *, root: Path = ROOT) -> SourceFile:
    """What one file is made of. Raises SyntaxError."""
    text = path.read_text()
    tree = ast.parse(text)
    comments = sum(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(text).readline))
    nodes = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    docstrings = sum(_docstring_lines(node) for node in nodes)
    filled = sum(bool(line.strip()) for line in text.splitlines())
    return SourceFile(
        path=path.relative_to(root).as_posix(),
        lines=text.count("\n"),
        code=filled - comments - docstrings,
        comments=comments,
        docstrings=docstrings,
        functions=tuple(_function(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)),
    )


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _docstring_lines(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    signature = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    named = [argument for argument in signature if argument is not None and argument.arg not in ("self", "cls")]
    return Function(
        name=node.name,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node),
        public=not node.name.startswith("_"),
        annotated=node.returns is not None and all(argument.annotation is not None for argument in named),
        documented=ast.get_docstring(node) is not None,
    )


def sources(root: Path = ROOT) -> Iterator[SourceFile]:
    """Every file of Python in the rooms, in path order."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            yield measured(path, root=root)


def offences(files: Sequence[SourceFile]) -> list[str]:
    """What is over a limit without a reason, and what is excepted without need."""
    long_files = {file.path: f"{file.lines} lines" for file in files if file.lines >= FILE_LIMIT}
    long_functions = {
        f"{file.path}::{function.name}": f"{function.lines} lines"
        for file in files
        for function in file.functions
        if function.lines >= FUNCTION_LIMIT
    }
    over = long_files | long_functions
    found = [f"{name} has {size}: split it, or name the reason in EXCEPTIONS" for name, size in over.items()]
    found = [line for line in found if line.split(" has ")[0] not in EXCEPTIONS]
    return found + [f"{name} is excepted, but within its limit" for name in EXCEPTIONS if name not in over]


def _row(room: str, files: Sequence[SourceFile]) -> str:
    functions = [function for file in files for function in file.functions]
    lengths = sorted(function.lines for function in functions) or [0]
    public = [function for function in functions if function.public]
    lines = sum(file.lines for file in files) or 1
    p95 = quantiles(lengths, n=20)[-1] if len(lengths) > 1 else lengths[0]
    return (
        f"{room:<15}{len(files):>6}{sum(file.code for file in files):>8}{max(file.lines for file in files):>9}"
        f"{len(functions):>10}{median(lengths):>8.0f}{p95:>6.0f}{lengths[-1]:>6}"
        f"{sum(file.comments for file in files) / lines:>10.0%}{sum(file.docstrings for file in files) / lines:>11.0%}"
        f"{sum(function.annotated for function in public) / (len(public) or 1):>11.0%}"
    )


def main() -> int:
    """Print the shape; return 1 if something is over its limit."""
    files = list(sources())
    print(
        f"{'room':<15}{'files':>6}{'code':>8}{'longest':>9}{'functions':>10}{'median':>8}{'p95':>6}{'max':>6}"
        f"{'comments':>10}{'docstrings':>11}{'annotated':>11}"
    )
    for room in ROOMS:
        if inside := [file for file in files if file.path.startswith(f"{room}/")]:
            print(_row(room, inside))
    found = offences(files)
    print("\n".join(found) if found else f"no file of {FILE_LIMIT} lines, no function of {FUNCTION_LIMIT}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
