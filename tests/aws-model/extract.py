#!/usr/bin/env python3
"""Condenses the AWS model of ECS to the input shapes of the operations Longshore takes.

    extract.py PATH/service-2.json[.gz] > ecs-2014-11-13.json

PATH is data/ecs/2014-11-13 of an installed or unpacked botocore. Only names, types, enums, required members and
bounds are kept, no prose. The model is part of botocore, Copyright Amazon.com, Inc. or its affiliates, under the
Apache License 2.0; the committed extract was made from botocore 1.44.5.
"""

import gzip
import json
import sys

OPERATIONS = ["RegisterTaskDefinition", "CreateService", "CreateCluster", "CreateCapacityProvider"]
KEPT = ["type", "enum", "required", "min", "max", "document"]


def condense(shape):
    kept = {key: shape[key] for key in KEPT if key in shape}
    if "members" in shape:
        kept["members"] = {name: member["shape"] for name, member in shape["members"].items()}
    for part in ("member", "key", "value"):
        if part in shape:
            kept[part] = shape[part]["shape"]
    return kept


def main(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        model = json.load(file)
    inputs = {name: model["operations"][name]["input"]["shape"] for name in OPERATIONS}
    shapes = {}
    waiting = list(inputs.values())
    while waiting:
        name = waiting.pop()
        if name in shapes:
            continue
        shape = shapes[name] = condense(model["shapes"][name])
        waiting += shape.get("members", {}).values()
        waiting += [shape[part] for part in ("member", "key", "value") if part in shape]
    json.dump({"inputs": inputs, "shapes": dict(sorted(shapes.items()))}, sys.stdout, indent=1)
    print()


main(sys.argv[1])
