"""Every option, command, path, make target, module and extra that a message or a document names exists."""

import ast
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import typer.main
from ganport_cli.app import app

ROOT = Path(__file__).parents[2]
PARTS = ("train", "export", "runtime", "serve", "evaluate", "bench", "cli", "examples")
# Options of other programs, which ganport runs or tells people to run.
FOREIGN = {
    "build": {"--wheel"},
    "curl": {"--output"},
    "docker": {"--gpus", "--rm", "--shm-size"},
    "kubectl": {"--from-literal"},
    "nvidia-smi": {"--query-gpu", "--format"},
    "pip": {"--disable-pip-version-check", "--find-links", "--isolated", "--no-deps", "--no-index", "--only-binary"}
    | {"--no-cache-dir", "--quiet", "--target", "--wheel-dir"},
    "pytest": {"--junitxml"},
    "ray": {"--address", "--head", "--num-cpus"},
    "tritonserver": {"--model-repository", "--backend-directory", "--allow-gpu-metrics", "--exit-on-error"}
    | {"--allow-metrics", "--grpc-address", "--grpc-port", "--http-address", "--http-port", "--load-model"}
    | {"--log-verbose", "--metrics-port", "--model-control-mode", "--strict-readiness"},
}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# In a sentence `ganport` is also a name: a command is what stands before an argument, an option or the end.
COMMAND = re.compile(r"(?<![\w./-])ganport (?!with\b)([a-z][a-z-]*)(?= [A-Z{<'\"-]| [\w./]+\.\w|[.,;:)]|$)")
PATH = re.compile(
    r"(?<![\w./-])(?:docs|tests|Makefile|README|" + "|".join(PARTS) + r")/[\w./-]*\w|\bREADME\.md|\bMakefile\b"
)


@cache
def files(*patterns: str) -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(ROOT / name for name in listed.stdout.split() if (ROOT / name).exists())


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every text that people may read, with its place: literals of product code, code in documents, the Makefile."""
    found = [(f"{path.relative_to(ROOT)}", text) for path in product() for text in literals(path)]
    documents = files("README.md", "docs/*.md")
    found += [(f"{path.relative_to(ROOT)}", text) for path in documents for text in code_of(path.read_text())]
    return tuple(found)


def product() -> tuple[Path, ...]:
    return files(*(f"{part}/*.py" for part in PARTS))


def literals(path: Path) -> Iterator[str]:
    """String literals; of f-strings the fixed parts, and `{name}` for a variable."""
    tree = ast.parse(path.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else variable(part) for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def variable(part: ast.expr) -> str:
    is_name = isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
    return f"{{{part.value.id}}}" if is_name else "{}"  # type: ignore[attr-defined]


def code_of(document: str) -> Iterator[str]:
    """Code in Markdown: indented and fenced lines, one command each, and what stands between backticks."""
    joined = document.replace("\\\n", " ")
    fenced = False
    for line in joined.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line
    yield from re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", joined, flags=re.DOTALL).replace("\n", " "))


@cache
def options_of_commands() -> dict[str, set[str]]:
    """The options of each command of the real application; of a group, those of all its commands."""
    found: dict[str, set[str]] = {}
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        parts = [command, *getattr(command, "commands", {}).values()]
        found[name] = {word for part in parts for option in part.params for word in option.opts} | {"--help"}
    return found


@cache
def options_of_scripts() -> set[str]:
    """What `add_argument` takes in programs of our own beside `ganport`."""
    return {
        argument.value
        for path in files("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def assert_none(missing: Iterable[tuple[str, str]]) -> None:
    found = sorted({f"{place}: {what}" for place, what in missing})
    assert not found, "\n".join(found)


def test_every_option_that_is_named_exists() -> None:
    known = set().union(*options_of_commands().values(), options_of_scripts(), *FOREIGN.values())
    named = [(place, option) for place, text in texts() for option in OPTION.findall(text)]
    assert len(named) > 200
    assert_none((place, option) for place, option in named if option not in known)


def test_a_command_names_its_own_options() -> None:
    for name, known in options_of_commands().items():
        file = f"cli/ganport_cli/commands/{name.replace('-', '_')}.py"
        own = [(place, text) for place, text in texts() if place == file and "ganport " not in text]
        assert_none((place, option) for place, text in own for option in OPTION.findall(text) if option not in known)


def test_an_option_is_written_whole_where_a_search_finds_it() -> None:
    """`f"--{name}"` cannot be checked: so `--timeout` was named for an option called `--request-timeout`.

    An error of ganport's own begins with the name of the argument that it is about, hence `f"--{error}"`.
    """
    found = [(place, text) for place, text in texts() if re.search(r"(?<![\w(-])--\{(?!error\})", text)]
    assert_none((place, text) for place, text in found if not place.startswith("bench/claims"))


def test_every_command_that_is_named_exists_and_takes_the_options_beside_it() -> None:
    wrong, commands = [], options_of_commands()
    for place, text in texts():
        for match in COMMAND.finditer(text):
            name = match[1]
            rest = re.split(r"[\n;|`]|\. |\bganport\b", text[match.end() :])[0]
            if name not in commands and name not in PARTS:
                wrong.append((place, f"ganport {name}"))
            wrong += [(place, f"ganport {name} {o}") for o in OPTION.findall(rest) if o not in commands.get(name, ())]
    assert_none(wrong)


def test_every_path_that_is_named_exists() -> None:
    named = [(place, path) for place, text in texts() for path in PATH.findall(text)]
    named += [
        (f"{document.relative_to(ROOT)}", f"{(document.parent / link).resolve().relative_to(ROOT)}")
        for document in files("README.md", "docs/*.md")
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    ]
    assert len(named) > 20
    assert_none((place, path) for place, path in named if not (ROOT / path).exists())


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [(place, name) for place, text in texts() for name in re.findall(r"^\W*make ([a-z]+)(?= [A-Z[]|$)", text)]
    assert {"demo", "test"} <= targets
    assert_none((place, f"make {name}") for place, name in named if name not in targets)


def test_every_module_that_is_named_exists() -> None:
    named = [(place, name) for place, text in texts() for name in re.findall(r"-m (ganport_[\w.]+\w)", text)]
    assert_none((place, f"-m {name}") for place, name in named if name.islower() and not runs(name))


def runs(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and (
        spec.submodule_search_locations is None or importlib.util.find_spec(f"{module}.__main__") is not None
    )


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        (place, extra)
        for place, text in texts()
        for found in re.findall(r"ganport\[([\w,]+)\]", text)
        for extra in found.split(",")
    ]
    assert len(named) > 5
    assert_none((place, f"ganport[{extra}]") for place, extra in named if extra not in extras)
