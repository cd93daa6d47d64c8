"""Where bodies are found is tested with whole scripts in test_script.py; here is what does not show there."""

from proxy.calls.call import Variables
from proxy.calls.shell.bodies import Bodies
from proxy.calls.shell.commands import commands
from proxy.calls.shell.lexer import Lexer
from tests.calls.reading import URL, shell


def test_only_a_variable_that_is_set_once_and_stands_alone_is_known() -> None:
    text = "A=1; export B=2; C=3; C=4; D=5 E=6 x; echo $A $B $C $D ${E} ${A:-7}"
    variables = Variables(text)
    bodies = Bodies(text, variables)
    for command in commands(Lexer(text, variables).split(0, len(text))):
        bodies.note(command)
    known = {variables.by_character[char].source: value for char, value in bodies.known.items()}
    assert known == {"$A": "1", "$B": "2", "$D": "5", "${E}": "6"}


def test_it_is_said_where_a_body_was_found() -> None:
    assert shell(f"curl {URL} -d '{{}}'").resolved == ()
    assert shell(f"B='{{}}'\ncurl {URL} -d $B").resolved == ("$B",)
    assert shell(f"B=$(cat <<E\n{{}}\nE\n)\ncurl {URL} -d $B").resolved == ("$B", "what cat prints")
    assert shell(f"curl {URL} -d @- <<< '{{}}'").resolved == ("the text after <<",)
    assert shell(f"echo '{{}}' > f\ncurl {URL} -d @f").resolved == ("what echo prints",)
