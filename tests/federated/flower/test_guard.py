"""The guard ends what it watches, also what has made a session of its own, when the run ends or dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unlearn_core
from unlearn_core.federated.flower import guard
from unlearn_core.federated.flower.guard import family

GUARD = Path(unlearn_core.__file__).parent / "federated" / "flower" / "guard.py"

# A parent that starts a child in another session, says both ids, and waits; neither heeds a polite request.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(120)
"""

# A run that starts a guard and the above, tells the guard, says the ids, and waits.
RUN = f"""
import os, subprocess, sys, time
guard = subprocess.Popen(
    [sys.executable, {str(GUARD)!r}],
    env={{**os.environ, "PATH": sys.argv[2]}},
    stdin=subprocess.PIPE,
    start_new_session=True,
    bufsize=0,
)
parent = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE, start_new_session=True)
guard.stdin.write(f"{{parent.pid}}\\n".encode())
print(parent.stdout.readline().decode().strip(), flush=True)
time.sleep(1.5)
print("watched", flush=True)
if sys.argv[1] == "crash":
    raise SystemExit(1)
time.sleep(120)
"""


# The same with a process that has ended and is forgotten, and a command for the end.
LAST = f"""
import json, os, subprocess, sys
guard = subprocess.Popen([sys.executable, {str(GUARD)!r}], stdin=subprocess.PIPE, start_new_session=True, bufsize=0)
free = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(120)"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
)
write = f"open({{sys.argv[1]!r}}, 'w').write('done')"
for told in (free.pid, -free.pid, [sys.executable, "-c", write]):
    guard.stdin.write(json.dumps(told).encode() + b"\\n")
print(free.pid, flush=True)
guard.stdin.close()
guard.wait()
"""


def alive(pid):
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(listed.strip()) and not listed.strip().startswith("Z")


@pytest.mark.parametrize("end", ["crash", "killed", "crash without ps"])
def test_nothing_outlives_the_run(end, tmp_path):
    end, *without = end.split(" without ")
    if without and not Path("/proc/self/stat").exists():
        pytest.skip("Without /proc, ps is needed.")
    path = str(tmp_path) if without else os.environ["PATH"]
    run = subprocess.Popen([sys.executable, "-c", RUN, end, path], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in run.stdout.readline().split()]
    assert len(pids) == 2 and all(map(alive, pids))
    assert run.stdout.readline().strip() == "watched"
    if end == "killed":
        os.kill(run.pid, signal.SIGKILL)
    run.wait(timeout=10)
    deadline = time.monotonic() + 15
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, pids))


def test_what_has_ended_is_let_go_and_the_last_command_runs(tmp_path):
    """The number of an ended process may be another's by now: here it is alive, and must stay so."""
    ran = subprocess.run(
        [sys.executable, "-c", LAST, str(tmp_path / "last")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    pid = int(ran.stdout)
    assert (tmp_path / "last").read_text() == "done"
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="There is no /proc here.")
def test_proc_is_read_as_ps_reads_it_whatever_a_process_calls_itself():
    named = "import time; open('/proc/self/comm', 'w').write('a) Z 1 (1'); print(flush=True); time.sleep(120)"
    child = subprocess.Popen([sys.executable, "-c", named], stdout=subprocess.PIPE, start_new_session=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    child.stdout.readline()
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    for read in (guard._read_proc, guard._read_ps):
        found = read()
        assert found[child.pid] == (os.getpid(), child.pid)
        assert found[os.getpid()] == (os.getppid(), os.getpgrp())
        assert dead.pid not in found
    child.kill()
    child.wait()
    dead.wait()


def test_the_number_of_a_dead_process_is_nobodys():
    """11 has died and its number is a stranger's, who has started 12; 13 is still what it was."""
    living = {10: (1, 10), 11: (1, 77), 12: (11, 77), 13: (1, 13), 14: (13, 14)}
    assert family({10, 9}, {10: 10, 11: 11, 13: 13}, living) == {10: 10, 13: 13, 14: 14}
