"""Checks the manifests of deploy/ against the schemas beside this file, and what their parts say of each other.

usage: check.py ROOT        prints what is wrong, a line each, and ends with 1 if anything is
"""
import json
import pathlib
import re
import sys

import jsonschema
import yaml

here = pathlib.Path(__file__).parent
root = pathlib.Path(sys.argv[1])
problems = []


def validate(document, schema, place):
    validator = jsonschema.Draft7Validator(schema)
    for error in validator.iter_errors(document):
        at = "/".join(str(part) for part in error.absolute_path)
        problems.append(f"{place}: {at}: {error.message[:200]}")


def expect(condition, message):
    if not condition:
        problems.append(message)


def milliseconds(container, name):
    return next((int(e["value"]) for e in container.get("env", []) if e["name"] == name), 0)


def kubernetes():
    folder = root / "deploy/kubernetes"
    schema = json.loads((here / "kubernetes.schema.json").read_text())
    kinds = {}
    paths = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*.yaml.example"))
    for path in paths:
        for document in yaml.safe_load_all(path.read_text()):
            kind = document.get("kind")
            place = f"{path.name}: {kind}"
            if kind not in schema["kinds"]:
                problems.append(f"{place}: there is no schema of it")
                continue
            validate(document, {**schema["kinds"][kind], "definitions": schema["definitions"]}, place)
            kinds.setdefault(kind, {})[document.get("metadata", {}).get("name", path.name)] = document
    for document in kinds["Kustomization"].values():
        for name in document["resources"]:
            expect((folder / name).exists(), f"kustomization.yaml: there is no {name}")
        listed = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        expect(listed == set(document["resources"]), f"kustomization.yaml names {document['resources']} of {listed}")
    secrets = set(kinds["Secret"]["quartermaster"]["stringData"])
    deployments = kinds["Deployment"]
    for name, deployment in deployments.items():
        template = deployment["spec"]["template"]
        pod = template["spec"]
        labels = deployment["spec"]["selector"]["matchLabels"]
        expect(labels.items() <= template["metadata"]["labels"].items(), f"{name}: selects other pods than its own")
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            for item in volume.get("secret", {}).get("items", []):
                expect(item["key"] in secrets, f"{name}: the secret has no {item['key']}")
        for container in pod["containers"]:
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            expect(mounts == set(volumes), f"{name}: mounts {mounts} of {set(volumes)}")
            expect("--redis" not in container["args"], f"{name}: the URL, which has a password, is in the command line")
            pre_stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
            needed = int(pre_stop[1]) * 1000 + milliseconds(container, "QM_DRAIN_DELAY")
            needed += milliseconds(container, "QM_DRAIN_GRACE") or 30000
            needed += milliseconds(container, "QM_WORK_GRACE")
            grace = pod["terminationGracePeriodSeconds"] * 1000
            expect(grace > needed, f"{name}: is killed after {grace} ms and may need {needed} to end")
            live = json.dumps(container["livenessProbe"])
            expect("/readyz" not in live, f"{name}: would be started again because it is about to end")
            ready = json.dumps(container["readinessProbe"])
            expect("redis" not in ready, f"{name}: nobody would be sent here because Redis is away")
        budgets = [b for b in kinds["PodDisruptionBudget"].values() if b["spec"]["selector"]["matchLabels"] == labels]
        expect(len(budgets) == 1, f"{name}: has {len(budgets)} disruption budgets")
        policies = [p for p in kinds["NetworkPolicy"].values() if p["spec"]["podSelector"]["matchLabels"] == labels]
        expect(len(policies) == 1, f"{name}: has {len(policies)} network policies")
        scalers = [
            s for s in kinds["HorizontalPodAutoscaler"].values() if s["spec"]["scaleTargetRef"]["name"] == name
        ]
        expect(len(scalers) == 1, f"{name}: has {len(scalers)} autoscalers")
        for scaler in scalers:
            expect(scaler["spec"]["minReplicas"] >= 2, f"{name}: one alone is no fleet")
            expect("replicas" not in deployment["spec"], f"{name}: each apply would undo what its autoscaler did")
    for service in kinds["Service"].values():
        selected = [
            d
            for d in deployments.values()
            if service["spec"]["selector"].items() <= d["spec"]["template"]["metadata"]["labels"].items()
        ]
        expect(len(selected) == 1, "the service selects other pods than the servers'")
        names = {port["name"] for d in selected for c in d["spec"]["template"]["spec"]["containers"] for port in c["ports"]}
        expect({port["targetPort"] for port in service["spec"]["ports"]} <= names, "the service's port is no container's")
    ingress(kinds)


