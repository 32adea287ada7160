#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the node classes of a Python file from its source: python3 -I -S read_source.py FILE prints JSON.

Nothing of the file is imported or run: its packages may live elsewhere, and checking a manifest must not start anybody's code. So this sees
what the text says, and leaves open ("any") what it doesn't. Runs on CPython 3.9 and later, with the standard library only.

    {"nodes": {"Speech": SIGNATURE}, "other_classes": ["Helper"], "files": ["/abs/nodes.py", "/abs/helper.py"], "looked_at": ["/abs/nodes.py", ...]}
    {"error": {"file": "/abs/nodes.py", "line": 3, "column": 7, "message": "...", "hint": "..."}}

SIGNATURE is described in pipeline.hpp. `files` are the file and what lies beside it that it imports: modules, and packages as a whole. `looked_at` is every path
whose content, listing or absence the answer depends on.
"""
import ast
import json
import os
import sys

FRAMES = {"Audio": "audio", "Video": "video", "Image": "image", "Tensor": "tensor", "Text": "text", "Json": "json", "Bytes": "bytes"}
PLAIN = {"str": ("text", "json"), "dict": ("json",), "bytes": ("bytes",), "bytearray": ("bytes",)}  # a node may give these, too
SEVERAL = {"Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator", "Awaitable", "Coroutine", "list", "List", "Sequence"}
PARAMS = {"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "List": "list", "Sequence": "list", "tuple": "list", "Tuple": "list",
          "set": "list", "dict": "dict", "Dict": "dict", "Mapping": "dict", "Path": "path", "PathLike": "path", "None": "none"}
METHODS = ("process", "produce", "finish")
MAX_FILES = 10000
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Unreadable(Exception):
    """file, line, column, message, hint"""


class Module:
    """One source file: its classes, and what its names stand for."""

    def __init__(self, path):
        self.path = path
        self.tree = parse(path)
        self.classes = {}      # name: ClassDef
        self.assigned = {}     # name: expression, for type aliases
        self.imports = []      # (level, dotted module, name in it or None)
        self.hawse = {}        # local name: name in hawse, "" for the module itself
        self.others = {}       # local name: (level, module, name), from imports of something else
        for statement in top_level(self.tree.body):
            if isinstance(statement, ast.ClassDef):
                self.classes[statement.name] = statement
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
                self.assigned[statement.targets[0].id] = statement.value
        for found in ast.walk(self.tree):
            if isinstance(found, ast.Import):
                for name in found.names:
                    self.imports.append((0, name.name, None))
                    if name.name == "hawse":
                        self.hawse[name.asname or "hawse"] = ""
            elif isinstance(found, ast.ImportFrom):
                for name in found.names:
                    self.imports.append((found.level, found.module or "", name.name))
                    if found.module == "hawse" and not found.level:
                        self.hawse[name.asname or name.name] = name.name
                    else:
                        self.others[name.asname or name.name] = (found.level, found.module or "", name.name)

    def hawse_name(self, expression):
        """'Audio' for hawse.Audio, however it was imported; None for anything else."""
        if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name) and self.hawse.get(expression.value.id) == "":
            return expression.attr
        if isinstance(expression, ast.Name):
            return self.hawse.get(expression.id) or None
        return None


def parse(path):
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path)
    except SyntaxError as error:
        raise Unreadable(path, error.lineno or 1, max(error.offset or 1, 1), "Python can't read this: " + (error.msg or "syntax error"), "") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(path, 1, 1, "Python can't read this file: " + str(error), "") from None
    except OSError as error:
        raise Unreadable(path, 1, 1, "the file can't be read: " + (error.strerror or str(error)), "") from None


def top_level(body):
    """The module's own statements, also those under if and try."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try)):
                yield from top_level(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from top_level(handler.body)


# ---- files ------------------------------------------------------------------------------------------------------------------

class Files:
    """The file and everything beside it that it imports."""

    def __init__(self, path):
        self.folder = os.path.dirname(path)
        self.modules = {}   # path: Module, of every Python file among them
        self.paths = []     # in the order they were found
        self.seen = set()
        self.looked_at = {}  # path: True, in order
        self.main = self.add(path)

    def add(self, path):
        if path in self.modules:
            return self.modules[path]
        if path not in self.seen:
            self.seen.add(path)
            self.paths.append(path)
        if len(self.paths) > MAX_FILES:
            raise Unreadable(self.paths[0], 1, 1, "it imports more than %d files beside it" % MAX_FILES, "give it a folder of its own")
        self.looked_at[path] = True
        module = self.modules[path] = Module(path)
        for level, name, member in module.imports:
            for dotted in [name] + ([name + "." + member if name else member] if member else []):
                self.find(path, level, dotted)
        return module

    def find(self, importer, level, dotted):
        """The file that `dotted` names beside the importer, if there is one; its package comes along as a whole."""
        base = self.folder
        if level:
            base = os.path.dirname(importer)
            for _ in range(level - 1):
                base = os.path.dirname(base)
            if base != self.folder and not base.startswith(self.folder + os.sep):
                return None
        if not dotted:
            return None
        first = os.path.join(base, dotted.split(".")[0])
        if self.is_file(os.path.join(first, "__init__.py")):
            self.add_package(first)
        stem = os.path.join(base, *dotted.split("."))
        for path in (stem + ".py", os.path.join(stem, "__init__.py")):
            if self.is_file(path):
                self.add(path)
                return path
        return None

    def is_file(self, path):
        self.looked_at[path] = True
        return os.path.isfile(path)

    def add_package(self, folder):
        if folder in self.seen:
            return
        self.seen.add(folder)
        for here, folders, names in os.walk(folder):
            self.looked_at[here] = True
            folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
            for name in sorted(names):
                path = os.path.join(here, name)
                if name.endswith(".py"):
                    self.add(path)
                elif not name.endswith(".pyc") and path not in self.seen and os.path.isfile(path):
                    self.seen.add(path)
                    self.paths.append(path)
                if len(self.paths) > MAX_FILES:
                    raise Unreadable(self.paths[0], 1, 1, "the package %s has more than %d files" % (folder, MAX_FILES), "")

    def resolve(self, module, name):
        """(module, ClassDef) for a class's name as `module` sees it; None if it comes from elsewhere."""
        for _ in range(10):
            if name in module.classes:
                return module, module.classes[name]
            if name not in module.others:
                return None
            level, dotted, name = module.others[name]
            path = self.find(module.path, level, dotted)
            if path is None or path not in self.modules:
                return None
            module = self.modules[path]
        return None


# ---- annotations --------------------------------------------------------------------------------------------------------------

def plain_name(expression):
    """'List' for List and typing.List."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def unquoted(module, expression, depth=0):
    """An annotation without quotes, aliases followed."""
    if depth > 10:
        return None
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        try:
            return unquoted(module, ast.parse(expression.value, mode="eval").body, depth + 1)
        except (SyntaxError, ValueError, RecursionError):
            return None
    if isinstance(expression, ast.Name) and expression.id in module.assigned and expression.id not in module.classes:
        return unquoted(module, module.assigned[expression.id], depth + 1)
    return expression


def parts(subscript):
    inner = subscript.slice
    if type(inner).__name__ == "Index":  # before 3.9
        inner = inner.value
    return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]


def alternatives(module, expression, depth=0):
    """The members of Optional, Union and |; of anything else itself. Quotes are taken off."""
    expression = unquoted(module, expression)
    if depth < 20 and isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.BitOr):
        return alternatives(module, expression.left, depth + 1) + alternatives(module, expression.right, depth + 1)
    if depth < 20 and isinstance(expression, ast.Subscript):
        name = plain_name(expression.value)
        if name == "Optional":
            return [ast.Constant(value=None)] + alternatives(module, parts(expression)[0], depth + 1)
        if name == "Union":
            return [one for part in parts(expression) for one in alternatives(module, part, depth + 1)]
        if name in ("Annotated", "Final", "ClassVar", "Required"):
            return alternatives(module, parts(expression)[0], depth + 1)
    return [expression]


def is_none(expression):
    return isinstance(expression, ast.Constant) and expression.value is None


class Gives:
    """What an annotation says: frame types in order, or anything."""

    def __init__(self):
        self.types, self.any, self.none = [], False, False

    def add(self, types):
        self.types += [one for one in types if one not in self.types]

    def text(self):
        return "any" if self.any or not self.types else "|".join(self.types)


def frame_types(module, expression, gives, result, depth=0):
    """Adds what an annotation stands for. `result`: it is of what a method gives, where str, dict, lists and iterators mean frames, too."""
    if expression is None or depth > 20:
        gives.any = True
        return
    for one in alternatives(module, expression):
        name = module.hawse_name(one) if one is not None else None
        if is_none(one):
            gives.none = True
        elif name in FRAMES:
            gives.add([FRAMES[name]])
        elif result and name is None and plain_name(one) in PLAIN and isinstance(one, ast.Name):
            gives.add(PLAIN[one.id])
        elif result and isinstance(one, ast.Subscript) and plain_name(one.value) in SEVERAL:
            frame_types(module, parts(one)[-1 if plain_name(one.value) == "Coroutine" else 0], gives, True, depth + 1)
        elif result and isinstance(one, ast.Subscript) and plain_name(one.value) in ("tuple", "Tuple"):
            elements = parts(one)
            if len(elements) == 2 and names_a_port(module, elements[0]):
                elements = elements[1:]
            for element in elements:
                if not (isinstance(element, ast.Constant) and element.value is Ellipsis):
                    frame_types(module, element, gives, True, depth + 1)
        elif result and isinstance(one, ast.Subscript) and plain_name(one.value) in ("dict", "Dict"):
            gives.add(["json"])
        else:
            gives.any = True


def names_a_port(module, expression):
    """str, or Literal["port"], in front of a frame."""
    expression = unquoted(module, expression)
    return plain_name(expression) == "str" or (isinstance(expression, ast.Subscript) and plain_name(expression.value) == "Literal")


# ---- ports --------------------------------------------------------------------------------------------------------------------

class Given:
    """What a method's body gives."""

    def __init__(self):
        self.unnamed = False       # a frame without a port's name
        self.names = []            # yield "port", frame
        self.computed = False      # a port whose name isn't written out

    def look_at(self, function):
        for statement in function.body:
            self._walk(statement)

    def _walk(self, node):
        if isinstance(node, FUNCTIONS + (ast.Lambda, ast.ClassDef)):
            return
        if isinstance(node, (ast.Yield, ast.Return)):
            self._value(node.value)
        elif isinstance(node, ast.YieldFrom):
            self.unnamed = self.computed = True
        for child in ast.iter_child_nodes(node):
            self._walk(child)

    def _value(self, value):
        if value is None or is_none(value):
            return
        if isinstance(value, (ast.Tuple, ast.List)):
            if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                first = value.elts[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    self.names += [] if first.value in self.names else [first.value]
                    return
                self.computed = True
            for element in value.elts:
                self._value(element)
            return
        if isinstance(value, ast.IfExp):
            self._value(value.body)
            self._value(value.orelse)
            return
        self.unnamed = True


class Class:
    """A node class with what it inherits from classes in these files."""

    def __init__(self, files, module, definition):
        self.definition = definition
        self.is_node = self.unknown_base = False
        self.members = {}  # name: (module, FunctionDef or expression)
        self._collect(files, module, definition, set())

    def _collect(self, files, module, definition, seen):
        if id(definition) in seen:
            return
        seen.add(id(definition))
        for statement in definition.body:
            if isinstance(statement, FUNCTIONS):
                self.members.setdefault(statement.name, (module, statement))
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self.members.setdefault(target.id, (module, statement.value))
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None and isinstance(statement.target, ast.Name):
                self.members.setdefault(statement.target.id, (module, statement.value))
        for base in definition.bases:
            if isinstance(base, ast.Subscript):
                base = base.value
            if module.hawse_name(base) == "Node":
                self.is_node = True
                continue
            found = files.resolve(module, base.id) if isinstance(base, ast.Name) else None
            if found:
                self._collect(files, found[0], found[1], seen)
            elif plain_name(base) not in ("object", "ABC", "Generic", "Protocol", "Exception", "Enum", "NamedTuple", "TypedDict"):
                self.unknown_base = True

    def method(self, name):
        module, member = self.members.get(name, (None, None))
        return (module, member) if isinstance(member, FUNCTIONS) else (None, None)

    def declared(self, name):
        module, member = self.members.get(name, (None, None))
        return (module, member) if isinstance(member, ast.expr) else (None, None)


def parameters(function):
    """[(name, annotation, default or None, has default)], takes *args, takes **kwargs; without self."""
    arguments = function.args
    positional = list(getattr(arguments, "posonlyargs", [])) + list(arguments.args)
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    listed = list(zip(positional, defaults))
    if not any(plain_name(decorator) == "staticmethod" for decorator in function.decorator_list):
        listed = listed[1:]
    listed += list(zip(arguments.kwonlyargs, arguments.kw_defaults))
    return [(argument.arg, argument.annotation, default) for argument, default in listed], arguments.vararg is not None, arguments.kwarg is not None


def declared_ports(module, expression):
    """(ports, whether there may be others) of a class attribute `inputs` or `outputs`."""
    ports, others = {}, False
    if isinstance(expression, ast.Dict):
        for key, value in zip(expression.keys, expression.values):
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                others = True
                continue
            gives = Gives()
            frame_types(module, value, gives, False)
            ports[key.value] = gives.text() + ("?" if gives.none else "")
    elif isinstance(expression, (ast.List, ast.Tuple, ast.Set)) and all(isinstance(e, ast.Constant) and isinstance(e.value, str) for e in expression.elts):
        ports = {element.value: "any" for element in expression.elts}
    else:
        others = True
    return ports, others


def read_inputs(node, signature):
    module, declared = node.declared("inputs")
    if declared is not None:
        ports, others = declared_ports(module, declared)
        if ports or others:
            signature["inputs"], signature["any_inputs"] = ports, others
            return
    module, process = node.method("process")
    if process is None:
        return
    listed, any_positional, any_keyword = parameters(process)
    for name, annotation, default in listed:
        gives = Gives()
        frame_types(module, annotation, gives, False)
        signature["inputs"][name] = gives.text() + ("?" if gives.none or default is not None else "")
    if len(listed) == 1 and not any_keyword:  # the only input: a node without it has nothing to do
        signature["inputs"] = {name: text.rstrip("?") for name, text in signature["inputs"].items()}
    signature["any_inputs"] = any_positional or any_keyword


def read_outputs(node, signature):
    module, declared = node.declared("outputs")
    if declared is not None:
        ports, others = declared_ports(module, declared)
        if ports or others:
            signature["outputs"] = {name: text.rstrip("?") for name, text in ports.items()}
            signature["any_outputs"] = others
            return
    gives, given, unnamed = Gives(), Given(), False
    for name in METHODS:
        module, method = node.method(name)
        if method is None:
            continue
        body = Given()
        body.look_at(method)
        here = Gives()
        if method.returns is not None:
            frame_types(module, method.returns, here, True)
        yields_some = body.unnamed or body.names or body.computed
        if method.returns is not None and not yields_some and (here.types or here.any):
            body.unnamed = not names_ports(module, method.returns)  # the body is elsewhere: it only raises, say
        if yields_some or body.unnamed:
            gives.any = gives.any or here.any or not here.types
            gives.add(here.types)
        unnamed = unnamed or body.unnamed
        given.names += [port for port in body.names if port not in given.names]
        given.computed = given.computed or body.computed
    text = gives.text()
    signature["outputs"] = {port: text for port in (["out"] if unnamed else []) + given.names}
    signature["any_outputs"] = given.computed


def names_ports(module, annotation):
    return any(isinstance(found, ast.Subscript) and plain_name(found.value) in ("tuple", "Tuple") and len(parts(found)) == 2 and names_a_port(module, parts(found)[0])
               for found in ast.walk(annotation))


# ---- params -------------------------------------------------------------------------------------------------------------------

def literal(expression):
    """(value, True) of a literal that JSON can hold."""
    try:
        value = ast.literal_eval(expression)
        if isinstance(value, tuple):
            value = list(value)
        json.dumps(value, allow_nan=False)
        return value, True
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None, False


def read_param(module, annotation, default):
    param, types, choices = {}, [], []
    for one in alternatives(module, annotation) if annotation is not None else [None]:
        subscript = one if isinstance(one, ast.Subscript) else None
        name = "None" if is_none(one) else plain_name(subscript.value if subscript else one) if one is not None else ""
        if subscript and name == "Literal":
            values = [literal(unquoted_value)[0] for unquoted_value in parts(subscript)]
            choices += values
            types += [{bool: "bool", int: "int", str: "str"}.get(type(value), "any") for value in values]
            continue
        types.append(PARAMS.get(name, "any"))
        if subscript and PARAMS.get(name) == "list":
            items = PARAMS.get(plain_name(unquoted(module, parts(subscript)[0])), "any")
            ellipsis = [part for part in parts(subscript)[1:] if not (isinstance(part, ast.Constant) and part.value is Ellipsis)]
            if items != "any" and not ellipsis:
                param["items"] = items
    if default is not None:
        value, known = literal(default)
        if known:
            param["default"] = value
            if value is None:
                types.append("none")
    else:
        param["required"] = True
    types = list(dict.fromkeys(types))
    param["type"] = "any" if "any" in types else "|".join(types)
    if choices and not [one for one in types if one not in ("bool", "int", "str", "none")]:
        param["choices"] = choices + ([None] if "none" in types else [])
    return param


def read_params(node, signature):
    module, setup = node.method("setup")
    if setup is None:
        return
    listed, _, any_keyword = parameters(setup)
    for name, annotation, default in listed:
        signature["params"][name] = read_param(module, annotation, default)
    signature["any_params"] = any_keyword


# ---- all of it ----------------------------------------------------------------------------------------------------------------

def takes_matched(node):
    """Whether process() has a parameter for each of several inputs; None where that can't be seen."""
    _, process = node.method("process")
    if process is None:
        return None if node.unknown_base else False
    listed, _, any_keyword = parameters(process)
    return any_keyword or len(listed) > 1


def read_signature(node):
    doc = ast.get_docstring(node.definition) or ""
    source = node.method("process")[1] is None and node.method("produce")[1] is not None
    signature = {"doc": doc.split("\n\n")[0], "source": source, "inputs": {}, "outputs": {}, "any_inputs": False, "any_outputs": False,
                 "params": {}, "any_params": False, "matched": takes_matched(node)}
    read_inputs(node, signature)
    read_outputs(node, signature)
    read_params(node, signature)
    if node.unknown_base:  # what it inherits from another package can't be seen
        signature["any_inputs"] = signature["any_outputs"] = signature["any_params"] = True
    return signature


def read(path):
    files = Files(os.path.abspath(path))
    nodes, others = {}, []
    imported = [name for name in files.main.others if files.resolve(files.main, name)]
    for name in list(files.main.classes) + imported:
        module, definition = files.resolve(files.main, name)
        found = Class(files, module, definition)
        if found.is_node or (found.unknown_base and (found.method("process")[1] or found.method("produce")[1])):
            nodes[name] = read_signature(found)
        else:
            others.append(name)
    return {"nodes": nodes, "other_classes": others, "files": files.paths, "looked_at": list(files.looked_at)}


def main():
    try:
        answer = read(sys.argv[1])
    except Unreadable as error:
        answer = {"error": dict(zip(("file", "line", "column", "message", "hint"), error.args))}
    except RecursionError:
        answer = {"error": {"file": os.path.abspath(sys.argv[1]), "line": 1, "column": 1, "message": "the file is nested too deeply to be read", "hint": ""}}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
