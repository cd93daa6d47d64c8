"""Reads calls in Python: requests, httpx, aiohttp and urllib.request."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from proxy.calls import urls
from proxy.calls.call import Answer, Call, Language, NotRead, Parts, Reading, Span, Variables, in_order, not_written_out

_METHODS = frozenset("get post put patch delete".split())
_LIBRARIES = frozenset("requests httpx urllib".split())
_INDENTED = "if 1:\n"
"""Put before a piece of a function, which is indented."""


def read(text: str) -> Reading:
    """Read a file, or a piece of one.

    Raises:
        NotRead: it is not Python.
    """
    before = _INDENTED if text.lstrip("\r\n")[:1] in {" ", "\t"} else ""
    try:
        tree = ast.parse(before + text)
        calls = list(_Reader(text, tree, before.count("\n")).calls())
    except SyntaxError as error:
        line = (error.lineno or 1) - before.count("\n")
        raise NotRead(f"line {line} is not valid: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotRead("it is nested too deeply" if not isinstance(error, ValueError) else str(error)) from None
    return in_order(text, calls)


class _Reader:
    def __init__(self, text: str, tree: ast.Module, lines_before: int) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True)
        self._lines_before = lines_before
        self._tree = tree
        self._variables = Variables(text)
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self._known = dict(_assigned_once(tree))
        self._resolved_names: list[str] = []

    def calls(self) -> Iterator[Call]:
        """The calls, in no order."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                self._resolved_names = []
                call = self._call(node)
                if call is not None:
                    yield call

    def _call(self, node: ast.Call) -> Call | None:
        program = ast.unparse(node.func)
        name = program.rpartition(".")[2]
        if name in {"Request", "urlopen"}:
            return self._urllib(node, program)
        if not isinstance(node.func, ast.Attribute) or name not in _METHODS | {"request"}:
            return None
        positional = list(node.args)
        method = name.upper()
        if name == "request":
            value = self._value(positional.pop(0)) if positional else None
            method = value.upper() if isinstance(value, str) else "GET"
        words = dict(zip(("url", "data", "json"), positional, strict=False))
        return self._made(node, program, method, words)

    def _urllib(self, node: ast.Call, program: str) -> Call | None:
        words = dict(zip(("url", "data", "headers"), node.args, strict=False))
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        has_body = "data" in words or "data" in named
        method = named.get("method")
        value = self._value(method) if method else "POST" if has_body else "GET"
        return self._made(node, program, str(value), words)

    def _made(self, node: ast.Call, program: str, method: str, words: dict[str, ast.expr]) -> Call | None:
        words = {**words, **{keyword.arg or "**": keyword.value for keyword in node.keywords}}
        url_node = words.pop("url", None)
        url = self._value(url_node) if url_node else None
        if url_node is None or not isinstance(url, str):
            return None
        url, used = urls.filled_in(method, url, self._known_text)
        is_library = program.partition(".")[0] in _LIBRARIES and "/" in url
        if not (is_library or urls.is_known(method, url)):
            return None
        self._resolved_names += [self._variables.shown(char) for char in used]
        problem = "its arguments are in a variable: write them out" if "**" in words else None
        parts = self._parts(url_node, words)
        headers: tuple[tuple[str, str], ...] = ()
        body = ""
        try:
            headers = self._headers(words.pop("headers", None))
            body = self._body(words)
        except NotRead as error:
            problem = problem or str(error)
        rest = {key: value for key, value in words.items() if key not in {*_BODIES, "method", "**"}}
        return Call(
            program,
            Language.PYTHON,
            method,
            url,
            headers,
            body,
            options=tuple((key, self._source(value)) for key, value in rest.items()),
            variables=self._variables.by_character,
            answer=Answer(self._is_used(node)),
            span=self._span(node),
            resolved=tuple(self._resolved_names),
            problem=problem,
            parts=parts,
        )

    def _parts(self, url: ast.expr, words: dict[str, ast.expr]) -> Parts:
        body = next((words[name] for name in _BODIES if name in words), None)
        match body:
            case ast.Call(func=ast.Attribute(attr="dumps"), args=[value, *_]):
                body = value
        headers = words.get("headers")
        return Parts(
            self._span(url),
            self._span(body) if body else None,
            self._span(headers) if headers else None,
            is_encoded="json" in words or body is None,
        )

    def _headers(self, node: ast.expr | None) -> tuple[tuple[str, str], ...]:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return ()
        node = self._set_to(node)
        if not isinstance(node, ast.Dict):
            return ((self._variable(node), ""),)
        headers: list[tuple[str, str]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                headers += self._headers(value)
            else:
                headers.append((str(self._value(key)), str(self._value(value))))
        return tuple(headers)

    def _body(self, words: dict[str, ast.expr]) -> str:
        for name in _BODIES[:3]:
            node = words.get(name)
            if node is None or (isinstance(node, ast.Constant) and node.value is None):
                continue
            node = self._set_to(node)
            value = self._value(node)
            if isinstance(value, str) and value in self._variables.by_character:
                source = self._source(node)
                raise not_written_out(source)
            if name == "json":
                return json.dumps(value, ensure_ascii=False)
            if not isinstance(value, str):
                raise NotRead(f"{name}= sends a form, and the trigger takes JSON: use json=")
            return self._variables.as_values(value)
        if "files" in words:
            raise NotRead("files= sends a form, and the trigger takes JSON: use json=")
        return ""

    def _set_to(self, node: ast.expr) -> ast.expr:
        """What a name is set to, if it is set once."""
        if isinstance(node, ast.Name) and node.id in self._known:
            self._resolved_names.append(node.id)
            return self._known[node.id]
        return node

    def _known_text(self, char: str) -> str | None:
        """The text that a variable is set to, by its character."""
        variable = self._variables.by_character.get(char)
        node = self._known.get(variable.source) if variable else None
        value = self._value(node) if node is not None else None
        return value if isinstance(value, str) else None

    def _value(self, node: ast.expr) -> Any:
        """The value of an expression, as far as it is written out.

        Raises:
            NotRead: a part of an object is in a variable.
        """
        match node:
            case ast.Constant(value=bytes() as value):
                return value.decode(errors="replace")
            case ast.Constant(value=value):
                return value if isinstance(value, str | int | float | None) else self._variable(node)
            case ast.Dict():
                if None in node.keys:
                    raise NotRead("a part of its body is in a variable (**): write it out")
                pairs = zip(node.keys, node.values, strict=True)
                return {str(self._value(key)): self._value(value) for key, value in pairs if key}
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self._value(item) for item in items]
            case ast.JoinedStr(values=parts):
                return "".join(self._formatted(part) for part in parts)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._sum(node, left, right)
        return self._computed(node)

    def _computed(self, node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left=ast.Constant(value=str() as form), op=ast.Mod(), right=right):
                arguments = right.elts if isinstance(right, ast.Tuple) else [right]
                return self._filled(node, form.split("%s"), arguments, form.replace("%s", ""))
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as form), attr="format"), args=arguments):
                return self._filled(node, form.split("{}"), arguments, form.replace("{}", ""))
            case ast.Call(func=ast.Attribute(attr="dumps"), args=[value, *_]):
                return json.dumps(self._value(self._set_to(value)), ensure_ascii=False)
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs) if all(pair.arg for pair in pairs):
                return {str(pair.arg): self._value(pair.value) for pair in pairs}
            case ast.Call(func=ast.Attribute(value=value, attr="encode")):
                return self._value(value)
        return self._variable(node)

    def _formatted(self, part: ast.expr) -> str:
        if not isinstance(part, ast.FormattedValue):
            return str(self._value(part))
        if part.conversion != -1 or part.format_spec is not None:
            return self._variables.add(ast.unparse(ast.JoinedStr([part])), _name(part.value))
        value = self._value(part.value) if isinstance(part.value, ast.Constant) else None
        return self._variables.add(self._source(part.value), _name(part.value)) if value is None else str(value)

    def _sum(self, node: ast.expr, left: ast.expr, right: ast.expr) -> Any:
        first, second = self._value(left), self._value(right)
        if isinstance(first, str) and isinstance(second, str):
            return first + second
        return self._variable(node)

    def _filled(self, node: ast.expr, parts: list[str], arguments: list[ast.expr], rest: str) -> str:
        if len(parts) != len(arguments) + 1 or re.search(r"[%{}]", rest):
            return self._variable(node)
        values = [str(self._value(argument)) for argument in arguments]
        return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))

    def _variable(self, node: ast.expr) -> str:
        return self._variables.add(self._source(node), _name(node), is_value=True)

    def _source(self, node: ast.expr) -> str:
        return ast.unparse(node)

    def _is_used(self, node: ast.AST) -> bool:
        """Whether more is done with the answer than to check its status."""
        parent = self._parents.get(node)
        while isinstance(parent, ast.Await) or (
            isinstance(parent, ast.Attribute) and parent.attr == "raise_for_status"
        ):
            node, parent = parent, self._parents.get(parent)
            if isinstance(parent, ast.Call) and parent.func is node:
                node, parent = parent, self._parents.get(parent)
        return not isinstance(parent, ast.Expr)

    def _span(self, node: ast.expr) -> Span:
        return Span(
            self._place(node.lineno, node.col_offset),
            self._place(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def _place(self, line: int, column: int) -> int:
        """The place in the text for a line and a column, which counts bytes of UTF-8."""
        line -= self._lines_before
        before = sum(map(len, self._lines[: line - 1]))
        return before + len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))


_BODIES = ("json", "data", "content", "files")


def _assigned_once(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that are set once in a file, and that nothing changes, each with what it is set to."""
    counts: dict[str, int] = {}
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                counts[name] = counts.get(name, 0) + 1
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                counts[name] = counts.get(name, 0) + 2
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update" | "setdefault" | "pop")):
                counts[name] = counts.get(name, 0) + 2
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values[name] = value
    yield from ((name, value) for name, value in values.items() if counts.get(name) == 1)


def _name(node: ast.expr) -> str | None:
    """A name for an expression: of the environment variable that it reads, or its own."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)) if name.isidentifier():
            return name
        case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[ast.Constant(value=str() as name), *_]):
            return name if name.isidentifier() else None
        case ast.Call(func=ast.Name(id="str"), args=[value]):
            return _name(value)
    return None
