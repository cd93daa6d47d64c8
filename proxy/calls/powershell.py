"""Reads calls in PowerShell: Invoke-RestMethod and Invoke-WebRequest."""

import json
import re
from typing import Any

from proxy.calls import urls
from proxy.calls.call import Answer, Call, Language, NotRead, not_written_out
from proxy.calls.syntax import Node, TreeReader

_PROGRAMS = {
    "invoke-restmethod": "Invoke-RestMethod", "irm": "Invoke-RestMethod",
    "invoke-webrequest": "Invoke-WebRequest", "iwr": "Invoke-WebRequest",
    "curl": "Invoke-WebRequest", "wget": "Invoke-WebRequest",
}  # fmt: skip
_SWITCHES = frozenset(
    "usebasicparsing usedefaultcredentials skipcertificatecheck skiphttperrorcheck passthru disablekeepalive resume"
    " nobody allowunencryptedauthentication preserveauthorizationonredirect skipheadervalidation noproxy".split()
)
_VARIABLE = re.compile(r"\$(?:\{?(?:env:)?([A-Za-z_]\w*)\}?)", re.IGNORECASE)
_BARE = re.compile(r"\$[^\s()\"']*/[^\s()\"']*")
_LITERALS = {"$true": True, "$false": False, "$null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


class _Reader(TreeReader):
    language = Language.POWERSHELL

    def calls(self) -> list[Call]:
        """The calls in the text."""
        found = []
        for node in self._tree.walk("command"):
            name = node.child_by_field_name("command_name") or node.named_children[0]
            program = _PROGRAMS.get(self._tree.source(name).lower())
            if program:
                self._resolved_names = []
                found.append(self._call(node, program))
        return found

    def _call(self, node: Node, program: str) -> Call:
        words = self._words(node)
        problem = "its parameters are in a variable: write them out" if words.pop("@", None) else None
        url, method, body = "", "GET", ""
        headers: tuple[tuple[str, str], ...] = ()
        try:
            method = str(self._value(words.pop("method"))).upper() if "method" in words else "GET"
            url, used = urls.filled_in(method, self._uri(words.pop("uri", None)), self._known_text)
            self._resolved_names += [self._variables.shown(char) for char in used]
            headers = self._headers(words.pop("headers", None))
            body = self._body(words.pop("body", None))
        except NotRead as error:
            problem = problem or str(error)
        for name in ("infile", "form", "credential"):
            if name in words:
                problem = problem or f"-{name} is not supported: write the body itself with -Body"
        content_type = words.pop("contenttype", None)
        return Call(
            program,
            Language.POWERSHELL,
            method,
            url,
            (*headers, *([("Content-Type", str(self._value(content_type)))] if content_type else [])),
            body,
            options=tuple(self._option(name, value) for name, value in words.items()),
            variables=self._variables.by_character,
            answer=Answer(self._is_used(node)),
            span=self._tree.span(node),
            resolved=tuple(self._resolved_names),
            problem=problem or (None if url else "it has no -Uri"),
        )

    def _words(self, node: Node) -> dict[str, Node]:
        """The parameters, in lower case, each with its value; ``@`` stands for those in a variable."""
        elements = [child for part in node.named_children[1:] for child in part.named_children]
        elements = [child for child in elements if child.type != "command_argument_sep"]
        words: dict[str, Node] = {}
        name = None
        for element in elements:
            source = self._tree.source(element)
            if element.type == "command_parameter":
                name = source.lstrip("-").rstrip(":").lower()
                words[name] = element
                name = None if name in _SWITCHES else name
            elif source.startswith("@") and source[1:].isidentifier():
                words |= self._splatted(f"${source[1:]}", element)
            elif element.type != "redirection":
                words[name or "uri"] = element
                name = None
        return words

    def _option(self, name: str, value: Node) -> tuple[str, ...]:
        source = self._tree.source(value)
        return (source,) if value.type == "command_parameter" else (f"-{name}", source)

    def _splatted(self, name: str, node: Node) -> dict[str, Node]:
        known = self._known.get(name.lower())
        hashes = [] if known is None else [_only(known)]
        if not hashes or hashes[0].type != "hash_literal_expression":
            return {"@": node}
        self._resolved_names.append(name)
        return {str(self._value(key)).lower(): value for key, value in self._entries(hashes[0])}

    def _entries(self, node: Node) -> list[tuple[Node, Node]]:
        entries = [entry for body in node.named_children for entry in body.named_children]
        return [(entry.named_children[0], entry.named_children[-1]) for entry in entries if entry.type == "hash_entry"]

    def _headers(self, node: Node | None) -> tuple[tuple[str, str], ...]:
        if node is None:
            return ()
        node = self._set_to(node)
        if node.type != "hash_literal_expression":
            return ((self._variable(node), ""),)
        return tuple((str(self._value(key)), str(self._value(value))) for key, value in self._entries(node))

    def _body(self, node: Node | None) -> str:
        if node is None:
            return ""
        node = self._set_to(node)
        value = self._value(node)
        if isinstance(value, str) and value in self._variables.by_character:
            source = self._tree.source(node)
            raise not_written_out(source)
        if not isinstance(value, str):
            raise NotRead("its body is a table, which is sent as a form: use ConvertTo-Json")
        return self._variables.as_values(value)

    def _uri(self, node: Node | None) -> str:
        """The URL, which needs no quotes and can have variables all the same."""
        source = self._tree.source(node) if node is not None else ""
        return self._bare(source) if _BARE.fullmatch(source) else self._text(node) or ""

    def _set_to(self, node: Node) -> Node:
        node = _only(node)
        known = self._known.get(self._tree.source(node).lower()) if node.type == "variable" else None
        if known is None:
            return node
        self._resolved_names.append(self._tree.source(node))
        return _only(known)

    def _known_text(self, char: str) -> str | None:
        variable = self._variables.by_character.get(char)
        return self._text(self._known.get(variable.source.lower())) if variable else None

    def _value(self, node: Node) -> Any:
        """The value of an expression, as far as it is written out."""
        node = _only(node)
        source = self._tree.source(node)
        match node.type:
            case "expandable_string_literal" | "expandable_here_string_literal":
                return self._expandable(node, 2 if "here" in node.type else 1)
            case "verbatim_string_characters":
                return source[1:-1].replace("''", "'")
            case "verbatim_here_string_characters":
                return source[2:-2].strip("\r\n")
            case "simple_name" | "generic_token":
                return self._bare(source)
            case "decimal_integer_literal" if source.isdecimal():
                return int(source)
            case "variable" if source.lower() in _LITERALS:
                return _LITERALS[source.lower()]
        return self._computed(node, source)

    def _computed(self, node: Node, source: str) -> Any:
        match node.type:
            case "pipeline_chain" if "ConvertTo-Json" in source:
                return json.dumps(self._value(self._set_to(node.named_children[0])), ensure_ascii=False)
            case "command" if source.lower().startswith("convertto-json"):
                elements = [child for part in node.named_children[1:] for child in part.named_children]
                if elements and elements[-1].type == "array_literal_expression":
                    return json.dumps(self._value(self._set_to(elements[-1])), ensure_ascii=False)
            case "hash_literal_expression":
                return {str(self._value(key)): self._value(value) for key, value in self._entries(node)}
            case "array_expression":
                return [item for child in node.named_children for item in self._list(child)]
            case "statement_list" | "array_literal_expression":
                return [self._value(child) for child in node.named_children]
            case "additive_expression":
                first, second = (self._value(node.named_children[at]) for at in (0, -1))
                if "+" in source and isinstance(first, str) and isinstance(second, str):
                    return first + second
            case "format_expression":
                return self._formatted(node)
        return self._variable(node)

    def _formatted(self, node: Node) -> str:
        """What ``"{0}/{1}" -f $a, $b`` makes."""
        form, values = self._value(node.named_children[0]), self._list(node.named_children[-1])
        if not isinstance(form, str) or not all(isinstance(value, str) for value in values):
            return self._variable(node)
        for index, value in enumerate(values):
            form = form.replace(f"{{{index}}}", value)
        return form

    def _list(self, node: Node) -> list[Any]:
        value = self._value(node)
        return value if isinstance(value, list) else [value]

    def _bare(self, word: str) -> str:
        """A word without quotes, in which variables are expanded all the same."""
        return _VARIABLE.sub(lambda found: self._variables.add(found[0], found[1]), word)

    def _expandable(self, node: Node, quotes: int) -> str:
        out, at, end = "", node.start_byte + quotes, node.end_byte - quotes
        for child in node.named_children:
            out += _unescaped(self._tree.between(at, child.start_byte))
            source = self._tree.source(child)
            found = _VARIABLE.fullmatch(source)
            out += self._variables.add(source, found[1] if found else None)
            at = child.end_byte
        text = out + _unescaped(self._tree.between(at, end))
        return text.strip("\r\n") if quotes > 1 else text

    def _variable(self, node: Node) -> str:
        source = self._tree.source(node)
        found = _VARIABLE.fullmatch(source)
        return self._variables.add(source, found[1] if found else None, is_value=True)

    def _is_used(self, node: Node) -> bool:
        parent = node.parent
        while parent is not None and parent.type in {"pipeline_chain", "pipeline"} and parent.named_child_count == 1:
            parent = parent.parent
        return parent is None or parent.type not in {"statement_list", "program"}

    def _assigned_once(self) -> dict[str, Node]:
        """The variables that are set once, in lower case, each with what it is set to."""
        values: dict[str, Node] = {}
        counts: dict[str, int] = {}
        for node in self._tree.walk("assignment_expression"):
            name = self._tree.source(node.named_children[0]).lower()
            base = re.match(r"\$\w+", name)
            values[name] = node.named_children[-1]
            if base:
                counts[base[0]] = counts.get(base[0], 0) + 1
        return {name: value for name, value in values.items() if counts.get(name) == 1}


def _only(node: Node) -> Node:
    """A node without those around it that hold nothing else; the grammar has one for each precedence."""
    while node.named_child_count == 1 and node.type not in _WHOLE:
        node = node.named_children[0]
    return node


_WHOLE = frozenset(
    "expandable_string_literal expandable_here_string_literal hash_literal_expression array_expression command"
    " variable".split()
)


def _unescaped(text: str) -> str:
    text = text.replace('""', '"')
    return re.sub("`(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)


read = _Reader.read
