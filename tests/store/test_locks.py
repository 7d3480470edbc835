"""A lock belongs to one, and is free when its holder is dead."""

import os
import subprocess
import sys
import time
from pathlib import Path

from unlearn_core.store.locks import adopted, holder, is_locked, lock, write_holder


def test_a_lock_has_one_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with lock(path) as held:
        assert held is not None
        assert is_locked(path)
        with lock(path) as second:
            assert second is None
        assert is_locked(path)
    assert not is_locked(path)


def test_asking_does_not_make_the_lock_look_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    for _ in range(3):
        assert not is_locked(path)


def test_a_lock_handed_to_a_child_stays_until_the_child_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path) as held:
        assert held is not None
        child = subprocess.Popen(["sleep", "60"], pass_fds=(held,))
        write_holder(held, child.pid)
    assert is_locked(path)
    assert holder(path) == child.pid
    child.kill()
    child.wait()
    assert not is_locked(path)


def test_only_the_lock_itself_is_adopted(tmp_path: Path) -> None:
    with lock(tmp_path / "one") as held:
        assert held is not None
        with adopted(tmp_path / "one", os.dup(held)) as handed_down:
            assert handed_down is not None
            assert not os.get_inheritable(handed_down)
        with adopted(tmp_path / "other", held) as handed_down:
            assert handed_down is None
    with adopted(tmp_path / "one", 987654) as handed_down:
        assert handed_down is None


def test_a_forked_helper_does_not_keep_its_dead_parents_lock(tmp_path: Path) -> None:
    script = f"""
import os, signal, time
from pathlib import Path
from unlearn_core.store.locks import lock
with lock(Path({str(tmp_path / "lock")!r})):
    helper = os.fork()
    if helper == 0:
        os.close(1)
        time.sleep(60)
    print(helper, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    found = subprocess.run([sys.executable, "-c", script], check=False, stdout=subprocess.PIPE, text=True)
    os.kill(int(found.stdout), 0)  # raises where the helper is gone and the test says nothing
    try:
        for _ in range(100):
            if not is_locked(tmp_path / "lock"):
                break
            time.sleep(0.05)
        assert not is_locked(tmp_path / "lock")
    finally:
        os.kill(int(found.stdout), 9)
