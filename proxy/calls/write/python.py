"""Writes a call in Python, with requests or with what the owner's code uses."""

import contextlib
import json
import re

from proxy.calls.call import Call, Language
from proxy.calls.write import literals
from proxy.calls.write.written import Names, Written, absolute, headers_of, left_out, pieces

_QUOTES = ('"', "'", '"""', "'''")


def write(call: Call) -> Written:
    """Write a call as a statement with its imports; one that was Python as the same expression."""
    names = Names(call, Language.PYTHON)
    style = _style(call, names)
    is_python = call.language is Language.PYTHON and not call.program.endswith(("Request", "urlopen"))
    url, on_url = absolute(call, is_same=is_python)
    arguments = [style.text(url)]
    if call.program.endswith(".request") and is_python:
        arguments.insert(0, style.text(call.method))
    headers, notes = headers_of(call, is_same=is_python)
    arguments += _headers(headers, call, style) + _body(call, style)
    if is_python:
        arguments += [f"{name}={source}" for name, source in call.options]
        return Written(_called(call.program, arguments), notes)
    is_known = call.method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
    program = f"requests.{call.method.lower()}" if is_known else "requests.request"
    arguments = arguments if is_known else [style.text(call.method), *arguments]
    lines = [f"response = {_called(program, arguments)}", "response.raise_for_status()"]
    used = [f"import {module}\n" for module in ("json", "os") if f"{module}." in lines[0]] if names.notes() else []
    text = "\n".join(["".join(used), "import requests\n", *lines]).lstrip("\n")
    return Written(text, on_url + notes + left_out(call, checks_status=True) + names.notes())


def url_and_body(call: Call) -> tuple[str, str]:
    """The expressions of the URL and of the value that the body is made of, for a call in this language.

    Raises:
        ValueError: the body is not JSON.
    """
    style = _style(call, Names(call, Language.PYTHON))
    return style.text(call.url), literals.write(literals.parse(call.body), style, call)


def _called(program: str, arguments: list[str]) -> str:
    line = f"{program}({', '.join(arguments)})"
    if len(line) <= 100 and "\n" not in line:
        return line
    return f"{program}(\n    " + ",\n    ".join(arguments) + ",\n)"


def _headers(headers: list[tuple[str, str]], call: Call, style: literals.Style) -> list[str]:
    """The headers; requests and httpx set the content type of JSON themselves."""
    items = [
        f"**{style.text(name)}" if name in call.variables and not value else f"{style.key(name)}: {style.text(value)}"
        for name, value in headers
        if not (name.lower() == "content-type" and _is_json(call))
    ]
    line = f"headers={{{', '.join(items)}}}"
    return [line] if items else []


def _is_json(call: Call) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        literals.parse(call.body)
        return True
    return False


def _body(call: Call, style: literals.Style) -> list[str]:
    if call.body_file is not None:
        return [f'data=open({style.text(call.body_file)}, "rb")']
    if not call.body:
        return []
    if _is_json(call):
        return [f"json={literals.write(literals.parse(call.body), style, call, '    ')}"]
    return [f"data={style.text(call.body)}.encode()"]


def _style(call: Call, names: Names) -> literals.Style:
    def text(value: str) -> str:
        variable = call.variables.get(value)
        if variable is not None and (variable.is_value or call.language is not Language.PYTHON):
            is_json = variable.is_value and call.language in {Language.SHELL, Language.CMD}
            return f"json.loads({names.expression(value)})" if is_json else names.expression(value)
        return _string(value, call, names)

    return literals.Style({True: "True", False: "False", None: "None"}, text, text)


def _string(value: str, call: Call, names: Names) -> str:
    parts = pieces(value, call)
    if not any(is_variable for _, is_variable in parts):
        return _literal(value)
    sources = [names.expression(part) for part, is_variable in parts if is_variable]
    # Before Python 3.12, what stands in an f-string cannot have the same quotes, nor a backslash.
    if any("\\" in source for source in sources):
        return " + ".join(f"str({names.expression(part)})" if known else _literal(part) for part, known in parts)
    quote = next((quote for quote in _QUOTES if not any(quote in source for source in sources)), _QUOTES[0])
    inner = "".join(
        _replaced(names.expression(part))
        if is_variable
        else _escaped(part, quote).replace("{", "{{").replace("}", "}}")
        for part, is_variable in parts
    )
    return f"f{quote}{inner}{quote}"


def _replaced(source: str) -> str:
    """An expression in an f-string, where two braces would be a text."""
    return f"{{{' ' * source.startswith('{')}{source}}}"


def _literal(value: str) -> str:
    return '"' + _escaped(value, '"') + '"'


def _escaped(value: str, quote: str) -> str:
    """The inside of a literal."""
    escaped = json.dumps(value, ensure_ascii=False)[1:-1].replace("\x7f", "\\x7f")
    escaped = re.sub(r"\\/", "/", escaped)
    return escaped if quote[0] == '"' else escaped.replace('\\"', '"').replace("'", "\\'")
