#!/usr/bin/env python3
"""Gets Likeness ready and runs it; needs nothing but a Python 3.8 or newer.

    python3 start.py                      serve the page
    python3 start.py run -- COMMAND ...   one command of the studio: run -- generate "a portrait" --out pictures
    python3 start.py test [ARGS ...]      install what the tests need too, and run them (ARGS go to pytest)
    python3 start.py check [NAME ...]     lint, format, types, imports: what must be clean before a commit
    python3 start.py repair               throw .venv away and make it anew

Options before the command:
    --unpinned    install the ranges of requirements.txt instead of the versions that were tested

Everything is installed into .venv beside this file, once; nothing else on the machine is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, NoReturn, Sequence

ROOT = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
FITTING = ((3, 12), (3, 11))  # best first; newer ones cannot build basicsr, older ones cannot run rembg
SQLITE = (3, 37)  # the first with STRICT tables
STAMP = "likeness.json"  # in .venv: what was installed there, and from what
STEPS = "1"  # raise it when the way of installing changes, and every .venv is brought up to date
ROOM_GB = 12  # what a first installation takes at its highest, measured on Linux with CUDA builds
# Its setup.py asks for torch to be built, though it never imports it. In a build environment of its own that is a
# second torch of several gigabytes; without one it takes three seconds.
BUILT_IN_PLACE = "basicsr"

CHECKS = {
    "lint": ("-m", "ruff", "check", "."),
    "format": ("-m", "ruff", "format", "--check", "."),
    "types": ("-m", "pyright", "--project", "pyproject.toml"),
    "imports": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}


class Fault(Exception):
    """Something a person has to put right; its text says what and how."""


class Python(NamedTuple):
    """An interpreter that the studio can run on."""

    path: str
    version: str

    @property
    def line(self) -> str:
        """The release line that a .venv belongs to: 3.12 of 3.12.1."""
        return ".".join(self.version.split(".")[:2])


def say(text: str) -> None:
    """To standard error, so that the standard output of `run` is the command's alone."""
    print(f"[likeness] {text}", file=sys.stderr, flush=True)


# --- which Python ----------------------------------------------------------------------------------------------------


def candidates(env: Mapping[str, str]) -> Iterator[list[str]]:
    """Commands that may be a Python that fits, nearest first."""
    yield [sys.executable]
    for major, minor in FITTING:
        name = f"python{major}.{minor}"
        if shutil.which(name):
            yield [name]
        if shutil.which("py"):
            yield ["py", f"-{major}.{minor}"]
        pyenv = Path(env.get("PYENV_ROOT") or Path.home() / ".pyenv")
        for versions, python in ((pyenv / "versions", "bin/python"), (pyenv / "pyenv-win" / "versions", "python.exe")):
            for folder in sorted(versions.glob(f"{major}.{minor}.*"), reverse=True):
                yield [str(folder / python)]
        if shutil.which("uv"):
            found = answer(["uv", "python", "find", "--system", f"{major}.{minor}"])
            if found:
                yield [found]
    # Where installers put them without adding them to the PATH of every shell.
    for folder in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"):
        for major, minor in FITTING:
            yield [f"{folder}/python{major}.{minor}"]


def answer(command: Sequence[str]) -> str:
    """What a command prints, or nothing when it does not start or fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


# The path is that of the Python behind a virtual environment, which outlives the environment.
PROBE = """
import json, sys
facts = {"path": getattr(sys, "_base_executable", sys.executable), "wide": sys.maxsize > 2**32}
facts["version"] = "%d.%d.%d" % sys.version_info[:3]
for module in ("ensurepip", "ssl", "sqlite3", "venv"):
    try:
        __import__(module)
    except ImportError:
        facts.setdefault("missing", []).append(module)
