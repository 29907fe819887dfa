#!/usr/bin/env python3
"""Runs the Autobahn cases against the echo server on Lampyris's WebSocket codec, over ws and over wss.

Usage: conformance/autobahn/run.py [--report DIR] [ws] [wss]     (both when none is named)

The echo server is the `ws_echo` example of the transport crate; it is built here, or taken from LAMPYRIS_WS_ECHO. It
prints `listening 127.0.0.1:PORT`. The cases are those of the Autobahn set without compression (categories 1 to 10),
run by `kosoku` from a virtual environment under target/. For wss two socat processes carry the connection: the runner
speaks plain TCP to the first, that one speaks TLS to the second, which stands before the echo server.

The exit code is 0 only if every one of the 301 cases passes on each transport that was run.
"""

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VENV = ROOT / "target" / "conformance" / "autobahn-venv"
COMPRESSION_CASES = ["12.*", "13.*"]
CASE_COUNT = 301
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 5


def main() -> int:
    parser = argparse.ArgumentParser(description="Autobahn cases against the WebSocket codec")
    parser.add_argument("transports", nargs="*", metavar="ws|wss", help="default: both")
    parser.add_argument("--report", type=Path, help="directory for the HTML reports")
    arguments = parser.parse_args()
    transports = arguments.transports or ["ws", "wss"]
    unknown = set(transports) - {"ws", "wss"}
    if unknown:
        parser.error(f"expected ws or wss, got {', '.join(sorted(unknown))}")

    enter_environment()
    program = echo_program()
    passed = [run(transport, program, arguments.report) for transport in transports]
    return 0 if all(passed) else 1


def enter_environment() -> None:
    """Continues in the virtual environment that holds the case runner, made on first use."""
    if Path(sys.prefix) == VENV:
        return
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True, clear=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS], check=True
    )
    os.execv(python, [str(python), *sys.argv])


def echo_program() -> Path:
    given = os.environ.get("LAMPYRIS_WS_ECHO")
    if given:
        return Path(given)
    build = ["cargo", "build", "--release", "--package", "lampyris-transport", "--example", "ws_echo"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "ws_echo"


def run(transport: str, program: Path, report: Path | None) -> bool:
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(listener([str(program)], r"listening 127\.0\.0\.1:(\d+)"))
        if transport == "wss":
            port = stack.enter_context(tls_in_between(port))
        results = cases(f"ws://127.0.0.1:{port}")
    if report:
        from kosoku._report import write_reports

        write_reports(results, str(report / transport))
    return judge(transport, results)


def cases(url: str) -> list:
    from kosoku import FailureError, run_fuzzingclient

    try:
        return asyncio.run(run_fuzzingclient(url, exclude_cases=COMPRESSION_CASES))
    except FailureError as failure:
        return failure.results


def judge(transport: str, results: list) -> bool:
    failed = [result for result in results if not result.passed]
    for result in failed:
        print(f"{transport} case {result.case_id}: {result.behavior.value}, close {result.behavior_close.value}")
        print(f"    {result.result} {result.result_close}")
    verdicts = Counter(result.behavior.value for result in results)
    shown = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    passed = len(results) - len(failed)
    print(f"{transport}: {passed} of {CASE_COUNT} cases passed ({shown})")
    return passed == CASE_COUNT == len(results)


@contextlib.contextmanager
def tls_in_between(port: int):
    """A plain port that leads to `port` through TLS 1.2 or 1.3, both ends by socat; the certificate is checked."""
    with tempfile.TemporaryDirectory(prefix="lampyris-autobahn-") as directory:
        key, certificate = Path(directory, "key.pem"), Path(directory, "cert.pem")
        make_certificate(key, certificate)
        announcement = r"listening on AF=2 127\.0\.0\.1:(\d+)"
        server = f"OPENSSL-LISTEN:0,bind=127.0.0.1,fork,reuseaddr,nodelay,verify=0,cert={certificate},key={key}"
        with listener(["socat", "-dd", server, f"TCP:127.0.0.1:{port},nodelay"], announcement) as tls_port:
            client = f"OPENSSL:127.0.0.1:{tls_port},nodelay,verify=1,commonname=localhost,cafile={certificate}"
            plain = "TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr,nodelay"
            with listener(["socat", "-dd", plain, client], announcement) as plain_port:
                yield plain_port


def make_certificate(key: Path, certificate: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def listener(command: list[str], announcement: str):
    """Runs a program that prints on which port it listens; gives the port, ends the program by its process id."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = threading.Event()
    port: list[int] = []
    head: list[str] = []

    def read() -> None:
        for line in process.stdout:
            match = None if found.is_set() else re.search(announcement, line)
            if match:
                port.append(int(match[1]))
            if not found.is_set():
                head.append(line)
            if match:
                found.set()
        found.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        found.wait(START_TIMEOUT_S)
        if not port:
            raise SystemExit(f"{command[0]} named no port in {START_TIMEOUT_S} s; it said:\n{''.join(head)}")
        yield port[0]
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(STOP_TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(main())
