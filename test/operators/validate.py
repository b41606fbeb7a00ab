"""Holds documents to Kubernetes' own schemas: {"versions": [...], "documents": [...]} in, a list of [version, what, error] out."""

import json
import sys

import kubernetes_validate

asked = json.load(sys.stdin)
found = []
for version in asked["versions"]:
    for document in asked["documents"]:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            what = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
            found.append([version, what, f"{'.'.join(str(part) for part in error.path)}: {error.message}"])
json.dump(found, sys.stdout)
