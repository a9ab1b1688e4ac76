"""The sentences that stand in the studio's own code, read from it: what is said of a fault, and what is allowed.

An f-string is read with `SAMPLE` where its values go, or with what is known of them: constants, and what the function
itself puts together. Of several ways to say it, each is read.
"""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from studio import errors

STUDIO = Path(errors.__file__).parent
FAULTS = {
    name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.StudioError)
} - {"NotEnoughCredits"}  # whose sentence is put together of its figures
SAMPLE = "7"  # what a number is found by, a word, and any text
QUOTED = "'7'"  # what `shown` makes of a value
DEEPEST = 6  # names that stand for others

Known = Mapping[str, ast.expr]
"""What names stand for, as far as the code tells by itself."""


@dataclass(frozen=True)
class Said:
    """A sentence, and where it stands."""

    text: str
    place: str


class Module:
    """One file of the studio."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))

    @cached_property
    def constants(self) -> Known:
        return dict(_assigned(self.tree.body))

    def faults(self) -> Iterator[Said]:
        """What every StudioError made here says."""
        for call, known in self._faults():
            if call.args:
                yield from self._all(call.args[0], known)

    def allowed(self) -> Iterator[Said]:
        """What is allowed instead, but for bare lists of values, which are the same in every language."""
        for call, known in self._faults():
            for keyword in call.keywords:
                if keyword.arg == "allowed":
                    for one in self._all(keyword.value, known):
                        if not re.fullmatch(r"[#\w-]+(, [#\w-]+)*", one.text):
                            yield one

    def sentences(self) -> Iterator[Said]:
        """Every text that reads as a sentence, wherever it goes; but no docstrings and no messages of a progress."""
        silent = {id(one.value) for one in ast.walk(self.tree) if isinstance(one, ast.Expr)}
        silent |= {
            id(one.value) for one in ast.walk(self.tree) if isinstance(one, ast.keyword) and one.arg == "message"
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.JoinedStr):
                silent |= {id(one) for one in ast.walk(node) if one is not node}
        for node, known in self._nodes(ast.Constant, ast.JoinedStr):
            if id(node) not in silent:
                for one in self._all(node, known):
                    if re.fullmatch(r"([A-Z]\w*|7) .*(\.|: 7)", one.text, re.DOTALL):
                        yield one

    def _faults(self) -> Iterator[tuple[ast.Call, Known]]:
        for call, known in self._nodes(ast.Call):
            if isinstance(call, ast.Call) and _called(call.func) in FAULTS:
                yield call, known

    def _nodes(self, *kinds: type[ast.expr]) -> Iterator[tuple[ast.expr, Known]]:
        """All expressions of these kinds, each with what the function around it calls by a name."""
        functions = [one for one in ast.walk(self.tree) if isinstance(one, ast.FunctionDef)]
        seen = set[int]()
        for scope in [*reversed(functions), self.tree]:  # the inner ones first
            inside = [*ast.walk(scope)]
            known = dict(_assigned(inside)) if isinstance(scope, ast.FunctionDef) else {}
            for node in inside:
                if isinstance(node, kinds) and id(node) not in seen:
                    seen.add(id(node))
                    yield node, known

    def _all(self, node: ast.expr, known: Known) -> Iterator[Said]:
        place = f"{self.path.relative_to(STUDIO.parent)}:{node.lineno}"
        for text in self._texts(node, known, DEEPEST):
            filled = re.sub(r"\{\w+\}", SAMPLE, text)  # what is filled in with `format`
            if re.search(r"[a-z]", filled):
                yield Said(filled, place)

    def _texts(self, node: ast.expr, known: Known, deep: int) -> Iterator[str]:
        """All that an expression may be, as far as its own text tells."""
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=values):
                parts = [list(self._texts(one, known, deep)) for one in values]
                yield from ("".join(one) for one in itertools.product(*parts))
            case ast.FormattedValue(value=value):
                yield from self._texts(value, known, deep)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._texts(body, known, deep)
                yield from self._texts(orelse, known, deep)
            case ast.BoolOp(values=values):
                for one in values:
                    yield from self._texts(one, known, deep)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                pairs = itertools.product(self._texts(left, known, deep), self._texts(right, known, deep))
                yield from (before + after for before, after in pairs)
            case ast.Name(id=name) if deep and (found := known.get(name) or self._constant(name)) is not None:
                yield from self._texts(found, known, deep - 1)
            case ast.Call(func=ast.Name(id="shown")):
                yield QUOTED
            case _:
                yield SAMPLE

    def _constant(self, name: str) -> ast.expr | None:
        if name in self.constants:
            return self.constants[name]
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and any((one.asname or one.name) == name for one in node.names):
                path = STUDIO.parent / f"{(node.module or '').replace('.', '/')}.py"
                return module(path)._constant(name) if path.is_file() else None
        return None


module = cache(Module)


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(name := node.targets[0], ast.Name):
            yield name.id, node.value


def _called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
