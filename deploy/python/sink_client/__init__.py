"""A thin client of a Sink coordinator: submit a sweep, wait for it, read its metrics, open its checkpoints.

    import sink_client
    client = sink_client.Client("127.0.0.1:7070")
    sweep = client.submit("sweeps/quickstart.yaml")
    sweep.wait()
    sweep.metrics("validation_loss/all")
"""
from sink_client.client import Client, Job, Submission, Sweep
from sink_client.errors import CoordinatorError, JobsFailed, SubmissionWarning

__all__ = ["Client", "CoordinatorError", "Job", "JobsFailed", "Submission", "SubmissionWarning", "Sweep"]
