"""Jobs killed, interrupted and out of disk at random moments, then called again until they end.

What they have kept in the end must be, bit for bit, what the same jobs keep that nobody disturbs.
Each job has a random sequence of its own, so that they can be tortured beside each other.
"""

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jupyter_client.manager import start_new_kernel

from tabkit import store

ROOT = Path(__file__).parents[2]
KILLS, INTERRUPTS, FULL_DISKS, RESTARTS = 50, 20, 10, 5
DROP, DAC_OVERRIDE = 24, 1  # of prctl: what lets root write where nobody may
SETTINGS = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000", "PYTHONPATH": str(ROOT)}
TABKIT = [sys.executable, "-m", "tabkit"]
FIT = """
import sys, tabkit
data = tabkit.planted(2_000, categorical=6, continuous=2, cardinality=(3, 9))
net1 = tabkit.RowEncoder(data.schema)
tabkit.fit_encoder(net1, data, steps=500, checkpoint=sys.argv[1] + "/net1.safetensors").run()
net1 = tabkit.freeze(net1)
net0 = tabkit.RowPredictor(data.signal.shape[1], net1)
softmax = tabkit.estimators.make("reinforce")
options = {"steps": 500, "batch": 128, "checkpoint": sys.argv[1] + "/net0.safetensors"}
tabkit.fit_predictor(net0, net1, data, softmax, **options).run()
"""
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
LEFT = 10  # seconds after which no process of a job that was killed may be there


