"""What the steps of the kit share: the device, the packed programs, and the list of what passed."""
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
DEVICE = os.environ.get("SINK_DEVICE", "cuda:0")
ON_CPU = DEVICE == "cpu"
OUT = pathlib.Path(os.environ.get("OUT", HERE))
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="2")

results = {"device": DEVICE, "checks": {}}


def check(name, passed, detail=""):
    results["checks"][name] = {"passed": bool(passed), "detail": detail}
    print(f"{'ok  ' if passed else 'FAIL'} {name}  {detail}", flush=True)


def run_all(step, checks):
    """Runs the checks, writes what they found to result.json under the step's name, and ends the program: with 1 when one
    failed. The next still runs after one that broke: a lease is short."""
    for run in checks:
        started = time.time()
        try:
            run()
        except Exception as error:
            check(run.__name__, False, repr(error)[:400])
        print(f"     [{run.__name__}: {time.time() - started:.0f} s]", flush=True)
    file = OUT / "result.json"
    everything = json.loads(file.read_text()) if file.exists() else {}
    everything[step] = results
    file.write_text(json.dumps(everything, indent=1) + "\n")
    sys.exit(0 if all(c["passed"] for c in results["checks"].values()) else 1)
