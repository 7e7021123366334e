"""Validates the OpenAPI document in a file and prints the number of its examples and a list of mistakes.

The document must be valid OpenAPI 3.1, and every example in it must match its schema.
"""

import json
import sys

import jsonschema_rs
from openapi_spec_validator import OpenAPIV31SpecValidator


def examples(value, path="#"):
    """Yields the path, the schema and the value of each example."""
    if isinstance(value, dict):
        if "schema" in value and "example" in value:
            yield path, value["schema"], value["example"]
        if "type" in value and isinstance(value.get("examples"), list):
            for example in value["examples"]:
                yield path, value, example
        for key, member in value.items():
            if key != "example":
                yield from examples(member, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from examples(item, f"{path}/{index}")


def main(file):
    with open(file, encoding="utf-8") as opened:
        document = json.load(opened)
    mistakes = [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()]
    count = 0
    for path, schema, example in examples(document):
        count += 1
        # References in the schema point to the components of the document.
        schema = {**schema, "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        mistakes += [f"{path}: {error}" for error in validator.iter_errors(example)]
    print(json.dumps({"examples": count, "mistakes": mistakes}))


main(sys.argv[1])