facts["sqlite"] = sys.modules["sqlite3"].sqlite_version if "sqlite3" in sys.modules else "0"
print(json.dumps(facts))
"""


def probe(command: Sequence[str]) -> Python | str:
    """A `Python` where the command is one that fits, else the reason why not (empty: it is no Python at all)."""
    try:
        facts = json.loads(answer([*command, "-I", "-c", PROBE]))
    except ValueError:
        return ""
    return judge(facts)


def judge(facts: Mapping[str, Any]) -> Python | str:
    """A `Python` where these facts of one are good enough, else the sentence that says why not."""
    name = f"Python {facts['version']} ({facts['path']})"
    if tuple(int(part) for part in facts["version"].split(".")[:2]) not in FITTING:
        return f"{name} is not 3.11 or 3.12"
    if not facts["wide"]:
        return f"{name} is a 32-bit one"
    if facts.get("missing"):
        return f"{name} lacks {', '.join(facts['missing'])}"
    if tuple(int(part) for part in facts["sqlite"].split(".")[:2]) < SQLITE:
        return f"{name} has SQLite {facts['sqlite']}, and {'.'.join(map(str, SQLITE))} is needed"
    return Python(facts["path"], facts["version"])


def choose_python(
    commands: Iterable[Sequence[str]], look: Callable[[Sequence[str]], Python | str] = probe, line: str = ""
) -> Python:
    """The first that fits, of the release line that is asked for if there is one of it.

    Raises `Fault` that names what was found and says how to get one.
    """
    fitting, reasons = [], []
    for command in commands:
        found = look(command)
        if isinstance(found, Python):
            if not line or found.line == line:
                return found
            fitting.append(found)
        elif found and found not in reasons:
            reasons.append(found)
    if fitting:
        return fitting[0]
    raise Fault(
        "Likeness runs on Python 3.11 or 3.12 (64-bit), and none was found here: "
        + ("; ".join(reasons) or "no Python answered")
        + ". Get one with your system's packages (Debian, Ubuntu: apt install python3.12 python3.12-venv; macOS: brew "
        "install python@3.12; Windows: winget install Python.Python.3.12) or with uv (uv python install 3.12), then "
        "give this command again."
    )


# --- what is in .venv ------------------------------------------------------------------------------------------------


def venv_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if WINDOWS else "bin/python")


def site_packages(venv: Path, line: str) -> Path:
    return venv / ("Lib/site-packages" if WINDOWS else f"lib/python{line}/site-packages")


def made_with(venv: Path) -> str:
    """The release line of the Python that .venv was made with; empty where there is none."""
    try:
        found = re.search(r"^version\w* *= *(\d+\.\d+)", (venv / "pyvenv.cfg").read_text(encoding="utf-8"), re.M)
    except OSError:
        return ""
    return found.group(1) if found else ""


def works(venv: Path) -> str:
    """The release line of .venv where its Python and pip answer and fit; else empty."""
    line = made_with(venv)
    own = answer([str(venv_python(venv)), "-I", "-c", "import pip, ssl, sys; print('%d.%d' % sys.version_info[:2])"])
    return line if line == own and line in [".".join(map(str, version)) for version in FITTING] else ""


def owned(site: Path) -> dict[str, dict[str, Any]]:
    """Of each installed package its folder of metadata and the folders and files it brought, one or two levels deep."""
    packages = {}
    for metadata in sorted(site.glob("*.dist-info")):
        record = metadata / "RECORD"
        if not record.is_file():
            continue
        entries = set()
        for row in record.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = row.split(",")[0].split("/")
            # Scripts lie outside (..), caches and metadata say nothing about the package.
            if parts[0] not in ("..", "__pycache__", metadata.name) and "__pycache__" not in parts[:2]:
                entries.add("/".join(parts[:2]))
        packages[project(metadata)] = {"metadata": metadata.name, "entries": sorted(entries)}
    return packages


def project(metadata: Path) -> str:
    """The project's name, as the index spells it, of a folder like `Pillow_Heif-1.8.1.dist-info`."""
    return re.sub(r"[-_.]+", "-", metadata.name.split("-")[0]).lower()


