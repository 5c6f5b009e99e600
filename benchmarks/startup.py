"""Cold start of each small command: milliseconds and modules, as ratios to a bare Python start in the same run."""

import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "executor --help": ["-m", "executor_tui.cli.main", "--help"],
    "executor config path": ["-m", "executor_tui.cli.main", "config", "path"],
    "executor keys list": ["-m", "executor_tui.cli.main", "keys", "list"],
    "executor project list": ["-m", "executor_tui.cli.main", "project", "list"],
    "executor fleet list": ["-m", "executor_tui.cli.main", "fleet", "list"],
}


def once(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds of one run, as a whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
    return time.perf_counter() - started


def modules(arguments: list[str], environment: dict[str, str]) -> int:
    """How many modules a command had loaded when it ended."""
    if arguments[0] == "-c":
        probe = "import sys; print(len(sys.modules))"
    else:
        probe = (
            f"import sys\nsys.argv={['executor', *arguments[2:]]!r}\nfrom executor_tui.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit:\n    print(len(sys.modules))"
        )
    done = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": "/usr/bin:/bin", "EXECUTOR_STATE": f"{folder}/state", "EXECUTOR_CONFIG": f"{folder}/config", "HOME": folder}
        for arguments in COMMANDS.values():
            once(arguments, environment)
        taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(RUNS):
            for name, arguments in COMMANDS.items():
                taken[name].append(once(arguments, environment))
        bare = statistics.median(taken["python -c pass"])
        print(f"{'command':<24} {'median ms':>10} {'× bare':>8} {'modules':>8}")
        for name, arguments in COMMANDS.items():
            median = statistics.median(taken[name])
            print(f"{name:<24} {median * 1000:>10.0f} {median / bare:>8.1f} {modules(arguments, environment):>8}")


if __name__ == "__main__":
    main()
