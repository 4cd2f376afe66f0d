"""The Kubernetes manifests obey the API's schemas, strictly, in an old and the newest version that kubernetes-validate
has; and what one manifest names in another is there.

Usage: kubernetes_test.py SOURCE_DIR. Kinds that the API does not have (Kustomization, ServiceMonitor) have no schema
there: of those only the references are checked.
"""
import pathlib
import sys

import yaml

from sink_cluster import skip

try:
    import kubernetes_validate
except ImportError:
    skip("no kubernetes-validate in this Python; deploy/bootstrap.sh --tests installs it")

OLDEST = "1.29"
NO_SCHEMA = {"Kustomization", "ServiceMonitor"}


def join_problems(pod):
    """Workers join by a file that is a secret of the cluster, and nothing secret is said in arguments or variables."""
    [container] = pod["containers"]
    arguments = container["args"]
    if "--join" not in arguments:
        return ["the workers do not join"]
    said = arguments[arguments.index("--join") + 1]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    folder = said.removeprefix("@").rpartition("/")[0]
    problems = []
    if not said.startswith("@") or folder not in mounts or not mounts[folder].get("readOnly"):
        problems.append(f"--join {said}: no file of a folder that is mounted to be read only")
    else:
        volume = next(volume for volume in pod["volumes"] if volume["name"] == mounts[folder]["name"])
        if "secret" not in volume or volume["secret"].get("defaultMode", 0o644) & 0o007:
            problems.append(f"--join {said}: its folder is no secret that only the pod's user and group may read")
    for name in (variable["name"] for variable in container["env"] if "value" in variable):
        if any(word in name for word in ("TOKEN", "JOIN", "SECRET", "KEY", "PASSWORD")):
            problems.append(f"the variable {name} would show a secret")
    return problems


def fence_problems(policies, coordinator, worker):
    """Who reaches whom: the coordinator's port from workers and clients; between workers whatever they say."""
    by_app = {policy["spec"]["podSelector"]["matchLabels"]["app"]: policy["spec"] for policy in policies}
    problems = []
    for template, kinds in ((coordinator, {"Ingress"}), (worker["spec"]["template"], {"Ingress", "Egress"})):
        app = template["metadata"]["labels"]["app"]
        if app not in by_app or not kinds <= set(by_app[app]["policyTypes"]):
            problems.append(f"{app} has no NetworkPolicy for {' and '.join(sorted(kinds))}")
        elif any(rule.get("from") == [] or "from" not in rule for rule in by_app[app]["ingress"]):
            problems.append(f"everybody reaches {app}")
    return problems


def main():
    folder = pathlib.Path(sys.argv[1]) / "deploy/kubernetes"
    documents = [(path, document) for path in sorted(folder.glob("*.yaml"))
                 for document in yaml.safe_load_all(path.read_text())]
    validated, problems = 0, []
    for path, document in documents:
        if document["kind"] in NO_SCHEMA:
            continue
        for version in (OLDEST, kubernetes_validate.latest_version()):
            try:
                kubernetes_validate.validate(document, version, strict=True)
                validated += 1
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{path.name} ({document['kind']}, {version}): {error.message}")

    by_kind = {}
    for _, document in documents:
        by_kind.setdefault(document["kind"], []).append(document)
    listed = {name for kustomization in by_kind["Kustomization"] for name in kustomization["resources"]}
    shipped = {path.name for path, _ in documents} - {"kustomization.yaml", "servicemonitor.yaml"}
    if listed != shipped:
        problems.append(f"kustomization.yaml lists {sorted(listed)}, the folder holds {sorted(shipped)}")
    [service] = by_kind["Service"]
    [stateful] = by_kind["StatefulSet"]
    [monitor] = by_kind["ServiceMonitor"]
    pod = stateful["spec"]["template"]
    if not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items():
        problems.append("the Service selects no pod of the StatefulSet")
    if stateful["spec"]["serviceName"] != service["metadata"]["name"]:
        problems.append("the StatefulSet names another Service")
    if monitor["spec"]["selector"]["matchLabels"] != service["metadata"]["labels"]:
        problems.append("the ServiceMonitor selects no Service")
    ports = {port["name"] for port in service["spec"]["ports"]}
    if not {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports:
        problems.append("the ServiceMonitor scrapes a port that the Service does not have")
    [worker] = by_kind["Deployment"]
    address = next(variable["value"] for variable in worker["spec"]["template"]["spec"]["containers"][0]["env"]
                   if variable["name"] == "SINK_COORDINATOR")
    if address != f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:7070":
        problems.append(f"workers look for the coordinator at {address}")

    problems += join_problems(worker["spec"]["template"]["spec"]) + fence_problems(by_kind["NetworkPolicy"], pod, worker)

    print(f"{validated} validations of {len(documents)} manifests")
    print("\n".join(problems))
    sys.exit(1 if problems or validated < 12 else 0)


if __name__ == "__main__":
    main()
