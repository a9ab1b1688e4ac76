"""How soon the page answers, beside a hello-world Gradio page, and how soon the commands do.

    python scripts/bench_start.py [--runs 5] [--json]

Both pages are started in turn as processes of their own, each on a free port, and asked until the first HTTP 200.
Exits 1 where a figure is past its limit.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELLO = """
import os, gradio
with gradio.Blocks() as page:
    gradio.Markdown("Hello, world")
page.launch(server_port=int(os.environ["STUDIO_PORT"]), quiet=True)
"""
PAGE_LIMIT = 1.3  # times the hello-world page
COMMANDS = {  # and the seconds each may take
    "--help": 0.4,
    "quote --size 512x512 --steps 50 --count 1": 0.4,
    "credits show": 0.8,
    "jobs list": 0.8,
    "tune list": 0.8,
}
PATIENCE = 120  # seconds until a page that does not answer is given up


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5, help="of each, after one that warms the disk (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "STUDIO_DATA": folder, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(ROOT)}
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO, encoding="utf-8")

        # 1. The pages, in turn, so that a busy moment falls on both.
        pages: dict[str, list[float]] = {"hello": [], "studio": []}
        for _ in range(options.runs + 1):
            pages["hello"].append(seconds_to_answer([sys.executable, str(hello)], env))
            pages["studio"].append(seconds_to_answer([sys.executable, str(ROOT / "app.py")], env))
        hello_s, studio_s = (statistics.median(times[1:]) for times in pages.values())

        # 2. The commands.
        commands = {}
        for command in COMMANDS:
            times = [
                seconds_to_end([sys.executable, "-m", "studio", *command.split()], env) for _ in range(options.runs + 1)
            ]
            commands[command] = statistics.median(times[1:])

    # 3. The figures, as medians.
    ratio = studio_s / hello_s
    within = ratio <= PAGE_LIMIT and all(commands[command] <= limit for command, limit in COMMANDS.items())
    if options.json:
        figures = {"hello_s": hello_s, "studio_s": studio_s, "ratio": ratio, "commands_s": commands, "within": within}
        print(json.dumps(figures))
    else:
        print(f"hello-world page   {hello_s:6.2f} s to the first HTTP 200")
        print(f"the studio's page  {studio_s:6.2f} s, {ratio:.2f} times that (limit {PAGE_LIMIT})")
        for command, seconds in commands.items():
            print(f"studio {command:44} {seconds:5.2f} s (limit {COMMANDS[command]})")
    return 0 if within else 1


def seconds_to_answer(command: list[str], env: dict[str, str]) -> float:
    """From the start of a page's process to its first HTTP 200; the process is ended then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    with subprocess.Popen(
        command, env={**env, "STUDIO_PORT": str(port)}, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as page:
        try:
            while time.perf_counter() - start < PATIENCE:
                if page.poll() is not None:
                    said = page.stderr.read().decode("utf-8", "replace") if page.stderr else ""
                    raise SystemExit(f"{' '.join(command)} ended before it answered:\n{said}")
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
                        if answer.status == 200:
                            return time.perf_counter() - start
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.02)
            raise SystemExit(f"{' '.join(command)} did not answer within {PATIENCE} seconds.")
        finally:
            page.kill()


def seconds_to_end(command: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
