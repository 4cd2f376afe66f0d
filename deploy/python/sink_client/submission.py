"""What a coordinator says of a sweep that it is given: the fields and sentences of `sinkctl submit`."""
from sink.v1 import job_pb2

SHOWN_DIGITS = 8  # of a content


def _counted(count, one, several=None):
    return f"{count} {one if count == 1 else several or one + 's'}"


def jobs(response):
    """A row for each job, in the order of the sweep file."""
    return [{"id": job.id, "experiment": job.experiment, "label": job.label, "added": job.added,
             "cancel_taken_back": job.cancel_taken_back, "state": job_pb2.JobState.Name(job.state)}
            for job in response.jobs]


def differing_sets(response):
    return [{"name": s.name, "copies": [{"content": copy.content, "workers": list(copy.workers)} for copy in s.copies]}
            for s in response.differing_sets]


def changed_sets(response):
    return [{"name": s.name, "content_then": s.content_then, "content_now": s.content_now, "jobs": s.jobs}
            for s in response.changed_sets]


def warnings(response, dry_run):
    """A sentence for each thing that the caller may not expect of what was submitted, and what to do about it."""
    return [*_of_stored_jobs(response, dry_run), *_of_what_is_missing(response), *_of_data(response)]


def _of_stored_jobs(response, dry_run):
    resumed = len({job.id for job in response.jobs if job.cancel_taken_back})
    if resumed:
        yield (_counted(resumed, "stored job was", "stored jobs were") + " being cancelled and " +
               ("would go on" if dry_run else "goes on" if resumed == 1 else "go on"))
    ended = len({job.id for job in response.jobs if not job.added and job.state in (job_pb2.FAILED, job_pb2.CANCELLED)})
    if ended:
        yield (_counted(ended, "stored job has", "stored jobs have") + " failed or been cancelled and will not run; "
               "retry() of the sweep queues them again, but not those that were stopped early")


def _of_what_is_missing(response):
    for names, count, mending in (
            (response.missing_models, _counted(len(response.missing_models), "model"),
             "download them into the folder that sink-worker --models names"),
            (response.missing_sets, _counted(len(response.missing_sets), "data set or file", "data sets or files"),
             "put them into the folder that sink-worker --data-root names (sink-data pack makes a set; a file of texts "
             "is put there as it is)")):
        if names:
            yield (f"no connected worker has {count}: {', '.join(names)}; their jobs will wait until one has them: "
                   f"{mending}")


def _of_data(response):
    for differing in response.differing_sets:
        copies = "; ".join(f"{copy.content[:SHOWN_DIGITS]} on {', '.join(copy.workers)}" for copy in differing.copies)
        yield (f"data set {differing.name} is not the same everywhere: {copies}; jobs of this sweep may train on "
               "different data: copy one of them over the others")
    for changed in response.changed_sets:
        yield (f"data set {changed.name} has changed: {_counted(changed.jobs, 'job')} stored already ran on "
               f"{changed.content_then[:SHOWN_DIGITS]}, workers now have {changed.content_now[:SHOWN_DIGITS]}; what is "
               "stored stays as it is; a job goes on only on the data it began with")