def ingress(kinds):
    """What the ingress asks is there, and it passes on nothing of a client's that nginx/fleet.conf does not."""
    for document in kinds["Ingress"].values():
        for rule in document["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                ports = kinds["Service"].get(service["name"], {}).get("spec", {}).get("ports", [])
                expect(service["port"] in [{"name": port["name"]} for port in ports], f"ingress: there is no {service}")
    controller = kinds["ConfigMap"]["ingress-nginx-controller"]
    namespace, _, name = controller["data"]["proxy-set-headers"].partition("/")
    headers = kinds["ConfigMap"].get(name, {"data": {}, "metadata": {}})
    expect(headers["metadata"].get("namespace") == namespace, f"ingress: there is no {namespace}/{name}")
    for key in ("use-forwarded-headers", "compute-full-forwarded-for", "use-proxy-protocol"):
        expect(controller["data"].get(key) == "false", f"ingress: {key} lets clients say who they are")
    conf = (root / "deploy/nginx/fleet.conf").read_text()
    # Those that nginx empties, or passes on from a proxy of our own only; the others the controller writes itself.
    dropped = set(re.findall(r"proxy_set_header (\S+) (?:\$quartermaster_\w+|\"\");", conf))
    dropped -= {"Connection", "X-Forwarded-For"}
    cleared = {key for key, value in headers["data"].items() if value == ""}
    expect(len(dropped) >= 8 and dropped == cleared, f"ingress: clears {cleared} of {dropped}")


def compose():
    path = root / "deploy/compose/compose.yaml"
    document = yaml.safe_load(path.read_text())
    validate(document, json.loads((here / "compose.schema.json").read_text()), path.name)
    services = document["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            expect(other in services, f"{name}: there is no service {other}")
        for network in service.get("networks", []):
            expect(network in document["networks"], f"{name}: there is no network {network}")
        for secret in service.get("secrets", []):
            expect(secret in document["secrets"], f"{name}: there is no secret {secret}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                expect((path.parent / source).exists(), f"{name}: there is no {source}")
            else:
                expect(source in document["volumes"], f"{name}: there is no volume {source}")
        expect(service["restart"] in ("always", "unless-stopped"), f"{name}: stays down after the machine was started")
        if "build" in service:
            context = path.parent / service["build"]["context"]
            expect((context / service["build"]["dockerfile"]).exists(), f"{name}: there is no Dockerfile")
            expect("--redis" not in service["command"], f"{name}: the URL, which has a password, is in the command line")
    # Redis goes into `dir` as soon as it reads the word, so it has to be there: it cannot be put right on the command line.
    lines = (root / "deploy/redis/redis.conf").read_text().splitlines()
    folders = [line.split()[1] for line in lines if line.startswith("dir ")]
    redis = services["redis"]
    expect("--dir" not in redis["command"], "redis: its directory is redis.conf's to say")
    expect([redis.get("working_dir")] == folders, f"redis: the image gives it {redis.get('working_dir')}, not {folders}")
    mounted = [volume.split(":")[1] for volume in redis["volumes"] if volume.split(":")[0] in document["volumes"]]
    expect(mounted == folders, f"redis: keeps {mounted}, not {folders}")
    # What the balancer's start puts in place of the file's own addresses.
    lines = (root / "deploy/nginx/fleet.conf").read_text()
    words = services["balancer"]["command"][-1]
    for address in ["127.0.0.1:8081", "127.0.0.1:8082", "listen 127.0.0.1:8000"]:
        expect(address in lines and address in words, f"balancer: {address} is not replaced")


kubernetes()
compose()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
