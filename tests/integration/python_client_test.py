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
import types
import warnings

from sink_cluster import Cluster, skip, wait_for

# This test starts programs while calls are open. With gRPC's handlers a child waits for their threads, which it has not,
# before it becomes the program.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
try:
    import grpc
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
            " head:7070": "it has no blanks; write head:7070", "head:7070\n": "write head:7070",
            "head :7070": "write head:7070", "head:7070/": "it has no path; write head:7070",
            "me@head:1": "it has no user; write head:1", "head": "the port is missing; write host:port, e.g. head:7070",
            "[::1]": "the port is missing", " ": "", ":7070": "", "head:": "", "head:0": "", "head:65536": "",
            "head:seven": "", "[head]:7070": "", "unix:/run/sink": ""}.items():
        error = raises(sink_client.CoordinatorError, lambda: sink_client.Client(text))
        assert error.code == "INVALID_ARGUMENT" and told in str(error), (text, str(error))


def what_differs_on_workers_is_told():
    from sink.v1 import client_pb2
    from sink_client import submission
    response = client_pb2.SubmitSweepResponse(
        missing_models=["a/b", "c/d"],
        jobs=[client_pb2.SubmittedJob(id=i, cancel_taken_back=True) for i in ("1", "1", "2")],
        differing_sets=[client_pb2.DifferingSet(name="pile", copies=[
            client_pb2.SetCopy(content="1" * 32, workers=["w1", "w2"]),
            client_pb2.SetCopy(content="2" * 32, workers=["w3"])])],
        changed_sets=[client_pb2.ChangedSet(name="tiny", content_then="3" * 32, content_now="4" * 32, jobs=1)])
    resumed, missing, differing, changed = submission.warnings(response, dry_run=False)
    assert resumed == "2 stored jobs were being cancelled and go on", resumed
    assert "has 2 models: a/b, c/d; their jobs will wait" in missing, missing
    assert "pile is not the same everywhere: 11111111 on w1, w2; 22222222 on w3; " in differing, differing
    assert "tiny has changed: 1 job stored already ran on 33333333, workers now have 44444444; " in changed, changed
    assert submission.differing_sets(response)[0]["copies"][1] == {"content": "2" * 32, "workers": ["w3"]}
    assert submission.changed_sets(response) == [
        {"name": "tiny", "content_then": "3" * 32, "content_now": "4" * 32, "jobs": 1}]
    assert submission.warnings(response, dry_run=True)[0].endswith("would go on")


def jobs_that_early_stopping_stopped_have_not_failed(sink_client):
    from sink.v1 import client_pb2, job_pb2
    place = job_pb2.Membership(sweep="halved")
    ended = [job_pb2.Job(id="1" * 32, state=job_pb2.CANCELLED, stopped_early=True, sweeps=[place])]

    def status(_):
        return client_pb2.GetSweepResponse(sweep=job_pb2.Sweep(jobs_by_state={"CANCELLED": len(ended)}))

    answers = {"GetSweep": status,
               "ListJobs": lambda asked: client_pb2.ListJobsResponse(jobs=[] if asked.after else ended)}
    sweep = sink_client.Sweep(types.SimpleNamespace(_call=lambda method, request: answers[method](request)), "halved")
    sweep.wait(timeout=1)
    ended.append(job_pb2.Job(id="2" * 32, state=job_pb2.CANCELLED, sweeps=[place]))
    error = raises(sink_client.JobsFailed, lambda: sweep.wait(timeout=1))
    assert [job["id"] for job in error.jobs] == ["2" * 32], error.jobs


