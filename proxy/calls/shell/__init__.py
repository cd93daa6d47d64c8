"""Reads calls in command lines and shell scripts: curl, wget and HTTPie.

The words are split here rather than by a parser of bash. A plain ``curl`` has to be read without an optional
dependency, on cmd.exe as well, and lines that a parser of bash would take for other commands, such as those after a
lost backslash, have to be noticed.
"""
