#!/bin/bash
# Checks what can be checked of the packages that were never run here: they say so in their first lines, they parse, and
# what they take of the tree is there.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

status=0
complain() { echo "$1" && status=1; }

for file in packaging/conan/conanfile.py packaging/vcpkg/epore/{portfile.cmake,vcpkg.json}; do
  head -n 2 "$file" | grep -q 'NEVER RUN' || complain "$file does not say NEVER RUN at its beginning"
done
python3 -c '
import ast, glob, json

def parse(path):
    with open(path) as file:
        return ast.parse(file.read(), path)

recipe = parse("packaging/conan/conanfile.py")
export = next(f for f in ast.walk(recipe) if isinstance(f, ast.FunctionDef) and f.name == "export_sources")
patterns = [c.value for c in ast.walk(export) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
missing = [p for p in patterns if not glob.glob(p)]
assert patterns and not missing, f"conanfile.py exports {missing}, which match nothing"

with open("packaging/vcpkg/epore/vcpkg.json") as file:
    port = json.load(file)
assert port["name"] == "epore" and {"version", "license", "dependencies"} <= port.keys(), "vcpkg.json lacks a field"
' || complain "packaging/ does not parse"
# Each call is closed, and is of vcpkg or CMake.
[[ $(grep -o '(' packaging/vcpkg/epore/portfile.cmake | wc -l) == $(grep -o ')' packaging/vcpkg/epore/portfile.cmake | wc -l) ]] ||
  complain "portfile.cmake: a parenthesis is not closed"
exit $status
