"""Strategies of Hypothesis: what a server, its files and its client may be given."""

import json
from typing import Any

from hypothesis import strategies as st

from serving_client import wire

# What the served models know, and what they do not.
_TEXTS = ["plain", "examples", "x", "y", "a", "b", "sum", "inputs", "serving_default", "regression"]
_TEXTS += [
    "classification",
    "signature_def",
    "tensorflow/serving/regress",
    "tensorflow",
    "",
    "..",
    "\0",
]
_INTEGERS = [0, 1, 2, 3, 5, 7, -1, 255, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63)]
_FLOATS = [0.0, -0.0, 1.5, 1e300, float("inf"), float("nan")]
_MOST_EDITS = 8


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds with bytes changed, taken away, put in or repeated."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, _MOST_EDITS))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "repeat", "end"]))
        if kind == "flip" and place < len(data):
            data[place] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 16))]
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "repeat":
            data[place:place] = data[place : place + draw(st.integers(1, 32))]
        else:
            del data[place:]
    return bytes(data)


@st.composite
def messages(draw: st.DrawFn, cls: Any) -> bytes:
    """A message of this class with random fields, serialized."""
    message = cls()
    _fill(draw, message, 6)
    return message.SerializeToString()


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    for field in draw(st.lists(st.sampled_from(fields), max_size=5, unique_by=lambda f: f.name)):
        holder = getattr(message, field.name)
        if field.message_type is None:
            value = _scalar(field)
            if isinstance(holder, (str, bytes, int, float)):
                setattr(message, field.name, draw(value))
            else:
                holder.extend(draw(st.lists(value, max_size=4)))
        elif depth > 0:
            if field.message_type.GetOptions().map_entry:
                _fill_map(draw, holder, field.message_type.fields_by_name, depth)
            elif hasattr(holder, "DESCRIPTOR"):
                holder.SetInParent()
                _fill(draw, holder, depth - 1)
            else:
                for _ in range(draw(st.integers(0, 3))):
                    _fill(draw, holder.add(), depth - 1)


def _fill_map(draw: st.DrawFn, holder: Any, entry: Any, depth: int) -> None:
    for key in draw(st.lists(_scalar(entry["key"]), max_size=3)):
        if entry["value"].message_type is None:
            holder[key] = draw(_scalar(entry["value"]))
        else:
            _fill(draw, holder[key], depth - 1)


def _scalar(field: Any) -> st.SearchStrategy:
    """Values of a field that is no message."""
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return st.binary(max_size=24)
        return st.sampled_from(_TEXTS) | st.text(st.characters(codec="utf-8"), max_size=8)
    if kind == field.CPPTYPE_BOOL:
        return st.booleans()
    if kind == field.CPPTYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values]) | st.just(99)
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return st.sampled_from(_FLOATS)
    bits, signed = {
        field.CPPTYPE_INT32: (32, True),
        field.CPPTYPE_UINT32: (32, False),
        field.CPPTYPE_INT64: (64, True),
        field.CPPTYPE_UINT64: (64, False),
    }[kind]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return st.sampled_from([number for number in _INTEGERS if low <= number < high])


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([*_INTEGERS, 10**30, 10**400])
    | st.sampled_from(_FLOATS)
    | st.sampled_from([*_TEXTS, "\ud800", "\udcff"])
    | st.builds(lambda text: {"b64": text}, st.sampled_from(["", "AAAA", "!", "A"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(_TEXTS), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ["instances", "inputs", "examples", "context", "signature_name", "other"]
_BODIES = [
    b'{"instances": [[1.0], [2.5]]}',
    b'{"signature_name": "sum", "inputs": {"a": [1.0, 2.0], "b": [[3.0]]}}',
    b'{"signature_name": "types", "instances": [{"string": {"b64": "AAAA"}, "bool": true}]}',
    b'{"signature_name": "regression", "examples": [{"x": [1.0, 2.0]}], "context": {"y": "z"}}',
    b'{"instances": [NaN, -Infinity, 1e5, "\\u00e4\\ud83d\\ude00"]}',
]
_PARTS = ["v1", "models", "plain", "examples", "versions", "labels", "5", "3", "metadata", "..", ""]
_PARTS += ["%2e%2e", "%00", "%ff", "plain:predict", "examples:classify", "99999999999999999999"]
_PATHS = [b"/v1/models/plain:predict", b"/v1/models/examples/versions/3:classify", b"/models.json"]


@st.composite
def rest_requests(draw: st.DrawFn) -> bytes:
    """`METHOD path`, a newline, and the body."""
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "OPTIONS", "PUT", "HEAD"]))
    known = [f"/v1/models/plain:{verb}" for verb in ("predict", "classify", "regress")]
    known += [path.replace("plain", "examples") for path in known]
    path = draw(
        st.sampled_from(known)
        | st.lists(st.sampled_from(_PARTS), max_size=7).map(lambda parts: "/" + "/".join(parts))
        | mutated(_PATHS).map(_printable)
    )
    body = draw(
        st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=3).map(
            lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
        )
        | mutated(_BODIES)
        | st.binary(max_size=40)
    )
    return f"{method} {path}\n".encode() + body


