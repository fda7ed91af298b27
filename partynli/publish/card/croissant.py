"""``croissant.json``: the dataset in MLCommons' vocabulary, Croissant 1.0 with its RAI extension 1.0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from partynli.publish.card.described import Described
from partynli.publish.card.details import CardDetails
from partynli.publish.card.statements import collection, limits, missing, personal, protocol, tools, uses
from partynli.publish.tables.folder import Export

CONFORMS_TO = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
_FORMATS = {"parquet": "application/x-parquet", "csv": "text/csv", "jsonl": "application/jsonlines"}
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""As the specification gives it; readers compare it."""


def croissant_json(export: Export, details: CardDetails) -> str:
    """The dataset as Croissant, JSON-LD; the same export and details give the same text.

    Files are named by their addresses on the Hub where the details name a repository, else by their paths beside
    ``croissant.json``.
    """
    about = Described(export, details)
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": about.title,
        "description": about.summary,
        "url": details.url,
        "license": details.licence_link or details.licence_name or details.licence,
        "creator": [{"@type": "sc:Person", "name": name} for name in details.authors],
        "citeAs": about.citation,
        "dateCreated": export.run.get("created"),
        "inLanguage": list(about.languages),
        "keywords": about.tags,
        **_rai(about),
        "distribution": _distribution(about),
        "recordSet": [_records(about, config) for config in about.configs],
    }
    return json.dumps({key: value for key, value in described.items() if value}, indent=1, ensure_ascii=False) + "\n"


def _rai(about: Described) -> dict[str, Any]:
    return {
        "rai:dataCollection": collection(about),
        "rai:dataCollectionType": ["Experiments", "Software Collection"],
        "rai:dataCollectionMissingData": missing(about),
        "rai:dataAnnotationProtocol": protocol(about),
        "rai:annotationsPerItem": about.answers_an_item,
        "rai:machineAnnotationTools": tools(about),
        "rai:dataLimitations": limits(about),
        "rai:dataBiases": [
            "Models share training data and err alike: agreement among them is no sign that a label is right.",
        ],
        "rai:personalSensitiveInformation": [personal(about)],
        "rai:dataUseCases": uses(about),
    }


def _distribution(about: Described) -> list[dict[str, Any]]:
    """Every file; and for a configuration of several, the set of them, below the folder or repository."""
    export, url = about.export, about.details.url
    encoding = _FORMATS[export.kind]
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name.rsplit("/", 1)[-1],
            "contentUrl": f"{url}/resolve/main/{name}" if url else name,
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": encoding,
            "sha256": file["sha256"],
        }
        for name, file in export.files.items()
    ]
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{config}-files",
            **({"containedIn": {"@id": "repository"}} if url else {}),
            "encodingFormat": encoding,
            "includes": f"data/{config}/{export.split}-*.{export.kind}",
        }
        for config in about.configs
        if len(_files(export, config)) > 1
    ]
    return [*([_repository(url)] if url and sets else []), *files, *sets]


def _repository(url: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "repository",
        "name": "repository",
        "contentUrl": f"{url}/tree/main",
        "encodingFormat": "git+https",
        # a hash is demanded, which a repository has not; the Hub writes this address in its own descriptions
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _files(export: Export, config: str) -> list[str]:
    return [name for name, file in export.files.items() if file["config"] == config]


def _records(about: Described, config: str) -> dict[str, Any]:
    files = _files(about.export, config)
    held = {"fileSet": {"@id": f"{config}-files"}} if len(files) > 1 else {"fileObject": {"@id": files[0]}}
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{config}/{column.name}",
                "name": column.name,
                "description": column.description,
                "dataType": _TYPES[column.type],
                "source": {**held, "extract": {"column": column.name}},
            }
            for column in about.export.columns(config)
        ],
    }