@dataclass
class Job:
    """A command whose words ``{out}`` is a folder, and the files there that decide."""

    name: str
    command: Sequence[str]
    files: Sequence[str]
    timed: bool = False  # its result hangs on the clock: that it ends well is all that is asked

    def start(self, out: Path, **options: object) -> subprocess.Popen:
        """A process of its own group, whose workers get the signals, too."""
        words = [word.replace("{out}", str(out)) for word in self.command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        env = os.environ | SETTINGS
        return subprocess.Popen(
            words, env=env, cwd=ROOT, start_new_session=True, **pipes, **options
        )

    def kept(self, out: Path) -> dict[str, object]:
        """What is there in the end, but for the seconds that it took."""
        return {
            str(file.relative_to(out)): content_of(file)
            for pattern in self.files
            for file in sorted(out.glob(pattern))
        }


def content_of(file: Path) -> object:
    """Bytes, or what is told by a table or by a kept file."""
    if file.suffix == ".csv":
        frame = pd.read_csv(file)
        return frame[[c for c in frame if "seconds" not in c]].to_csv(index=False)
    if file.suffix == ".safetensors":
        kind = {"run": "run"}.get(file.stem, "checkpoint")
        content, _ = store.read(file, "net1" if file.parent.name == "net1" else kind)
        nets = content.get("weights") or content.get("modules") or {"net1": content.get("net1")}
        return {name: store.digest(*net.values()) for name, net in nets.items()}
    return file.read_bytes()


def jobs(folder: Path) -> list[Job]:
    """Those that a user starts; the table and the saved run that some of them need are made."""
    table, saved = folder / "table.csv", folder / "saved"
    draw = random.Random(0)
    rows = [(draw.choice("abcd"), draw.choice("xyz"), draw.gauss(0, 1)) for _ in range(400)]
    frame = pd.DataFrame(rows, columns=["one", "two", "size"])
    frame.assign(price=frame["size"] + (frame["one"] == "a")).to_csv(table, index=False)
    columns = ["--table", str(table), "--categorical", "one,two", "--continuous", "size"]
    columns += ["--outcome", "price"]
    sizes = ["--steps", "120", "--encoder-steps", "120"]
    own = [*TABKIT, "run", *columns, *sizes, "--out"]
    subprocess.run([*own, str(saved)], env=os.environ | SETTINGS, cwd=ROOT, check=True, **QUIET)
    run = [*TABKIT, "run", "--data", "planted", "--rows", "800", *sizes]
    run += ["--estimators", "softmax", "gumbel_softmax", "--out", "{out}/run"]
    compare = [*TABKIT, "compare", "--quick", "--data", "planted", "--estimators", "softmax"]
    compare += ["gumbel_softmax", "--budgets", "steps", "--jobs", "2", "--out", "{out}/sweep"]
    few = ["--steps", "60", "--encoder-steps", "60"]
    apply = [*TABKIT, "apply", str(saved), "--signal", str(table), "--out", "{out}/rows.csv"]
    recommend = [*TABKIT, "recommend", *columns, "--encoder-steps", "50", "--minutes", "0.1"]
    return [  # the longest first
        Job("sweep", [*compare, *few], ["sweep/*.csv", "sweep/net1/*"]),
        Job("run", [*run], ["run/*.csv", "run/*.safetensors"]),
        Job("run --table", [*own, "{out}/run"], ["run/run.safetensors", "run/predicted.csv"]),
        Job("fit", [sys.executable, "-c", FIT, "{out}"], ["*.safetensors"]),
        Job("apply", apply, ["rows.csv"]),
        Job("recommend", [*recommend, "--out", "{out}/found"], [], timed=True),
    ]


def descendants(group: int) -> list[int]:
    """The processes of a group that are there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def disturb(process: subprocess.Popen, how: str) -> None:
    """What befalls it; the disk is full for it and for whatever it starts."""
    if how == "full disk":
        for one in descendants(process.pid):
            resource.prlimit(one, resource.RLIMIT_FSIZE, (0, 0))
    elif how == "killed alone":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT if how == "interrupted" else signal.SIGKILL)


def wrongs(job: Job, how: str, process: subprocess.Popen) -> list[str]:
    """What a disturbed process did that it may not; its end is waited for."""
    if how == "killed alone":  # joblib's workers do not hear of it, and idle for five minutes
        process.wait()
        for one in descendants(process.pid):
            os.kill(one, signal.SIGKILL)
    told = process.communicate(timeout=300)[1]
    until = time.monotonic() + LEFT
    while (left := descendants(process.pid)) and time.monotonic() < until:
        time.sleep(0.1)
    found = [f"{len(left)} processes stay"] if left else []
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    early = -signal.SIGINT  # before Python is there to hear of it
    expected = {"interrupted": (130, 0, early), "full disk": (2, 0)}.get(how, (-signal.SIGKILL, 0))
    if job.name == "fit":  # a script of the user's: Python tells him where
        return found
    if process.returncode not in expected:
        found.append(f"ended with {process.returncode}")
    return found + ([f"a traceback: {told}"] if "Traceback" in told else [])


def plan_of(job: Job, number: int, count: int, draw: random.Random) -> list[str]:
    """The job's share of all disturbances, in random order."""
    kills, interrupts, full = (share(n, number, count) for n in (KILLS, INTERRUPTS, FULL_DISKS))
    alone = kills // 2 if job.name == "sweep" else 0
    plan = ["killed"] * (kills - alone) + ["killed alone"] * alone
    plan += ["interrupted"] * interrupts + ["full disk"] * full
    draw.shuffle(plan)
    return plan


def share(whole: int, number: int, count: int) -> int:
    """A part of a whole that is cut into nearly equal ones."""
    return whole // count + (number < whole % count)


def tortured(job: Job, folder: Path, plan: Sequence[str], draw: random.Random) -> Counter:
    """The job under a plan of disturbances, and what came of it."""
    reference, told = folder / "reference", Counter()
    reference.mkdir(parents=True)
    started = time.monotonic()
    assert job.start(reference).communicate() is not None
    lasts, expected = time.monotonic() - started, job.kept(reference)
    out, plan = folder / "0", list(plan)
    while plan:
        out.mkdir(exist_ok=True)
        how, process = plan[0], job.start(out)
        try:
            process.wait(draw.uniform(0.05, 1) * lasts)
        except subprocess.TimeoutExpired:
            disturb(process, plan.pop(0))
            told[how] += 1
        for wrong in wrongs(job, how, process):
            told["failures"] += 1
            print(f"{job.name}, {how}: {wrong}")
        if process.returncode == 0 or not plan:  # it is through, or shall be now
            told += finished(job, out, expected)
            shutil.rmtree(out)
            out = folder / str(len(plan))
    told += together(job, folder / "together", expected) + denied(job, folder / "denied")
    return told + (
        restarted(folder, job, expected, lasts, draw) if job.name == "fit" else Counter()
    )


def together(job: Job, out: Path, expected: dict[str, object]) -> Counter:
    """Two calls at once in the same folder: both end, and as one alone."""
    out.mkdir()
    both = [job.start(out) for _ in range(2)]
    told = [process.communicate(timeout=600)[1] for process in both]
    wrong = [text for process, text in zip(both, told, strict=True) if process.returncode]
    if not wrong and not job.timed and job.kept(out) != expected:
        wrong = ["other results than alone"]
    for text in wrong:
        print(f"{job.name}, two at once: {text}")
    return Counter({"two at once": 1, "failures": len(wrong)})


def denied(job: Job, out: Path) -> Counter:
    """A folder that may be read only: nothing is left there, and a sentence says so."""
    out.mkdir()
    out.chmod(0o555)
    process = job.start(
        out, preexec_fn=lambda: ctypes.CDLL(None).prctl(DROP, DAC_OVERRIDE, 0, 0, 0)
    )
    told = process.communicate(timeout=300)[1]
    as_said = process.returncode == 2 and "Traceback" not in told
    wrong = (
        [*out.iterdir()] or "Permission denied" not in told or not (as_said or job.name == "fit")
    )
    if wrong:
        print(f"{job.name}, in a folder that may be read only: {process.returncode}, {told}")
    return Counter({"read-only folders": 1, "failures": bool(wrong)})


def restarted(
    folder: Path, job: Job, expected: dict[str, object], lasts: float, draw: random.Random
) -> Counter:
    """The script in a notebook's kernel, which is restarted while it trains."""
    out = folder / "kernel"
    out.mkdir()
    code = f"import sys\nsys.argv = ['', {str(out)!r}]\n{FIT}"
    manager, client = start_new_kernel(env=os.environ | SETTINGS, cwd=ROOT, **QUIET)
    try:
        for _ in range(RESTARTS):
            client.execute(code)
            time.sleep(draw.uniform(0.2, 0.8) * lasts)
            manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=120)
        reply = client.execute(code, reply=True, timeout=300)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    wrong = reply["content"]["status"] != "ok" or job.kept(out) != expected
    if wrong:
        print(f"{job.name}, in a kernel that is restarted: {reply['content']}")
    return Counter({"kernels restarted": RESTARTS, "failures": int(wrong)})


def finished(job: Job, out: Path, expected: dict[str, object]) -> Counter:
    """The last call, undisturbed: it ends as if nothing had been, and leaves nothing else."""
    last = job.start(out)
    told = last.communicate(timeout=300)[1]
    found = [] if last.returncode == 0 else [f"ended with {last.returncode}: {told}"]
    if not found and not job.timed and job.kept(out) != expected:
        found = ["other results than undisturbed"]
    found += [f"left {file.name}" for file in out.rglob(f"{store.PARTIAL}*")]
    for wrong in found:
        print(f"{job.name}, in the end: {wrong}")
    return Counter({"ends compared": 1, "failures": len(found)})


def run(seed: int = 0, minutes: float = 8) -> dict[str, int | float | str]:
    """All jobs, as many at once as there are cores."""

    def one(number: int) -> Counter:
        job, draw = found[number], random.Random(f"{seed}/{found[number].name}")
        plan = plan_of(job, number, len(found), draw)
        return tortured(job, Path(place) / str(number), plan, draw)

    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(os.cpu_count()) as pool:
        found = jobs(Path(place))
        told = sum(pool.map(one, range(len(found))), Counter())
    return {"jobs": len(found), "failures": 0} | told


if __name__ == "__main__":
    print(run())
