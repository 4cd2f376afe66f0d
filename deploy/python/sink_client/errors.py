"""What can go wrong between a program and its coordinator."""
import contextlib

import grpc


class CoordinatorError(Exception):
    """The coordinator refused a call, or did not answer. `code` is gRPC's: NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE ..."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class JobsFailed(Exception):
    """A sweep has ended, and some of its jobs have not succeeded: `jobs`, as Sweep.jobs() has them."""

    def __init__(self, sweep, jobs):
        lines = [f"{job['id'][:8]} {job['label']}: {job['state'].lower()} {job['message']}".rstrip() for job in jobs[:5]]
        more = [f"and {len(jobs) - 5} more"] if len(jobs) > 5 else []
        super().__init__("\n  ".join([f"{sweep}: {len(jobs)} jobs did not succeed", *lines, *more]))
        self.jobs = jobs


@contextlib.contextmanager
def calls_of(address):
    """Turns gRPC's errors into ours, which say what was called and what to do."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise CoordinatorError(error.code().name, f"the coordinator at {address} does not answer ({error.details()}); is "
                                   "sink-coordinator running, and is this its --listen address?") from error
        raise CoordinatorError(error.code().name, error.details()) from error
