"""Compiles serving_client/protos/*.proto to the descriptor set that the client loads.

Run it after every change of those files, from anywhere:

    python scripts/compile_protos.py

It needs grpcio-tools (the `dev` extra). The result, serving_client/protos.binpb, is committed, so
that installing and running need no compiler.
"""

import pathlib
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROTOS = ROOT / "serving_client" / "protos"
RESULT = ROOT / "serving_client" / "protos.binpb"


def compile_protos() -> descriptor_pb2.FileDescriptorSet:
    """Returns the descriptors of all our files and of what they import, dependencies first.

    The json_name of each field is dropped: protobuf derives it again from the field's name.

    Raises:
        RuntimeError: A file does not compile; protoc has printed why.
    """
    sources = [str(path.relative_to(ROOT)) for path in sorted(PROTOS.glob("*.proto"))]
    with tempfile.TemporaryDirectory() as work:
        result = pathlib.Path(work) / "protos.binpb"
        # A process of its own: the compiler crashes in one that has imported TensorFlow.
        compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}"]
        outputs = ["--include_imports", f"--descriptor_set_out={result}"]
        if subprocess.run([*compiler, *outputs, *sources], cwd=ROOT).returncode != 0:
            raise RuntimeError(f"protoc failed on {', '.join(sources)}.")
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes())
    for file in descriptors.file:
        drop_json_names(file.message_type)
    return descriptors


def drop_json_names(messages: "list[descriptor_pb2.DescriptorProto]") -> None:
    """Clears json_name in the fields of messages and of the messages inside them."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        drop_json_names(message.nested_type)


if __name__ == "__main__":
    try:
        RESULT.write_bytes(compile_protos().SerializeToString(deterministic=True))
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"Wrote {RESULT.relative_to(ROOT)}.")
