#!/usr/bin/env python3
"""Reads an export with the program that it is for, and prints what that program sees.

Usage: read_exports.py tensorboard|mlflow|wandb FOLDER
Prints JSON: {run: {"metrics": {name: [[step, value], ...]}, "parameters": {...}, ...}}; values that are not finite are
text. mlflow: as the commands that sinkctl prints, a database first. wandb: the transaction log, in its own
records; `times` are those of the points.
"""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile


def number(value):
    value = float(value)
    return value if math.isfinite(value) else str(value)


def tensorboard(folder):
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_multiplexer
    from tensorboard.plugins.hparams import metadata
    runs = {}
    for path in sorted(pathlib.Path(folder).rglob("*tfevents*")):
        events = event_accumulator.EventAccumulator(str(path.parent), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        content = events.summary_metadata
        start = metadata.parse_session_start_info_plugin_data(
            content[metadata.SESSION_START_INFO_TAG].plugin_data.content)
        end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG].plugin_data.content)
        runs[str(path.parent.relative_to(folder))] = {
            "metrics": {tag: [[e.step, number(e.value)] for e in events.Scalars(tag)]
                        for tag in events.Tags()["scalars"]},
            "parameters": {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()},
            "group": start.group_name, "started": start.start_time_secs, "ended": end.end_time_secs, "status": end.status}
    for name, groups in session_groups(folder, plugin_event_multiplexer).items():
        runs[name]["page"] = groups
    return runs


def session_groups(folder, plugin_event_multiplexer):
    """What the page of hyperparameters lists, by run."""
    from tensorboard.backend.event_processing import data_provider
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups
    from tensorboard import context
    multiplexer = plugin_event_multiplexer.EventMultiplexer(size_guidance={"scalars": 0, "tensors": 0})
    multiplexer.AddRunsFromDirectory(folder)
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    tb = base_plugin.TBContext(logdir=folder, multiplexer=multiplexer, data_provider=provider)
    backend = backend_context.Context(tb)
    request_context = context.RequestContext()
    metadata = backend.hparams_metadata(request_context, "")
    experiment = backend.experiment_from_metadata(request_context, "", True, metadata,
                                                  backend.hparams_from_data_provider(request_context, "", None))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, include_metrics=True,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING, api_pb2.STATUS_UNKNOWN],
        col_params=[])
    for info in experiment.hparam_infos:
        request.col_params.add(hparam=info.name, include_in_result=True)
    found = list_session_groups.Handler(request_context=request_context, backend_context=backend, experiment_id="",
                                        request=request).run()
    return {session.name: {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()}
            for group in found.session_groups for session in group.sessions}


def mlflow(folder):
    place = tempfile.TemporaryDirectory(prefix="sink-test-")
    database = f"sqlite:///{place.name}/runs.db"
    subprocess.run([str(pathlib.Path(sys.executable).with_name("mlflow")), "migrate-filestore", "--source", folder,
                    "--target", database], check=True, stdout=sys.stderr)
    from mlflow.tracking import MlflowClient
    client = MlflowClient(tracking_uri=database)
    runs = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
            runs[run.info.run_id] = {
                "metrics": {name: [[m.step, number("nan" if math.isnan(m.value) else m.value)] for m in points]
                            for name, points in history.items()},
                "times": {name: [m.timestamp for m in points] for name, points in history.items()},
                "artifacts": [artifact.path for artifact in client.list_artifacts(run.info.run_id)],
                "started": run.info.start_time, "ended": run.info.end_time, "parameters": run.data.params,
                "experiment": experiment.name, "name": run.info.run_name, "status": run.info.status,
                "tags": run.data.tags}
    return runs


def wandb_records(path):
    """LevelDB's log: blocks of 32 KiB, records whole or in parts."""
    data, at, part = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        part += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield part
            part = b""


def wandb(folder):
    from wandb.proto import wandb_internal_pb2
    runs = {}
    for path in sorted(pathlib.Path(folder).rglob("*.wandb")):
        metrics, times, read = {}, {}, {}
        for data in wandb_records(path):
            record = wandb_internal_pb2.Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                read |= {"name": record.run.run_id, "started": record.run.start_time.ToMilliseconds(),
                         "parameters": {i.key: json.loads(i.value_json) for i in record.run.config.update}}
            elif kind == "history":
                items = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
                for key, value in items.items():
                    if not key.startswith("_"):
                        metrics.setdefault(key, []).append([items["_step"], number(value)])
                        times.setdefault(key, []).append([items["_timestamp"], items["_runtime"]])
            elif kind == "exit":
                read |= {"duration": record.exit.runtime, "exit_code": record.exit.exit_code}
            elif kind == "summary":
                for item in record.summary.update:
                    if ("/".join(item.nested_key) or item.key) == "_runtime":
                        read["summary_runtime"] = json.loads(item.value_json)
        runs[read.pop("name")] = read | {"metrics": metrics, "times": times}
    return runs


if __name__ == "__main__":
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    print(json.dumps({"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}[sys.argv[1]](sys.argv[2]),
                     sort_keys=True))
