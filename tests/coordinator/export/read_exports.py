#!/usr/bin/env python3
"""Reads an export with the program that it is for, and prints what that program sees.

Usage: read_exports.py tensorboard|mlflow|wandb FOLDER
Prints JSON: {run: {"metrics": {name: [[step, value], ...]}, "parameters": {...}}}; values that are not finite are text.
"""
import json
import math
import pathlib
import sys


def number(value):
    value = float(value)
    return value if math.isfinite(value) else str(value)


def tensorboard(folder):
    from tensorboard.backend.event_processing import event_accumulator
    runs = {}
    for path in sorted(pathlib.Path(folder).rglob("*tfevents*")):
        events = event_accumulator.EventAccumulator(str(path.parent), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        runs[str(path.parent.relative_to(folder))] = {
            "metrics": {tag: [[e.step, number(e.value)] for e in events.Scalars(tag)]
                        for tag in events.Tags()["scalars"]}}
    return runs


def mlflow(folder):
    from mlflow.tracking import MlflowClient
    client = MlflowClient(tracking_uri=pathlib.Path(folder).resolve().as_uri())
    runs = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            metrics = {name: [[m.step, number(m.value)] for m in client.get_metric_history(run.info.run_id, name)]
                       for name in run.data.metrics}
            runs[run.info.run_id] = {"metrics": metrics, "parameters": run.data.params, "experiment": experiment.name,
                                     "name": run.info.run_name, "status": run.info.status, "tags": run.data.tags}
    return runs


def wandb(folder):
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal import datastore
    runs = {}
    for path in sorted(pathlib.Path(folder).rglob("*.wandb")):
        store = datastore.DataStore()
        store.open_for_scan(str(path))
        metrics, parameters, name = {}, {}, ""
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                name = record.run.run_id
                parameters = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            if record.HasField("history"):
                items = {"/".join(item.nested_key) or item.key: json.loads(item.value_json)
                         for item in record.history.item}
                for key, value in items.items():
                    if not key.startswith("_"):
                        metrics.setdefault(key, []).append([items["_step"], number(value)])
        runs[name] = {"metrics": metrics, "parameters": parameters}
    return runs


if __name__ == "__main__":
    print(json.dumps({"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}[sys.argv[1]](sys.argv[2]),
                     sort_keys=True))
