"""Runs jobs of checks side by side, and tells what came of them."""

import argparse
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import checks
import harness
import netns
from checks import Report


def needed(programs):
    """What has to be there, as a list of what is not."""
    missing = [f"{what} is not executable: {path}" for what, path in programs if not os.access(path, os.X_OK)]
    if subprocess.run([os.path.join(harness.HERE, "install")], check=False).returncode != 0:
        missing.append("the peers are not installed: run interop/install")
    return missing


def close_everything():
    checks.close_all()
    netns.close_all()


def expire(deadline):
    print(f"  FAILED nothing may take longer than {deadline} s", flush=True)
    close_everything()
    os._exit(1)


def main(about, modules, programs, workers, deadline):
    """Runs the jobs of these modules that the command line asks for, so many at once; the exit status. Whoever hangs is ended."""
    p = argparse.ArgumentParser(description=about.partition("\n")[0])
    p.add_argument("--list", action="store_true", help="the names of the jobs")
    p.add_argument("--workers", type=int, default=workers)
    p.add_argument("--times", type=int, default=1, help="run each job so often")
    p.add_argument("words", nargs="*", metavar="WORD")
    options = p.parse_args()
    jobs = [job for module in modules for job in module.jobs()
            if not options.words or any(word in job[0] for word in options.words)]
    if options.list:
        print("\n".join(name for name, _ in jobs))
        return 0
    assert jobs, "no such job"
    missing = needed(programs)
    if missing:
        for line in missing:
            print(f"  FAILED {line}")
        print(f"0 passed, {len(missing)} failed")
        return 1

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    timer = threading.Timer(deadline, expire, [deadline])
    timer.daemon = True
    timer.start()
    harness.logs = tempfile.mkdtemp(prefix="atonce-check-")
    began = time.monotonic()
    passed = failed = 0
    pool = concurrent.futures.ThreadPoolExecutor(options.workers)
    try:
        running = [pool.submit(Report(name).run, job) for name, job in jobs * options.times]
        for done in concurrent.futures.as_completed(running):
            report = done.result()
            passed += report.passed
            failed += report.failed
            seconds = time.monotonic() - report.began
            print(f"{report.name} ({seconds:.1f} s)\n{report.lines.getvalue()}", end="", flush=True)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        close_everything()
        shutil.rmtree(harness.logs, ignore_errors=True)
        os._exit(1)
    close_everything()
    if failed:
        print(f"the logs are in {harness.logs}")
    else:
        shutil.rmtree(harness.logs)
    print(f"in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
