"""deploy/python on a real coordinator: installed as a user installs it, then submit, wait, metrics, checkpoint, model, and
the example notebook from its first cell to its last.

Usage: python_client_test.py SOURCE_DIR BIN_DIR, with a Python that has pip, grpcio-tools, pandas, matplotlib, nbclient.
"""
import concurrent.futures
import csv
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from sink_cluster import Cluster, skip

# This test starts programs while calls are open. With gRPC's handlers a child waits for their threads, which it has not,
# before it becomes the program.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
try:
    import grpc_tools  # noqa: F401
    import nbclient
    import nbformat
except ImportError as missing:
    skip(f"{missing}; deploy/bootstrap.sh --tests installs it")

SOURCE, BIN = map(pathlib.Path, sys.argv[1:3])


def raises(kind, action):
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def install(folder):
    with tempfile.TemporaryDirectory() as checkout:  # pip builds where the sources lie
        for part in ("deploy/python", "proto"):
            shutil.copytree(SOURCE / part, pathlib.Path(checkout) / part, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--no-build-isolation", "--root-user-action=ignore", "--target", folder,
                        pathlib.Path(checkout) / "deploy/python"], check=True)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)  # for the notebook's kernel


def wrong_input_is_told(sink_client, cluster, client):
    error = raises(sink_client.CoordinatorError, lambda: client.sweep("nosuch"))
    assert error.code == "NOT_FOUND" and "nosuch" in str(error), (error.code, str(error))
    wrong = cluster.path / "sweeps/wrong.yaml"
    wrong.write_text("schema: sink/v1\nname: wrong\ntrain: {max_stepz: 3}\n")
    error = raises(sink_client.CoordinatorError, lambda: client.submit(wrong))
    assert error.code == "INVALID_ARGUMENT" and "wrong.yaml:3:" in str(error) and "max_stepz" in str(error), str(error)
    raises(FileNotFoundError, lambda: client.submit(cluster.path / "sweeps/absent.yaml"))


def an_address_is_told_what_to_write(sink_client):
    from sink_client import address
    for text in ("127.0.0.1:7070", "head-1.cluster:65535", "[::1]:7070", "[fe80::1]:1", "localhost:7070"):
        address.check(text)
    for text, told in {
            "http://127.0.0.1:7070/metrics": '"http://127.0.0.1:7070/metrics" is not an address of a coordinator: it has '
                                             'no scheme; write 127.0.0.1:7070',
            "ssh://me@head:7070": "write head:7070", "::1:7070": "in brackets; write [::1]:7070",
            "fe80:0:0:0:0:0:0:1:7070": "in brackets; write [fe80:0:0:0:0:0:0:1]:7070", "::1": "write [::1]:7070",
            " head:7070": "blanks around it; write head:7070", "head:7070\n": "write head:7070",
            "head :7070": "write host:port", "head:7070/": "it has no path; write head:7070",
            "me@head:1": "it has no user; write head:1", "head": "the port is missing; write host:port, e.g. head:7070",
            "[::1]": "the port is missing", " ": "", ":7070": "", "head:": "", "head:0": "", "head:65536": "",
            "head:seven": "", "[head]:7070": "", "unix:/run/sink": ""}.items():
        error = raises(sink_client.CoordinatorError, lambda: sink_client.Client(text))
        assert error.code == "INVALID_ARGUMENT" and told in str(error), (text, str(error))


def study_runs(sink_client, cluster, client):
    sweep_file = cluster.path / "sweeps/study.yaml"
    submitted = client.submit(sweep_file)
    assert submitted.added == 0, "sinkctl has stored these jobs"
    ended = []
    submitted.wait(timeout=120, progress=lambda *counts: ended.append(counts))
    assert ended[-1] == (2, 2), ended
    jobs = submitted.jobs()
    assert list(jobs.state) == ["SUCCEEDED"] * 2 and list(jobs.step) == [60, 60], jobs
    losses = submitted.metrics("train_loss")
    assert len(losses) == 120 and set(losses.label) == set(jobs.label), losses
    first = client.job(jobs.id[0][:8])
    curve = first.metrics("train_loss")
    assert list(curve.step) == list(range(1, 61)), curve
    shown = csv.DictReader(cluster.sinkctl("metrics", first.id, "--name", "train_loss", "--csv").splitlines())
    assert [float(row["value"]) for row in shown] == list(curve.value), "sinkctl shows other values"
    return first


def checkpoint_opens(cluster, job):
    assert job.checkpoints()[-1] == 60
    umask, os.umask = os.umask, None  # which is every thread's
    folder = job.checkpoint(cluster.path / "model")
    os.umask = umask
    usual = cluster.path / "usual"
    usual.mkdir()
    assert folder.stat().st_mode == usual.stat().st_mode, oct(folder.stat().st_mode)
    fetched = cluster.path / "sinkctls"
    cluster.sinkctl("checkpoint", "get", job.id, "--out", fetched)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {f.name: f.read_bytes() for f in fetched.iterdir()}
    raises(FileExistsError, lambda: job.checkpoint(folder))
    model = job.model()
    assert type(model).__name__ == "LlamaForCausalLM" and model.config.num_hidden_layers == 2, model


