# SPDX-License-Identifier: Apache-2.0
"""Just enough of mdoc(7) to ask a manual page which options, commands and keys it describes."""
import re
import shlex

CALLABLE = set("Ac Ao Ap Aq Ar Bc Bo Bq Brc Bro Brq Cd Cm Dc Do Dq Dv Em Er Ev Fa Fl Fn Ft Ic Li Ms Nm No Ns Oc Oo Op "
               "Pa Pc Pf Po Pq Qc Ql Qo Qq Sc So Sq Sx Sy Tn Va Vt Xr".split())


def words(line):
    """A macro line's words, quoted ones whole."""
    lexer = shlex.shlex(line[1:], posix=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes = True, "", '"'
    return [word.strip('"') for word in lexer]


def macros(line):
    """(macro, its arguments) for each macro of a line; a text line has none."""
    if not line.startswith(".") or line.startswith('.\\"'):
        return
    name, arguments = None, []
    for word in words(line):
        if name is None or word in CALLABLE:
            if name is not None:
                yield name, arguments
            name, arguments = word, []
        else:
            arguments.append(word.replace("\\&", "").replace("\\-", "-"))
    if name is not None:
        yield name, arguments


class Page:
    def __init__(self, path):
        self.name = path.name
        self.lines = path.read_text().splitlines()

    def section(self, name):
        """The lines of one section."""
        inside, found = False, []
        for line in self.lines:
            if line.startswith(".Sh "):
                inside = line[4:].strip() == name
            elif inside:
                found.append(line)
        return found

    def items(self, section):
        """(head, lines) of each item of the section's outermost lists."""
        depth, found = 0, []
        for line in self.section(section):
            depth += line.startswith(".Bl") - line.startswith(".El")
            if depth == 1 and line.startswith(".It"):
                found.append((line, [line]))
            elif depth >= 1 and found:
                found[-1][1].append(line)
        return found


def flags(lines):
    """The options: "-v" and "--version" for "Fl v" and "Fl -version"; "Fl eps" is three."""
    found = set()
    for line in lines:
        for macro, arguments in macros(line):
            for word in arguments if macro == "Fl" else ():
                if re.fullmatch(r"-[a-z0-9][a-z0-9-]*", word):
                    found.add("-" + word)
                elif re.fullmatch(r"[A-Za-z0-9]+", word):
                    found.update("-" + letter for letter in word)
    return found


def commands(lines):
    """The words marked as commands or keys."""
    return {word for line in lines for macro, arguments in macros(line) if macro == "Cm"
            for word in arguments if re.match(r"[A-Za-z0-9*]", word)}


def heads(line):
    """The commands or keys that an item's head names: the first word of it, and of each part behind a comma."""
    found, first = [], True
    for macro, arguments in macros("." + line[len(".It "):]):
        if macro == "Cm" and first and arguments:
            found.append(arguments[0])
        if macro == "Cm" and "," in arguments:
            found += [after for before, after in zip(arguments, arguments[1:]) if before == ","]
        first = bool(arguments) and arguments[-1] == ","
    return found
