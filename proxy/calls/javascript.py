"""Reads calls in JavaScript: fetch and axios."""

import json
import re
from typing import Any

from proxy.calls import urls
from proxy.calls.call import Answer, Call, Language, NotRead, Parts, not_written_out
from proxy.calls.syntax import Node, TreeReader

_METHODS = frozenset("get post put patch delete".split())
_OTHER_CLIENTS = frozenset("got ky request superagent needle http https $ jQuery".split())
_LITERALS = {"true": True, "false": False, "null": None, "undefined": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_ENVIRONMENT = re.compile(r"""process\.env(?:\.(\w+)|\[["'](\w+)["']\])""")
_LAST_NAME = re.compile(r"([A-Za-z_]\w*)(?:\(\))?\Z")


class _Reader(TreeReader):
    language = Language.JAVASCRIPT

    def calls(self) -> list[Call]:
        """The calls in the text."""
        found = []
        for node in self._tree.walk("call_expression"):
            self._resolved_names = []
            call = self._call(node)
            if call is not None:
                found.append(call)
        return found

    def _call(self, node: Node) -> Call | None:
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return None
        program = self._tree.source(function)
        given = [child for child in arguments.named_children if child.type != "comment"]
        if not given:
            return None
        if program.rpartition(".")[2] == "fetch":
            words = {"url": given[0], **self._fields(given[1] if len(given) > 1 else None)}
            return self._made(node, program, words, "body", self._text(words.pop("method", None)) or "GET")
        name = program.rpartition(".")[2]
        if program == "axios" or (name == "request" and program.startswith("axios")):
            words = self._fields(given[0])
            return self._made(node, program, words, "data", self._text(words.pop("method", None)) or "GET")
        if (
            function.type == "member_expression"
            and name in _METHODS
            and program.partition(".")[0] not in _OTHER_CLIENTS
        ):
            has_body = name in {"post", "put", "patch"}
            words = {"url": given[0], **self._fields(given[1 + has_body] if len(given) > 1 + has_body else None)}
            if has_body and len(given) > 1:
                words["data"] = given[1]
            return self._made(node, program, words, "data", name)
        return None

    def _made(self, node: Node, program: str, words: dict[str, Node], body: str, method: str) -> Call | None:
        method = method.upper()
        url_node = words.pop("url", None)
        url = self._text(url_node)
        if url_node is None or url is None:
            return None
        url, used = urls.filled_in(method, url, self._known_text)
        is_library = program in {"fetch", "axios"} or program.startswith("axios.")
        if not is_library and not urls.is_known(method, url):
            return None
        self._resolved_names += [self._variables.shown(char) for char in used]
        problem = "its options are in a variable: write them out" if "..." in words else None
        parts = self._parts(url_node, words.get(body), words.get("headers"), is_encoded=body == "data")
        headers: list[tuple[str, str]] = []
        content = ""
        try:
            headers = self._headers(words.pop("headers", None))
            content = self._body(words.pop(body, None), is_json=body == "data")
        except NotRead as error:
            problem = problem or str(error)
        return Call(
            program,
            Language.JAVASCRIPT,
            method,
            url,
            tuple(headers),
            content,
            options=tuple((name, self._tree.source(value)) for name, value in words.items() if name != "..."),
            variables=self._variables.by_character,
            answer=Answer(self._is_used(node)),
            span=self._tree.span(node),
            resolved=tuple(self._resolved_names),
            problem=problem,
            parts=parts,
        )

    def _parts(self, url: Node, body: Node | None, headers: Node | None, *, is_encoded: bool) -> Parts:
        if body is not None and self._tree.source(body).startswith("JSON.stringify("):
            body = body.named_children[1].named_children[0]
        body_span = self._tree.span(body) if body else None
        return Parts(
            self._tree.span(url), body_span, self._tree.span(headers) if headers else None, is_encoded=is_encoded
        )

    def _fields(self, node: Node | None) -> dict[str, Node]:
        """The fields of an object; one that cannot be known is called ``...``."""
        if node is None:
            return {}
        node = self._set_to(node)
        if node.type != "object":
            return {"...": node}
        fields = {}
        for child in node.named_children:
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if child.type == "shorthand_property_identifier":
                fields[self._tree.source(child)] = child
            elif key is None or value is None:
                if child.type != "comment":
                    fields["..."] = child
            elif key.type == "computed_property_name":
                fields["..."] = child
            else:
                fields[self._key(key)] = value
        return fields

    def _key(self, node: Node) -> str:
        return str(self._value(node)) if node.type == "string" else self._tree.source(node)

    def _headers(self, node: Node | None) -> list[tuple[str, str]]:
        if node is None:
            return []
        node = self._set_to(node)
        if node.type != "object":
            return [(self._variable(node), "")]
        headers: list[tuple[str, str]] = []
        for child in node.named_children:
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if child.type == "spread_element":
                headers += self._headers(child.named_children[0])
            elif key is not None and value is not None:
                headers.append((self._key(key), str(self._value(value))))
            elif child.type != "comment":
                headers.append((self._tree.source(child), self._variable(child)))
        return headers

    def _body(self, node: Node | None, *, is_json: bool) -> str:
        if node is None or node.type in {"null", "undefined"}:
            return ""
        node = self._set_to(node)
        value = self._value(node)
        if isinstance(value, str) and value in self._variables.by_character:
            source = self._tree.source(node)
            raise not_written_out(source)
        if isinstance(value, str):
            return self._variables.as_values(value)
        if not is_json:
            raise NotRead("its body is an object, which fetch sends as [object Object]: use JSON.stringify")
        return json.dumps(value, ensure_ascii=False)

    def _set_to(self, node: Node) -> Node:
        """What a name is set to, if it is set once."""
        known = self._known.get(self._tree.source(node)) if _is_name(node) else None
        if known is None:
            return node
        self._resolved_names.append(self._tree.source(node))
        return known

    def _known_text(self, char: str) -> str | None:
        variable = self._variables.by_character.get(char)
        return self._text(self._known.get(variable.source)) if variable else None

    def _value(self, node: Node) -> Any:
        """The value of an expression, as far as it is written out.

        Raises:
            NotRead: a part of an object is in a variable.
        """
        match node.type:
            case "string" | "template_string":
                return "".join(self._part(child) for child in node.named_children)
            case "number":
                return _number(self._tree.source(node)) or self._variable(node)
            case "true" | "false" | "null" | "undefined":
                return _LITERALS[node.type]
            case "array":
                return [self._value(child) for child in node.named_children if child.type != "comment"]
            case "object":
                fields = self._fields(node)
                if "..." in fields:
                    raise NotRead("a part of its body is in a variable (...): write it out")
                return {name: self._value(value) for name, value in fields.items()}
        return self._computed(node)

    def _computed(self, node: Node) -> Any:
        match node.type:
            case "parenthesized_expression":
                return self._value(node.named_children[0])
            case "call_expression" if self._tree.source(node).startswith("JSON.stringify("):
                argument = node.named_children[1].named_children[0]
                return json.dumps(self._value(self._set_to(argument)), ensure_ascii=False)
            case "binary_expression" if "+" in [child.type for child in node.children]:
                first, second = self._value(node.named_children[0]), self._value(node.named_children[1])
                if isinstance(first, str) and isinstance(second, str):
                    return first + second
        return self._variable(node)

    def _part(self, node: Node) -> str:
        """A part of a string."""
        source = self._tree.source(node)
        if node.type == "template_substitution":
            inner = node.named_children[0]
            return self._variables.add(self._tree.source(inner), _name(self._tree.source(inner)))
        if node.type == "escape_sequence":
            return _unescaped(source[1:])
        return source

    def _variable(self, node: Node) -> str:
        source = self._tree.source(node)
        return self._variables.add(source, _name(source), is_value=True)

    def _is_used(self, node: Node) -> bool:
        parent = node.parent
        while parent is not None and parent.type == "await_expression":
            parent = parent.parent
        return parent is None or parent.type != "expression_statement"

    def _assigned_once(self) -> dict[str, Node]:
        values: dict[str, Node] = {}
        counts: dict[str, int] = {}
        for node in self._tree.walk("variable_declarator"):
            name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
            if name is not None and value is not None and name.type == "identifier":
                values[self._tree.source(name)] = value
                counts[self._tree.source(name)] = counts.get(self._tree.source(name), 0) + 1
        for node in self._tree.walk("assignment_expression"):
            left = node.child_by_field_name("left")
            changed = re.match(r"\w+", self._tree.source(left)) if left is not None else None
            if changed:
                counts[changed[0]] = counts.get(changed[0], 0) + 2
        return {name: value for name, value in values.items() if counts[name] == 1}


def _is_name(node: Node) -> bool:
    return node.type in {"identifier", "shorthand_property_identifier"}


def _name(source: str) -> str | None:
    found = _ENVIRONMENT.fullmatch(source)
    if found:
        return found[1] or found[2]
    last = _LAST_NAME.search(source)
    return last[1] if last and re.fullmatch(r"[\w.()]+", source) else None


def _number(source: str) -> int | float | None:
    try:
        return int(source) if source.isdecimal() else float(source)
    except ValueError:
        return None


def _unescaped(escape: str) -> str:
    """What stands for an escape sequence, without its backslash."""
    if escape[:1] in {"u", "x"}:
        return chr(int(escape[1:].strip("{}"), 16))
    return _ESCAPES.get(escape, escape)


read = _Reader.read
