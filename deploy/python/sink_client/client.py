"""The client proper. One Client is one connection; it may be used by several threads."""
import os
import pathlib
import sys
import tempfile
import time
import uuid
import warnings

from sink_client import address as addresses, checkpoint, credential, sweep_files
from sink_client.errors import CoordinatorError, JobsFailed, SubmissionWarning, calls_of

# protoc writes imports that begin at the folder it was given.
sys.path.append(str(pathlib.Path(__file__).parent / "generated"))
from sink.v1 import client_pb2, client_pb2_grpc, job_pb2  # noqa: E402
from sink_client import submission  # noqa: E402

DEADLINE = 30  # seconds, of a call that answers at once
DEADLINE_OF_DELETE = 3600
MAX_MESSAGE = 128 << 20
TRIES = 3  # of a job whose points are thinned while they are read
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
LOOK = 5  # seconds between looks whether others alone want what has not ended: that is more work than counting


def _table(rows, columns):
    """A DataFrame where pandas is installed, else the rows: a list of dicts."""
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows, columns=columns)


class Client:
    """`address` is host:port; without it $SINK_COORDINATOR, or that of a program's token, or 127.0.0.1:7070, as sinkctl
    has it. So it is with the credential: a program's token in $SINK_TOKEN or in the file that $SINK_CREDENTIALS names,
    on the coordinator's machine its user's, elsewhere that of `sinkctl login`."""

    def __init__(self, address=None):
        token = credential.token()
        self.address = address or os.environ.get("SINK_COORDINATOR") or (token and token.address) or "127.0.0.1:7070"
        addresses.check(self.address)
        options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.enable_http_proxy", 0),
                   ("grpc.keepalive_time_ms", 20_000)]
        self._channel = credential.channel(self.address, token or credential.of_user(self.address), options)
        self._stub = client_pb2_grpc.ClientServiceStub(self._channel)

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def submit(self, path, profiles=(), dry_run=False, *, changes=None, replace=False):
        """Stores the jobs of a sweep file that are not there yet, and returns a Submission; the same file twice adds
        nothing. `profiles` are laid over it: paths, or names of profiles/NAME.yaml; after them `changes`, as sinkctl has
        --set, --name and --priority: {"train.weight_decay": 0.1, "name": "decayed"}; what an experiment sets or varies
        stays. `replace`: take the place of another study of this name, with which it has no experiment in common. A
        mistake in the file is a CoordinatorError that names its place; what may not be expected is told by a
        SubmissionWarning."""
        entry = str(path)
        profiles = [profiles] if isinstance(profiles, (str, os.PathLike)) else profiles
        profiles = [sweep_files.profile_path(entry, str(profile)) for profile in profiles]
        laid_over = sweep_files.profiles_of(changes or {})
        texts = {**sweep_files.collect(entry, profiles), **laid_over}
        response = self._call(
            "SubmitSweep",
            client_pb2.SubmitSweepRequest(
                request_id=uuid.uuid4().hex, entry=entry, profiles=[*profiles, *laid_over], dry_run=dry_run,
                replace=replace,
                files=[client_pb2.SourceFile(path=name, text=text) for name, text in texts.items()]))
        submitted = Submission(self, response, dry_run)
        for warning in submitted.warnings:
            warnings.warn(warning, SubmissionWarning, stacklevel=2)
        return submitted

    def sweep(self, name):
        self._call("GetStudy", client_pb2.GetStudyRequest(name=name))  # says at once that there is none
        return Sweep(self, name)

    def sweeps(self):
        return [Sweep(self, sweep.name) for sweep in self._call("ListSweeps", client_pb2.ListSweepsRequest()).sweeps]

    def job(self, prefix):
        """`prefix` is a job's id, or the first four or more digits of it."""
        return Job(self, self._call("GetJob", client_pb2.GetJobRequest(id=prefix)).job.id)

    def _call(self, method, request, answer_within=None):
        """Every call is idempotent, so that one that a restart of the coordinator interrupts is made again.
        `answer_within`: seconds of a try, of a call that does much."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with calls_of(self.address):
                    return getattr(self._stub, method)(
                        request, timeout=answer_within or max(0.1, deadline - time.monotonic()))
            except CoordinatorError as error:
                if error.code != "UNAVAILABLE" or time.monotonic() + 1 > deadline:
                    raise
            time.sleep(0.5)

    def _stream(self, method, request):
        """So it is here, until the first answer has come: what was given out cannot be taken back."""
        deadline = time.monotonic() + DEADLINE
        begun = False
        while True:
            try:
                with calls_of(self.address):
                    for response in getattr(self._stub, method)(request):
                        begun = True
                        yield response
                return
            except CoordinatorError as error:
                if begun or error.code != "UNAVAILABLE" or time.monotonic() + 1 > deadline:
                    raise
            time.sleep(0.5)


class Sweep:
    added = None  # jobs that a Submission has added

    def __init__(self, client, name):
        self._client = client
        self.name = name

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r} at {self._client.address})"

    def _status(self):
        return self._client._call("GetSweep", client_pb2.GetSweepRequest(name=self.name))

    def _membership(self, job):
        return next(m for m in job.sweeps if m.sweep == self.name)

    def _rows(self, jobs):
        for job in jobs:
            place = self._membership(job)
            yield {"id": job.id, "experiment": place.experiment, "label": place.label, "index": place.index,
                   **_row(job)}

    def jobs(self):
        """A row for each job, in the order of the sweep file, with the newest value of each metric."""
        rows = sorted(self._rows(self._status().jobs), key=lambda row: row["index"])
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return _table(rows, columns)

    def wait(self, timeout=None, progress=None, check=True):
        """Until every job has ended. `progress` is called with (jobs that have ended, all of them) when that changes.
        A job of a cancelled sweep that goes on because another sweep wants it counts as ended, and not as a success.
        JobsFailed when jobs did not succeed that early stopping has not stopped, unless `check` is false; TimeoutError
        after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        told, look_at = None, 0
        while True:
            request = client_pb2.GetSweepRequest(name=self.name, without_jobs=True)
            states = self._client._call("GetSweep", request).sweep.jobs_by_state
            ended, jobs = sum(states[state] for state in FINAL if state in states), sum(states.values())
            if ended < jobs and time.monotonic() > look_at:
                if self._is_left_to_others():
                    ended = jobs
                look_at = time.monotonic() + LOOK
            if progress and told != ended:
                progress(ended, jobs)
                told = ended
            if ended == jobs:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {ended} of {jobs} jobs have ended after {timeout} s; they go on")
            time.sleep(0.5)
        if not check:
            return self
        wrong = [job for job in self._jobs_but(["SUCCEEDED"]) if job.state == job_pb2.FAILED or not job.stopped_early]
        if wrong:
            raise JobsFailed(self.name, list(self._rows(wrong)))
        return self

    def _jobs_but(self, states, first_page=0):
        """Those in other states, in the order of the sweep file."""
        others = [state for name, state in job_pb2.JobState.items() if state and name not in states]
        request = client_pb2.ListJobsRequest(sweep=self.name, states=others, limit=first_page)
        while page := self._client._call("ListJobs", request).jobs:
            yield from page
            request.after, request.limit = page[-1].id, 0

    def _is_left_to_others(self):
        """Whether this sweep is cancelled, and every job that has not ended goes on for another one. Mostly the first
        of them says that it is not so."""
        return all(self._membership(job).withdrawn and not job.cancel_requested
                   for job in self._jobs_but(FINAL, first_page=1))

    def metrics(self, *names):
        """Every point of these metrics, of all when none is named ("sink_rate/*" takes all that begin so), as columns
        job, experiment, label, name, step, value, attempt."""
        places = {job.id: self._membership(job) for job in self._status().jobs}
        return _points(self._client, client_pb2.ReadMetricsRequest(sweep=self.name, names=names),
                       lambda job: {"job": job, "experiment": places[job].experiment, "label": places[job].label})

    def job(self, label):
        """The job of this label, as jobs() has it."""
        found = [job for job in self._status().jobs if self._membership(job).label == label]
        if len(found) != 1:
            raise KeyError(f"{self.name} has {len(found)} jobs of the label {label!r}; jobs() lists them")
        return Job(self._client, found[0].id)

    def cancel(self):
        """Returns how many jobs were waiting and are "cancelled" now, how many run and were "requested" to save and
        stop, and how many were "kept", as another sweep wants them."""
        return _cancel(self._client, sweep=self.name)

    def retry(self, from_step=None):
        """Queues its jobs again that have failed or were cancelled, but not those that were stopped early; returns
        their ids. They go on from their newest checkpoints, or from those of `from_step`: later ones are dropped, and
        what was measured after it; 0 begins anew."""
        return _retry(self._client, from_step, sweep=self.name)

    def delete(self):
        """Deletes its jobs, of which each must have ended, with their curves, logs and checkpoints, but for those that
        another sweep has. Returns how many were deleted."""
        stored = self._client._call("GetSweep", client_pb2.GetSweepRequest(name=self.name, without_jobs=True)).sweep
        request = client_pb2.DeleteSweepRequest(name=self.name, generation=stored.generation,
                                                request_id=uuid.uuid4().hex)
        return self._client._call("DeleteSweep", request, answer_within=DEADLINE_OF_DELETE).deleted

    def set_priority(self, priority):
        """Larger goes first; above 0 is an admin's to give. Returns how many of its jobs had another one."""
        request = client_pb2.SetPriorityRequest(sweep=self.name, priority=priority)
        return self._client._call("SetPriority", request).changed