def _printable(path: bytes) -> str:
    return "/" + "".join(chr(byte) for byte in path if 33 <= byte < 127 and byte != 35)


def real_requests() -> dict[str, list[bytes]]:
    """Call -> requests that succeed."""
    predict = wire.PredictRequest()
    predict.model_spec.name = "plain"
    predict.model_spec.version.value = 5
    predict.inputs["x"].CopyFrom(wire.to_tensor_proto([[1.0], [2.0]], as_content=False))
    types = wire.PredictRequest()
    types.model_spec.name, types.model_spec.signature_name = "plain", "sum"
    types.inputs["a"].CopyFrom(wire.to_tensor_proto([1.0, 2.0]))
    types.inputs["b"].CopyFrom(wire.to_tensor_proto([[3.0], [4.0]]))
    types.output_filter.append("sum")
    example = wire.Example()
    example.features.feature["x"].float_list.value.extend([1.0, 2.0])
    classify = wire.ClassificationRequest()
    classify.model_spec.name = "examples"
    classify.model_spec.signature_name = "classification"
    classify.input.example_list_with_context.examples.add().CopyFrom(example)
    regress = wire.RegressionRequest()
    regress.model_spec.name, regress.model_spec.signature_name = "examples", "regression"
    regress.input.example_list.examples.add().CopyFrom(example)
    several = wire.MultiInferenceRequest(input=regress.input)
    for name, method in (("classification", "classify"), ("regression", "regress")):
        task = several.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "examples", name
    metadata = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
    metadata.model_spec.name = "plain"
    status = wire.GetModelStatusRequest()
    status.model_spec.name = "examples"
    named = {
        "Predict": [predict, types],
        "Classify": [classify],
        "Regress": [regress],
        "MultiInference": [several],
        "GetModelMetadata": [metadata],
        "GetModelStatus": [status],
    }
    return {name: [each.SerializeToString() for each in seeds] for name, seeds in named.items()}


def grpc_requests(name: str, seeds: list[bytes]) -> st.SearchStrategy:
    """Messages of a call: random fields, edited real ones, and noise."""
    return messages(wire.METHODS[name].request) | mutated(seeds) | st.binary(max_size=60)


RAW_BYTES = st.binary(max_size=200) | mutated(
    [
        b"POST /v1/models/plain:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"
        + _BODIES[0],
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhallo\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\n" * 2,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + bytes.fromhex(
            "00000c04000000000000030000006400040000ffff0000080600000000000000000000000000"
        ),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + bytes.fromhex("000000040000000000000003010400000001838684000000000100000001"),
    ]
)

_TEXT_FILES = [
    b'model_config_list { config { name: "a" base_path: "/m/a" model_platform: "tensorflow" '
    b"model_version_policy { specific { versions: 1 } } version_labels { key: 's' value: 1 } } }",
    b'server_key: "-----BEGIN PRIVATE KEY-----\\nAAAA" server_cert: "c" client_verify: false',
    b'prometheus_config { enable: true path: "/metrics" }',
    b"max_batch_size { value: 8 } batch_timeout_micros { value: 0 } allowed_batch_sizes: 8",
]
TEXT_FILES = mutated(_TEXT_FILES) | st.binary(max_size=60)
TENSORS = messages(wire.TensorProto) | mutated(
    [
        wire.to_tensor_proto([[1.0, 2.0]], as_content=False).SerializeToString(),
        wire.to_tensor_proto([1, 2, 3]).SerializeToString(),
        wire.to_tensor_proto(["a", "bc"]).SerializeToString(),
    ]
)
