"""Writes a call in JavaScript, with fetch or with axios where the owner's code uses it."""

import contextlib
import json
import re

from proxy.calls.call import Call, Language
from proxy.calls.write import literals
from proxy.calls.write.written import Names, Written, absolute, headers_of, left_out, pieces

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")


def write(call: Call) -> Written:
    """Write a call as a statement of a module; one that was JavaScript as the same expression."""
    names = Names(call, Language.JAVASCRIPT)
    style = _style(call, names)
    is_javascript = call.language is Language.JAVASCRIPT
    rest = [f"{name}: {source}" if name != source else name for name, source in call.options] if is_javascript else []
    if is_javascript and not call.program.endswith("fetch"):
        return Written(_axios(call, style, rest), [])
    program = call.program if is_javascript else "fetch"
    headers, notes = headers_of(call, is_same=is_javascript)
    fields = [f"method: {style.text(call.method)}", *_headers(headers, call, style), *_body(call, style, "body"), *rest]
    url, on_url = absolute(call, is_same=is_javascript)
    expression = f"{program}({style.text(url)}, {_object(fields)})"
    if is_javascript:
        return Written(expression, [])
    lines = [
        f"const response = await {expression};",
        "if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);",
    ]
    return Written("\n".join(lines), on_url + notes + left_out(call, checks_status=True) + names.notes())


def url_and_body(call: Call) -> tuple[str, str]:
    """The expressions of the URL and of the value that the body is made of, for a call in this language.

    Raises:
        ValueError: the body is not JSON.
    """
    style = _style(call, Names(call, Language.JAVASCRIPT))
    return style.text(call.url), literals.write(literals.parse(call.body), style, call)


def _axios(call: Call, style: literals.Style, rest: list[str]) -> str:
    url, body = style.text(call.url), _body(call, style, "data")
    name = call.program.rpartition(".")[2]
    if name in {"axios", "request"}:
        fields = [
            f"method: {style.text(call.method)}",
            f"url: {url}",
            *_headers(list(call.headers), call, style),
            *body,
            *rest,
        ]
        return f"{call.program}({_object(fields)})"
    arguments = [url]
    if name in {"post", "put", "patch"}:
        arguments.append(body[0].removeprefix("data: ") if body else "null")
    fields = [*_headers(list(call.headers), call, style), *rest]
    return f"{call.program}({', '.join([*arguments, *([_object(fields)] if fields else [])])})"


def _object(fields: list[str]) -> str:
    line = f"{{ {', '.join(fields)} }}"
    if len(line) <= 80 and "\n" not in line:
        return line
    return "{\n" + "".join(f"  {field},\n" for field in fields) + "}"


def _headers(headers: list[tuple[str, str]], call: Call, style: literals.Style) -> list[str]:
    items = [
        f"...{style.text(name)}" if name in call.variables and not value else f"{style.key(name)}: {style.text(value)}"
        for name, value in headers
    ]
    return [f"headers: {{ {', '.join(items)} }}"] if items else []


def _body(call: Call, style: literals.Style, field: str) -> list[str]:
    if call.body_file is not None:
        return [f'{field}: require("fs").readFileSync({style.text(call.body_file)})']
    if not call.body:
        return []
    with contextlib.suppress(ValueError, RecursionError):
        value = literals.write(literals.parse(call.body), style, call, "  ")
        return [f"body: JSON.stringify({value})" if field == "body" else f"{field}: {value}"]
    return [f"{field}: {style.text(call.body)}"]


def _style(call: Call, names: Names) -> literals.Style:
    def text(value: str) -> str:
        variable = call.variables.get(value)
        if variable is not None and (variable.is_value or call.language is not Language.JAVASCRIPT):
            is_json = variable.is_value and call.language in {Language.SHELL, Language.CMD}
            return f"JSON.parse({names.expression(value)})" if is_json else names.expression(value)
        return _string(value, call, names)

    def key(value: str) -> str:
        if value in call.variables:
            return f"[{text(value)}]"
        return value if _IDENTIFIER.fullmatch(value) else text(value)

    return literals.Style({True: "true", False: "false", None: "null"}, text, key)


def _string(value: str, call: Call, names: Names) -> str:
    parts = pieces(value, call)
    if not any(is_variable for _, is_variable in parts):
        return json.dumps(value, ensure_ascii=False)
    inner = "".join(
        f"${{{names.expression(part)}}}" if is_variable else re.sub(r"([\\`]|\$(?=\{))", r"\\\1", part)
        for part, is_variable in parts
    )
    return f"`{inner}`"