class Submission(Sweep):
    """The sweep that submit() has given to the coordinator, and what that said of it, also with `dry_run`."""

    def __init__(self, client, response, dry_run):
        super().__init__(client, response.sweep)
        rows = submission.jobs(response)
        self.submitted = _table(rows, list(rows[0]) if rows else [])  # what each job was when it was submitted
        self.added = response.added  # jobs that were not there before
        self.removed = response.removed  # jobs of an earlier version that it no longer names; they are left to run
        self.missing_models = list(response.missing_models)  # that no connected worker has
        self.missing_sets = list(response.missing_sets)  # the same of packed data sets, and of files of texts
        self.differing_sets = submission.differing_sets(response)  # that are not the same on all connected workers
        self.changed_sets = submission.changed_sets(response)  # that no worker has as stored jobs have found them
        self.warnings = submission.warnings(response, dry_run)  # sentences, which were told as SubmissionWarning


class Job:
    def __init__(self, client, identifier):
        self._client = client
        self.id = identifier

    def __repr__(self):
        return f"Job({self.id[:8]!r} at {self._client.address})"

    def status(self):
        """What Sweep.jobs() has of it, as a dict without its places in sweeps."""
        return _row(self._client._call("GetJob", client_pb2.GetJobRequest(id=self.id)).job)

    def why(self):
        """Sentences, the most important first: what it waits for, who has it or how it ended, and what to do then."""
        return list(self._client._call("WhyJob", client_pb2.WhyJobRequest(id=self.id)).reasons)

    def wait(self, timeout=None, check=True):
        """Until it has ended. JobsFailed when it did not succeed, unless `check` is false; TimeoutError after `timeout`
        seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (row := self.status())["state"] not in FINAL:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id[:8]} has not ended after {timeout} s; it goes on")
            time.sleep(0.5)
        if check and row["state"] != "SUCCEEDED":
            raise JobsFailed(f"job {self.id[:8]}", [row])
        return self

    def metrics(self, *names):
        """As Sweep.metrics: columns name, step, value, attempt."""
        return _points(self._client, client_pb2.ReadMetricsRequest(job_id=self.id, names=names), lambda job: {})

    def logs(self, follow=False):
        """Its lines, the oldest first; with `follow` until the job has ended."""
        for line in self._client._stream("ReadLogs", client_pb2.ReadLogsRequest(job_id=self.id, follow=follow)):
            yield line.text

    def checkpoints(self):
        """Steps of which it has one, the oldest first."""
        response = self._client._call("ListCheckpoints", client_pb2.ListCheckpointsRequest(job_id=self.id))
        return sorted({c.step for c in response.checkpoints})

    def checkpoint(self, out, step=None):
        """Fetches a checkpoint (the newest) as the folder `out`, which must not exist; its hashes are verified."""
        chunks = self._client._stream("DownloadCheckpoint",
                                      client_pb2.DownloadCheckpointRequest(job_id=self.id, step=step or 0))
        checkpoint.write(chunks, out)
        return pathlib.Path(out)

    def model(self, step=None, **options):
        """The checkpoint as a model of transformers (attention computed eagerly, so that it can be looked at).
        A variant's folder brings a Python file of Sink's, which is run."""
        import transformers
        with tempfile.TemporaryDirectory() as folder:
            path = self.checkpoint(pathlib.Path(folder) / "model", step)
            return transformers.AutoModelForCausalLM.from_pretrained(
                path, **{"trust_remote_code": True, "attn_implementation": "eager", **options})

    def cancel(self):
        """As Sweep.cancel, also where several sweeps want it."""
        return _cancel(self._client, job_ids=[self.id])

    def retry(self, from_step=None):
        """As Sweep.retry, also when it was stopped early; returns whether it runs again: not where it had succeeded, or
        had not ended."""
        return bool(_retry(self._client, from_step, job_ids=[self.id]))


def _row(job):
    return {"id": job.id, "state": job_pb2.JobState.Name(job.state), "step": job.progress.step,
            "max_steps": job.progress.max_steps, "tokens": job.progress.tokens, "worker": job.worker,
            "message": job.message, **dict(job.progress.latest)}


def _cancel(client, **jobs):
    response = client._call("Cancel", client_pb2.CancelRequest(request_id=uuid.uuid4().hex, **jobs))
    return {"cancelled": response.cancelled, "requested": response.requested, "kept": response.kept}


def _retry(client, from_step, **jobs):
    request = client_pb2.RetryRequest(request_id=uuid.uuid4().hex, from_step=from_step, **jobs)
    return list(client._call("Retry", request).job_ids)


def _points(client, request, describe):
    for tries in range(1, TRIES + 1):
        rows = []
        try:
            for message in client._stream("ReadMetrics", request):
                of = describe(message.job_id)
                rows += [{**of, "name": point.name, "step": point.step, "value": point.value, "attempt": point.attempt}
                         for point in message.points]
            break
        except CoordinatorError as error:
            if error.code != "ABORTED" or tries == TRIES:
                raise
    columns = list(rows[0]) if rows else ["name", "step", "value", "attempt"]
    return _table(rows, columns)
