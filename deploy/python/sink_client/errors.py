"""What can go wrong between a program and its coordinator."""
import contextlib

import grpc


class CoordinatorError(Exception):
    """The coordinator refused a call, or did not answer. `code` is gRPC's: NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE ..."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class SubmissionWarning(UserWarning):
    """What was submitted may not be, or not become, what the caller expects; also in Submission.warnings."""


class JobsFailed(Exception):
    """A sweep or a job has ended without success: `jobs`, as Sweep.jobs() has them."""

    def __init__(self, what, jobs):
        lines = [f"{job['id'][:8]} {job.get('label', '')}".rstrip() +
                 f": {job['state'].lower()} {job['message']}".rstrip() for job in jobs[:5]]
        more = [f"and {len(jobs) - 5} more"] if len(jobs) > 5 else []
        count = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
        super().__init__("\n  ".join([f"{what}: {count} did not succeed", *lines, *more]))
        self.jobs = jobs


def _is_answered(error):
    """Of RESOURCE_EXHAUSTED: by the service. Else no service has seen the call: threads or memory are short, or its caller
    makes too many."""
    return any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())


@contextlib.contextmanager
def calls_of(address):
    """Turns gRPC's errors into ours, which say what was called and what to do."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and not _is_answered(error):
            raise CoordinatorError("UNAVAILABLE", f"the coordinator at {address} has no room for this call now: "
                                   f"{error.details()}") from error
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise CoordinatorError(error.code().name, f"the coordinator at {address} does not answer ({error.details()}); "
                                   "is sink-coordinator running, and is this the address that it names when it "
                                   "starts?") from error
        raise CoordinatorError(error.code().name, error.details()) from error