def submit(client, *arguments, **options):
    """The submission, and what it warned of here."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        submitted = client.submit(*arguments, **options)
    assert {warning.filename for warning in told} <= {__file__}, "not where submit was called"
    return submitted, [str(warning.message) for warning in told]


def a_call_for_which_there_is_no_room_is_made_again(sink_client, cluster):
    class Refused(grpc.RpcError):
        def __init__(self, details, trailers):
            super().__init__(details)
            self.details, self.trailing_metadata = lambda: details, lambda: trailers

        def code(self):
            return grpc.StatusCode.RESOURCE_EXHAUSTED

    with sink_client.Client(cluster.address) as client:
        refusals, list_sweeps = [], client._stub.ListSweeps

        def answer(request, timeout):
            if refusals:
                raise refusals.pop()
            return list_sweeps(request, timeout=timeout)

        client._stub = types.SimpleNamespace(ListSweeps=answer)
        refusals += [Refused("Server Threadpool Exhausted", trailers) for trailers in (None, ())]
        client.sweeps()
        assert not refusals
        refusals.append(Refused("lena has too many jobs", [("grpc-status-details-bin", b"\x08\x08")]))
        error = raises(sink_client.CoordinatorError, client.sweeps)
        assert (error.code, str(error)) == ("RESOURCE_EXHAUSTED", "lena has too many jobs"), (error.code, str(error))


def study_runs(sink_client, cluster, client):
    sweep_file = cluster.path / "sweeps/study.yaml"
    submitted = client.submit(sweep_file)
    assert submitted.added == 0, "sinkctl has stored these jobs"
    ended = []
    submitted.wait(timeout=120, progress=lambda *counts: ended.append(counts))
    assert ended[-1] == (2, 2), ended
    jobs = submitted.jobs()
    assert list(jobs.state) == ["SUCCEEDED"] * 2 and list(jobs.step) == [60, 60], jobs
    again, told = submit(client, sweep_file)
    assert told == [] and list(again.submitted.state) == ["SUCCEEDED"] * 2 and not again.submitted.added.any(), told
    losses = submitted.metrics("train_loss")
    assert len(losses) == 120 and set(losses.label) == set(jobs.label), losses
    first = client.job(jobs.id[0][:8])
    assert first.wait(timeout=10) is first and first.status()["step"] == 60, first.status()
    assert not first.retry(), "it has succeeded"
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
    assert sweep.cancel() == {"cancelled": 1, "requested": 0, "kept": 0}
    error = raises(sink_client.JobsFailed, lambda: sweep.wait(timeout=60))
    assert "cancelled" in str(error) and error.jobs[0]["state"] == "CANCELLED", str(error)
    error = raises(sink_client.JobsFailed, lambda: client.job(error.jobs[0]["id"]).wait(timeout=60))
    assert "1 job did not succeed" in str(error), str(error)


def a_submission_tells_what_will_not_run(cluster, client):
    again, told = submit(client, cluster.path / "sweeps/lost.yaml")
    assert again.added == 0 and list(again.submitted.state) == ["CANCELLED"], again.submitted
    assert again.warnings == told and len(told) == 1, told
    assert told[0].startswith("1 stored job has failed or been cancelled and will not run; retry()"), told
    job = client.job(again.submitted.id[0])
    assert again.retry() == [job.id] and again.retry() == [], "it is queued already"
    assert job.status()["state"] == "QUEUED", job.status()
    raises(TimeoutError, lambda: job.wait(timeout=0))
    told = wait_for("the worker is back after the restart", 60,
                    lambda: submit(client, cluster.path / "sweeps/lost.yaml")[1])
    assert len(told) == 1 and "has 1 data set or file: nosuch; their jobs will wait" in told[0], told
    assert any("nosuch" in reason for reason in job.why()), job.why()
    assert job.cancel()["cancelled"] == 1 and job.retry(from_step=0)


def changes_are_laid_over_a_file(sink_client, cluster, client):
    changed, _ = submit(client, cluster.path / "sweeps/lost.yaml", dry_run=True,
                        changes={"train.weight_decay": 1e-5, "data.set": "tiny", "name": "found", "priority": -3})
    assert (changed.name, changed.added) == ("found", 1) and "nosuch" not in changed.missing_sets, changed.submitted
    error = raises(sink_client.CoordinatorError,
                   lambda: client.submit(cluster.path / "sweeps/lost.yaml", changes={"train.max_stepz": 3}))
    assert "changes[train.max_stepz]:1:" in str(error), str(error)
    large = cluster.path / "sweeps/large.yaml"
    large.write_text("#" * (256 << 10) + "\n")
    error = raises(sink_client.CoordinatorError, lambda: client.submit(large))
    assert error.code == "INVALID_ARGUMENT" and "at most 262144" in str(error), str(error)


def another_study_takes_its_place_and_goes(sink_client, cluster, client):
    other = cluster.path / "sweeps/other.yaml"
    other.write_text((cluster.path / "sweeps/lost.yaml").read_text().replace("name: learning_rate", "name: other"))
    error = raises(sink_client.CoordinatorError, lambda: client.submit(other))
    assert error.code == "FAILED_PRECONDITION" and "replace=True" in str(error), str(error)
    sweep, _ = submit(client, other, replace=True)
    error = raises(sink_client.CoordinatorError, sweep.delete)
    assert error.code == "FAILED_PRECONDITION" and "cancel" in str(error), str(error)
    sweep.cancel()
    assert sweep.delete() == 1
    assert raises(sink_client.CoordinatorError, lambda: client.sweep("lost")).code == "NOT_FOUND"


def a_cancelled_sweep_is_over_though_another_has_its_job(sink_client, cluster, client):
    for name, rates in (("ours", ["1e-3", "2e-3"]), ("theirs", ["1e-3"])):
        cluster.submit(name, 30, rates, data="nosuch", extra="")  # which wait for good
    ours, ended = client.sweep("ours"), []
    raises(TimeoutError, lambda: ours.wait(timeout=1))
    ours.cancel()
    error = raises(sink_client.JobsFailed,
                   lambda: ours.wait(timeout=60, progress=lambda *counts: ended.append(counts)))
    assert ended[-1] == (2, 2), ended
    assert [job["state"] for job in error.jobs] == ["QUEUED", "CANCELLED"], error.jobs
    raises(TimeoutError, lambda: client.sweep("theirs").wait(timeout=1))
    client.sweep("theirs").cancel()
    raises(sink_client.JobsFailed, lambda: client.sweep("theirs").wait(timeout=60))


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
    what_differs_on_workers_is_told()
    jobs_that_early_stopping_stopped_have_not_failed(sink_client)
    with sink_client.Client(cluster.address) as client:
        wrong_input_is_told(sink_client, cluster, client)
        a_call_for_which_there_is_no_room_is_made_again(sink_client, cluster)
        job = study_runs(sink_client, cluster, client)
        checkpoint_opens(cluster, job)
        waiting_costs_little_however_many_jobs_there_are(client)
        a_restart_is_waited_for(cluster, job)
        failed_jobs_are_named(sink_client, cluster, client)
        a_submission_tells_what_will_not_run(cluster, client)
        changes_are_laid_over_a_file(sink_client, cluster, client)
        another_study_takes_its_place_and_goes(sink_client, cluster, client)
        a_cancelled_sweep_is_over_though_another_has_its_job(sink_client, cluster, client)
    a_program_calls_by_its_token(sink_client, cluster)
    notebook_runs(cluster)
    cluster.kill("coordinator")
    error = raises(sink_client.CoordinatorError, lambda: sink_client.Client("127.0.0.1:1").sweep("study"))
    assert error.code == "UNAVAILABLE" and "sink-coordinator" in str(error), str(error)
print("the Python client and its notebook work")
