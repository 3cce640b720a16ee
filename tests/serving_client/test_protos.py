"""Our message definitions against the compiled file and against TensorFlow Serving's own."""

import contextlib
import importlib.util
import pathlib
import subprocess
import sys
import types

from google.protobuf import descriptor, descriptor_pb2, descriptor_pool
import pytest

from serving_client import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]


def our_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """Returns the compiled files whose messages are TensorFlow's and TensorFlow Serving's."""
    data = (ROOT / "serving_client" / "protos.binpb").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(data).file
    return [file for file in files if file.package.startswith("tensorflow")]


def message_names(messages: list[descriptor_pb2.DescriptorProto], prefix: str) -> list[str]:
    """Returns the full names of messages and of the messages inside them."""
    names = []
    for message in messages:
        name = f"{prefix}.{message.name}"
        names += [name, *message_names(list(message.nested_type), name)]
    return names


def facts(field: descriptor.FieldDescriptor) -> dict:
    """Returns everything about a field that its bytes and its Python face depend on."""
    proto = descriptor_pb2.FieldDescriptorProto()
    message = descriptor_pb2.DescriptorProto()
    field.containing_type.CopyToProto(message)
    proto.CopyFrom(next(own for own in message.field if own.name == field.name))
    return {
        "full name": field.full_name,
        "number": proto.number,
        "type": proto.type,
        "type name": proto.type_name,
        "label": proto.label,
        "packed": proto.options.packed,
        "oneof": field.containing_oneof.full_name if field.containing_oneof else None,
    }


@pytest.fixture(scope="module")
def official_pool() -> descriptor_pool.DescriptorPool:
    """The default pool, after the official modules filled it."""
    from tensorflow_serving.apis import model_service_pb2_grpc  # noqa: F401
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: F401
    from tensorflow_serving.apis import prediction_service_pb2_grpc  # noqa: F401

    # 2.15's two service files are for protobuf 3: each adds its descriptor, then fails on
    # "attribute 'has_options' ... is not writable".
    for name in ("model_service_pb2", "prediction_service_pb2"):
        with contextlib.suppress(AttributeError):
            importlib.import_module(f"tensorflow_serving.apis.{name}")

    return descriptor_pool.Default()


@pytest.fixture(scope="module")
def compiler() -> types.ModuleType:
    """scripts/compile_protos.py as a module."""
    pytest.importorskip("grpc_tools")
    path = ROOT / "scripts" / "compile_protos.py"
    spec = importlib.util.spec_from_file_location("compile_protos", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_descriptors_are_what_the_proto_files_compile_to(compiler):
    committed = descriptor_pb2.FileDescriptorSet.FromString(compiler.RESULT.read_bytes())
    compiled = compiler.compile_protos()
    assert [file.name for file in compiled.file] == [file.name for file in committed.file]
    for new, old in zip(compiled.file, committed.file):
        compiler.drop_json_names(old.message_type)
        if not new.name.startswith("google/"):  # those come with the compiler's release
            assert new == old


def test_every_field_of_ours_is_the_official_one(official_pool):
    names = [
        name for file in our_files() for name in message_names(file.message_type, file.package)
    ]
    assert "tensorflow.serving.PredictRequest.InputsEntry" in names
    for name in names:
        ours = wire.POOL.FindMessageTypeByName(name)
        official = official_pool.FindMessageTypeByName(name)
        for field in ours.fields:
            assert facts(field) == facts(official.fields_by_name[field.name])


def test_every_enum_value_of_ours_is_the_official_one(official_pool):
    for name in (
        "tensorflow.DataType",
        "tensorflow.error.Code",
        "tensorflow.serving.ModelType",
        "tensorflow.serving.ModelVersionStatus.State",
    ):
        official = official_pool.FindEnumTypeByName(name).values_by_name
        for value in wire.POOL.FindEnumTypeByName(name).values:
            assert official[value.name].number == value.number


def test_services_have_the_official_calls_and_messages(official_pool):
    for service, methods in wire.SERVICES.items():
        official = official_pool.FindServiceByName(service).methods_by_name
        assert set(official) == set(methods)
        for name, method in methods.items():
            assert official[name].input_type.full_name == method.request.DESCRIPTOR.full_name
            assert official[name].output_type.full_name == method.response.DESCRIPTOR.full_name
            assert method.path == f"/{service}/{name}"


def test_import_brings_no_tensorflow_and_leaves_the_default_pool_alone():
    program = """
import sys
import serving_client
from serving_client import wire
from google.protobuf import descriptor_pool
assert not [name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "absl")]
try:
    descriptor_pool.Default().FindMessageTypeByName("tensorflow.serving.PredictRequest")
except KeyError:
    print("free")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "free\n"