def damaged(site: Path, packages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The packages that no longer lie there whole.

    One that was replaced by another version is left alone: its owner meant that.
    """
    present = {project(metadata): metadata.name for metadata in site.glob("*.dist-info")}
    broken = []
    for name, package in packages.items():
        same = present.get(name) == package["metadata"]
        if name not in present or same and not all((site / entry).exists() for entry in package["entries"]):
            broken.append(name)
    return broken


def clear_halves(site: Path) -> None:
    """Takes away what a killed pip left: metadata without its list of files, and folders it was about to remove."""
    for metadata in site.glob("*.dist-info"):
        if not (metadata / "RECORD").is_file():
            shutil.rmtree(metadata)
    for leftover in site.glob("~*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def read_stamp(venv: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: Path, stamp: Mapping[str, Any]) -> None:
    """Replaced in one go, so that a stamp is either the old one or the new one."""
    draft = venv / (STAMP + ".new")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    draft.replace(venv / STAMP)


def fingerprint(root: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256(STEPS.encode())
    for name in names:
        # Line ends differ between checkouts of the same file.
        digest.update(name.encode() + b"\0" + (root / name).read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


# --- pip -------------------------------------------------------------------------------------------------------------

# The first pattern found in pip's log speaks. `{0}` is what it captured.
ADVICE = (
    (
        r"No space left on device|\[Errno 28\]|not enough space",
        "The disk is full: {free} are free, and a first installation needs about {room} GB. Make room, or move this "
        "folder to a larger disk.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate was not accepted. Behind a company's proxy, set PIP_CERT to its certificate "
        "file; else check the clock of this machine.",
    ),
    (
        r"ProxyError|Tunnel connection failed",
        "The proxy did not let pip through: check the variable HTTPS_PROXY.",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|"
        r"NewConnectionError|Network is unreachable|Connection refused|ConnectTimeout|Read timed out|Connection reset",
        "The package index could not be reached: check the network connection. In a closed network, set "
        "PIP_INDEX_URL to its package mirror.",
    ),
    (
        r"DO NOT MATCH THE HASHES|BadZipFile|IncompleteRead|Connection broken",
        "A download arrived damaged: give the command again; if it stays so, empty pip's cache with: "
        "{python} -m pip cache purge",
    ),
    (
        r"Permission denied|Access is denied|\[WinError (?:5|32)\]",
        "A file in .venv could not be written: close other programs that use it (a running Likeness, an editor), and "
        "check that this folder belongs to you.",
    ),
    (
        r"No matching distribution found for ([\w.\[\]-]+)",
        "{0} is not offered for this system and Python in the version that was tested. Try: "
        "python3 start.py --unpinned",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "The package index offers no versions that fit together as they were tested. Try: python3 start.py --unpinned",
    ),
    (
        r"Microsoft Visual C\+\+|command '[^']*(?:cc|\+\+|clang|cl\.exe)' failed|Failed building wheel for",
        "A package had to be compiled here and could not be: there is no ready file of it for this system. Use a "
        "64-bit Python 3.12 or 3.11 on Linux, Windows or a Mac with Apple silicon.",
    ),
    (
        r"MemoryError|^Killed$",
        "The memory ran out: close other programs and give the command again.",
    ),
)


def advice(log: str, root: Path, python: str, code: int) -> str:
    """What to do about a failed installation, told from pip's log."""
    if code in (-9, 137):
        log += "\nKilled"
    free = f"{shutil.disk_usage(root).free / 1e9:.1f} GB"
    for pattern, text in ADVICE:
        found = re.search(pattern, log, re.M)
        if found:
            return text.format(*found.groups(), free=free, room=ROOM_GB, python=python)
    return "pip's own words are above. Give the command again; if it fails the same way: python3 start.py repair"


def pip(root: Path, python: Path, *arguments: str) -> None:
    """One run of pip in .venv, shown as it happens. Raises `Fault` with advice.

    Its output goes to standard error; its log lies at .venv/pip.log until it succeeds.
    """
    log = root / ".venv" / "pip.log"
    log.unlink(missing_ok=True)
    command = [str(python), "-m", "pip", "--no-input", "--disable-pip-version-check", "--log", str(log), *arguments]
    code = subprocess.call(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, cwd=root)
    if code != 0:
        text = log.read_text(encoding="utf-8", errors="replace")[-200_000:] if log.is_file() else ""
        raise Fault(
            f"pip could not install what the studio needs. {advice(text, root, str(python), code)} "
            f"(What was downloaded is kept; pip's log is {log}.)"
        )
    log.unlink(missing_ok=True)


# --- making it ready -------------------------------------------------------------------------------------------------


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the installation's lock, which the system lets go of when a process dies; a second start waits."""
    with (root / ".venv.lock").open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on Windows only

            while True:
                try:
                    file.seek(0)
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for 10 seconds, then raises
                    break
                except OSError:
                    say("Another start is installing; waiting for it.")
        else:
            import fcntl  # noqa: PLC0415 - exists on POSIX only

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another start is installing; waiting for it.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_ready(root: Path, dev: bool, pinned: bool) -> bool:
    """Whether .venv holds what is wanted, told without starting anything but its Python."""
    venv = root / ".venv"
    stamp = read_stamp(venv)
    line = works(venv)
    return bool(
        line
        and not missing(root, stamp, dev, pinned)
        and not damaged(site_packages(venv, line), stamp.get("packages", {}))
    )


def missing(root: Path, stamp: Mapping[str, Any], dev: bool, pinned: bool) -> dict[str, str]:
    """The files of requirements that were not installed as they are now, each with the fingerprint it will have.

    Who has installed them unpinned stays so until they change.
    """
    found = {}
    for name in ("requirements.txt", "requirements-dev.txt") if dev else ("requirements.txt",):
        tested = fingerprint(root, (name, "constraints.txt"))
        own = fingerprint(root, (name,))
        if stamp.get("of", {}).get(name) not in ((tested, own) if pinned else (own,)):
            found[name] = tested if pinned else own
    return found


def make_ready(root: Path, dev: bool, pinned: bool = True) -> Path:
    """Brings .venv to what is wanted and returns its Python; does nothing where it is so already. Raises `Fault`."""
    venv = root / ".venv"
    if is_ready(root, dev, pinned):
        return venv_python(venv)
    with alone(root):
        if is_ready(root, dev, pinned):
            return venv_python(venv)
        # 1. A .venv with a Python that answers.
        line = make_venv(venv)
        # 2. What broke since the last time.
        mend(root, line)
        # 3. What is new or was never installed.
        install(root, line, dev, pinned)
    return venv_python(venv)


def make_venv(venv: Path) -> str:
    """Makes .venv, or gives an old one its Python and pip back; returns its release line. Raises `Fault`."""
    # 1. One that works is left alone.
    line = works(venv)
    if line:
        return line
    old = made_with(venv)
    found = choose_python(candidates(os.environ), line=old)
    if venv.exists() and old != found.line:
        say(f".venv was made with Python {old or 'of no known version'}: making it anew with {found.version}.")
        remove(venv)
    elif venv.exists():
        say(f"The Python in .venv or its pip does not work: giving it back from {found.path}.")
        for stale in (venv / "bin").glob("python*"):
            stale.unlink()
    else:
        say(f"Making .venv with Python {found.version} ({found.path}).")
        free = shutil.disk_usage(venv.parent).free / 1e9
        if free < ROOM_GB:
            say(f"Only {free:.1f} GB are free on this disk; a first installation takes up to {ROOM_GB} GB. Trying.")
    # 2. In an old one this renews the Python and leaves the packages.
    done = subprocess.run([found.path, "-m", "venv", str(venv)], stdout=sys.stderr, check=False)
    # 3. Where pip's metadata is there and pip is not, the line above took it for installed.
    if done.returncode == 0 and not works(venv):
        say("Putting pip back.")
        site = site_packages(venv, found.line)
        for part in (site / "pip", *site.glob("pip-*.dist-info")):
            shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run([str(venv_python(venv)), "-m", "ensurepip"], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Fault(f"{venv} could not be made (see above). Check that {venv.parent} may be written, then try again.")
    return found.line


def mend(root: Path, line: str) -> None:
    """Makes pip see as missing what is no longer whole, so that the installation brings it again."""
    venv = root / ".venv"
    site = site_packages(venv, line)
    clear_halves(site)
    stamp = read_stamp(venv)
    broken = damaged(site, stamp.get("packages", {}))
    if broken:
        say(f"Damaged in .venv, to be installed again: {', '.join(broken)}.")
        for name in broken:
            shutil.rmtree(site / stamp["packages"][name]["metadata"], ignore_errors=True)
        write_stamp(venv, {**stamp, "of": {}})


def install(root: Path, line: str, dev: bool, pinned: bool) -> None:
    """Installs the requirements and stamps .venv with what they were. Raises `Fault`."""
    venv = root / ".venv"
    python = venv_python(venv)
    site = site_packages(venv, line)
    stamp = read_stamp(venv)
    names = missing(root, stamp, dev, pinned)
    pins = ["-c", str(root / "constraints.txt")] if pinned else []
    if names:
        say(f"Installing {' and '.join(names)} into .venv; the first time this takes some minutes.")
        # 1. What must be built with what is installed already.
        built = re.search(
            rf"^{BUILT_IN_PLACE}\b[^#;\s]*", (root / "requirements.txt").read_text(encoding="utf-8"), re.M
        )
        if built and BUILT_IN_PLACE not in map(project, site.glob("*.dist-info")):
            pip(root, python, "install", "setuptools", "wheel", *pins)
            pip(root, python, "install", "--no-deps", "--no-build-isolation", "--use-pep517", built.group(), *pins)
        # 2. Everything else.
        pip(root, python, "install", *(word for name in names for word in ("-r", name)), *pins)
    # 3. OpenCV's usual build wants the libraries of a screen, which a server may lack; the other build does without.
    packages = owned(site)
    if "opencv-python" in packages and not answer([str(python), "-I", "-c", "import cv2; print('well')"]):
        version = packages["opencv-python"]["metadata"][: -len(".dist-info")].split("-")[1]
        say("OpenCV finds no screen libraries here: installing its build for servers.")
        pip(root, python, "install", "--force-reinstall", "--no-deps", f"opencv-python-headless=={version}")
        packages = owned(site)
    # 4. Remembered.
    write_stamp(venv, {**stamp, "of": {**stamp.get("of", {}), **names}, "packages": packages})
    say("Ready.")


def remove(venv: Path) -> None:
    """Raises `Fault` where something still uses it."""
    try:
        shutil.rmtree(venv)
    except OSError as error:
        raise Fault(f"{venv} could not be removed ({error}): close the programs that use it, then try again.") from None


def fetch_weights(root: Path, python: Path) -> None:
    """Fetches the small default set once; whether it came or not, the studio goes on."""
    venv = root / ".venv"
    stamp = read_stamp(venv)
    where = os.environ.get("STUDIO_MODELS", "")
    if where in stamp.get("weights", []):
        return
    say("Fetching the small model files for upscaling, backgrounds and the photo check, this once.")
    fetch = [str(python), "-P", "-m", "studio", "models", "fetch"]
    code = subprocess.call(fetch, stdout=sys.stderr, env=environment(root))
    if code != 0:
        say("They did not come; the studio works without them. To try again: python3 start.py run -- models fetch")
    write_stamp(venv, {**read_stamp(venv), "weights": [*stamp.get("weights", []), where]})


# --- running ---------------------------------------------------------------------------------------------------------


def environment(root: Path) -> dict[str, str]:
    """The caller's, with the studio importable from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else str(root)}


def hand_over(command: Sequence[str], root: Path) -> NoReturn:
    """Becomes the command, so that its signals, output and exit code are the caller's own."""
    sys.stderr.flush()
    if not WINDOWS:
        os.execve(command[0], list(command), environment(root))
    with subprocess.Popen(command, env=environment(root)) as child:
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:
                continue  # the child got it too and ends by itself


def main(arguments: Sequence[str]) -> int:
    words = list(arguments)
    pinned = "--unpinned" not in words[:1]
    words = words if pinned else words[1:]
    command, rest = (words[0], words[1:]) if words else ("serve", [])
    rest = rest[1:] if rest[:1] == ["--"] else rest
    if command in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    known = command in ("serve", "run", "test", "check", "repair")
    if not known or (command == "run" and not rest) or (command in ("serve", "repair") and rest):
        print(__doc__, file=sys.stderr)
        return 2
    unknown = [name for name in rest if name not in CHECKS]
    if command == "check" and unknown:
        say(f"No check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}.")
        return 2

    if command == "repair":
        if (ROOT / ".venv").exists():
            say("Removing .venv.")
            remove(ROOT / ".venv")
        make_ready(ROOT, dev=False, pinned=pinned)
        return 0

    python = make_ready(ROOT, dev=command in ("test", "check"), pinned=pinned)
    if command == "check":
        codes = {}
        for name in rest or CHECKS:
            say(f"Checking {name}.")
            codes[name] = subprocess.call([str(python), *CHECKS[name]], cwd=ROOT, env=environment(ROOT))
        failed = [name for name, code in codes.items() if code]
        say(f"Not clean: {', '.join(failed)}." if failed else "All clean.")
        return 1 if failed else 0
    if rest[:1] != ["models"]:
        fetch_weights(ROOT, python)
    if command == "run":
        hand_over([str(python), "-P", "-m", "studio", *rest], ROOT)
    os.chdir(ROOT)
    if command == "test":
        hand_over([str(python), "-m", "pytest", *rest], ROOT)
    hand_over([str(python), "app.py"], ROOT)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Fault as fault:
        say(str(fault))
        sys.exit(1)
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        sys.exit(130)