def a_program_calls_by_its_token(sink_client, cluster):
    token = cluster.path / "ci.token"
    cluster.sinkctl("user", "token", "ci", "--role", "viewer", "--out", token)
    os.environ["SINK_CREDENTIALS"] = str(token)
    with sink_client.Client(cluster.address) as viewer:
        study = viewer.sweep("study")
        assert len(study.jobs()) == 2, study.jobs()
        assert raises(sink_client.CoordinatorError, study.cancel).code == "PERMISSION_DENIED"
    line = token.read_text()
    del os.environ["SINK_CREDENTIALS"]
    os.environ["SINK_TOKEN"] = line  # a CI's secret, which also says where the coordinator is
    with sink_client.Client() as viewer:
        assert viewer.address == cluster.address and len(viewer.sweep("study").jobs()) == 2
    os.environ["SINK_TOKEN"] = line[:-9]  # not all of the secret
    with sink_client.Client() as viewer:
        assert raises(sink_client.CoordinatorError, viewer.sweeps).code == "UNAUTHENTICATED"
    os.environ["SINK_TOKEN"] = "sink-token:x"
    assert raises(sink_client.CoordinatorError, sink_client.Client).code == "FAILED_PRECONDITION"
    del os.environ["SINK_TOKEN"]
    os.environ["SINK_CREDENTIALS"] = str(token)
    token.chmod(0o644)
    error = raises(sink_client.CoordinatorError, lambda: sink_client.Client(cluster.address))
    assert "chmod 600" in str(error), str(error)
    os.environ["SINK_CREDENTIALS"] = str(cluster.path / "nobody")
    error = raises(sink_client.CoordinatorError, lambda: sink_client.Client(cluster.address))
    assert error.code == "UNAVAILABLE" and "no credential" in str(error), str(error)
    del os.environ["SINK_CREDENTIALS"]
    cluster.sinkctl("user", "revoke", "token/ci")
    os.environ["SINK_TOKEN"] = line
    with sink_client.Client() as viewer:
        assert raises(sink_client.CoordinatorError, viewer.sweeps).code == "UNAUTHENTICATED"
    del os.environ["SINK_TOKEN"]


def waiting_costs_little_however_many_jobs_there_are(client):
    asked, call = [], client._call
    client._call = lambda method, request: asked.append((method, request)) or call(method, request)
    client.sweep("study").wait(timeout=10)
    del client._call
    whole = [request for method, request in asked if method == "GetSweep" and not request.without_jobs]
    assert asked and not whole, asked


def a_restart_is_waited_for(cluster, job):
    cluster.kill("coordinator")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        curve = pool.submit(job.metrics, "train_loss")
        time.sleep(2)
        cluster.start_coordinator(listen=cluster.address)
        assert len(curve.result(60)) == 60


def failed_jobs_are_named(sink_client, cluster, client):
    cluster.submit("lost", 20, ["1e-3"], data="nosuch", extra="")
    sweep = client.sweep("lost")
    sweep.set_priority(-2)
    assert sweep.set_priority(-2) == 0, "it has it already"
    sweep.cancel()
    error = raises(sink_client.JobsFailed, lambda: sweep.wait(timeout=60))
    assert "cancelled" in str(error) and error.jobs[0]["state"] == "CANCELLED", str(error)


def notebook_runs(cluster):
    os.environ.update(SINK_COORDINATOR=cluster.address, SINK_SWEEP=str(cluster.path / "sweeps/study.yaml"), MPLBACKEND="agg")
    notebook = nbformat.read(SOURCE / "deploy/python/example.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert "SUCCEEDED" in str(notebook.cells), "no job shown"


with tempfile.TemporaryDirectory() as installed, Cluster(BIN) as cluster:
    install(installed)
    import sink_client
    cluster.pack_corpus()
    cluster.start_coordinator()
    cluster.start_worker("w1", devices="cpu:2")
    cluster.submit("study", 60, ["1e-3", "3e-3"])
    an_address_is_told_what_to_write(sink_client)
    with sink_client.Client(cluster.address) as client:
        wrong_input_is_told(sink_client, cluster, client)
        job = study_runs(sink_client, cluster, client)
        checkpoint_opens(cluster, job)
        waiting_costs_little_however_many_jobs_there_are(client)
        a_restart_is_waited_for(cluster, job)
        failed_jobs_are_named(sink_client, cluster, client)
    a_program_calls_by_its_token(sink_client, cluster)
    notebook_runs(cluster)
    cluster.kill("coordinator")
    error = raises(sink_client.CoordinatorError, lambda: sink_client.Client("127.0.0.1:1").sweep("study"))
    assert error.code == "UNAVAILABLE" and "sink-coordinator" in str(error), str(error)
print("the Python client and its notebook work")
