"""The frame of the command line: exit codes, one line for what went wrong, help that loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest
from ganport_cli.app import COMMANDS, run
from ganport_cli.packages import missing_extra

NAMES = sorted(command.__name__.replace("_", "-") for command in COMMANDS)


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_no_word_at_all_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert all(name in shown.err for name in NAMES)


@pytest.mark.parametrize("words", [["sing"], ["info"], ["info", "x", "--loud"], ["generate", "x", "--count", "many"]])
def test_bad_usage_is_one_line_and_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert one_line(capsys.readouterr().err).startswith(f"ganport {words[0]}: ")


@pytest.mark.parametrize("words", ["info", "tune", "serve", "generate --out x.png"])
def test_failed_work_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert run([*words.split(), str(tmp_path / "absent.ganport")]) == 1
    shown = capsys.readouterr()
    *before, last = shown.err.strip().splitlines()
    assert last.endswith("absent.ganport is missing; name a bundle directory")
    assert words == "tune" or not before  # which shows a bar first
    assert not shown.out


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: ganport {command}" in shown
    assert "--json" in shown


def test_help_loads_nothing_heavy() -> None:
    heavy = {"torch", "onnx", "onnxruntime", "sklearn", "matplotlib", "scipy"}
    code = "import sys; from ganport_cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stderr.split())


def test_a_missing_package_names_its_extra() -> None:
    line = missing_extra(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert line is not None
    assert "pip install 'ganport[train]'" in line
    assert missing_extra(ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")) is None


@pytest.mark.parametrize(
    ("module", "extra"),
    [("onnxruntime", "cpu"), ("tensorrt_rtx", "rtx"), ("cuda", "rtx"), ("sklearn", "train"), ("PIL", "cli")],
)
def test_each_module_comes_with_an_extra_of_its_own(module: str, extra: str) -> None:
    assert f"'ganport[{extra}]'" in str(missing_extra(ModuleNotFoundError(name=module)))


def test_a_missing_package_is_one_line_and_exit_1() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ganport_cli.app import run\n"
        "sys.exit(run(['train', '--data', 'digits', '--out', 'never-made']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "pip install 'ganport[train]'" in one_line(done.stderr)


INTERRUPTED = """
import os, signal, sys
import ganport_cli, ganport_cli.app

def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise RecursionError("as some libraries make of an interrupt while they are imported")

ganport_cli.app.run = work
ganport_cli.main()
"""


def test_an_interrupt_that_a_library_disguises_is_still_an_interrupt() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert one_line(done.stderr) == "ganport: interrupted"
