"""Tensors, messages and metadata on the wire, against TensorFlow's own reading of them."""

import numpy as np
import pytest

from serving_client import tensors, wire

NUMPY_TYPES = (
    "float16 float32 float64 complex64 complex128 bool "
    "int8 int16 int32 int64 uint8 uint16 uint32 uint64"
).split()


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def apis():
    from tensorflow_serving import apis
    from tensorflow_serving.apis import get_model_metadata_pb2  # noqa: F401
    from tensorflow_serving.apis import predict_pb2  # noqa: F401

    return apis


def some_array(dtype: str) -> np.ndarray:
    """Returns a [2, 3] array with the extremes of a dtype."""
    kind = np.dtype(dtype).kind
    if kind in "iu":
        limits = np.iinfo(dtype)
        values = [limits.min, 0, 1, 2, 3, limits.max]
    elif kind == "b":
        values = [True, False, False, True, True, False]
    else:
        values = [-1.5, 0.0, 0.1, 1e-3, 2.0, 6e4]
    return np.array(values, dtype).reshape(2, 3) * (1j if kind == "c" else 1)


def tensor(name: str, shape: list, **fields) -> object:
    """Returns a TensorProto of the dtype called name."""
    proto = wire.TensorProto(dtype=wire.DATA_TYPES[name], **fields)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_array_comes_back_as_it_was(dtype, as_content):
    array = some_array(dtype).astype(dtype)
    proto = wire.to_tensor_proto(array, as_content=as_content)
    assert bool(proto.tensor_content) == as_content
    back = wire.to_array(proto)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    back[0, 0] = 0  # an array of its own


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(tf, dtype, as_content):
    array = some_array(dtype).astype(dtype)
    data = wire.to_tensor_proto(array, as_content=as_content).SerializeToString()
    np.testing.assert_array_equal(tf.io.parse_tensor(data, dtype).numpy(), array)
    np.testing.assert_array_equal(wire.to_array(tf.make_tensor_proto(array)), array)


def test_typed_field_holds_every_element_even_when_all_are_equal():
    proto = wire.to_tensor_proto(np.zeros([3], np.float32), as_content=False)
    assert list(proto.float_val) == [0.0, 0.0, 0.0]
    proto = wire.to_tensor_proto(np.ones([2], np.complex64), as_content=False)
    assert list(proto.scomplex_val) == [1.0, 0.0, 1.0, 0.0]


def test_scalars_and_empty_arrays_keep_their_shapes():
    for shape in [(), (0,), (2, 0, 3)]:
        for as_content in (True, False):
            array = np.zeros(shape, np.float32)
            assert wire.to_array(wire.to_tensor_proto(array, as_content)).shape == shape


def test_arrays_of_any_memory_layout_are_sent_row_by_row():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    for as_content in (True, False):
        back = wire.to_array(wire.to_tensor_proto(array, as_content))
        assert back.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_strings_are_bytes_objects(tf):
    proto = wire.to_tensor_proto([["é", b"\x00\xff\x00"], ["", "z"]])
    back = wire.to_array(proto)
    assert back.dtype == object
    assert back.tolist() == [["é".encode(), b"\x00\xff\x00"], [b"", b"z"]]
    assert wire.to_array(tf.make_tensor_proto(["a", "bc"])).tolist() == [b"a", b"bc"]
    parsed = tf.io.parse_tensor(proto.SerializeToString(), tf.string)
    assert parsed.numpy().tolist() == back.tolist()


def test_strings_in_tensor_content_are_read_as_tensorflow_reads_them(tf):
    long = b"x" * 300
    proto = tensor("DT_STRING", [2], tensor_content=b"\x01\xac\x02a" + long)
    assert wire.to_array(proto).tolist() == [b"a", long]
    parsed = tf.io.parse_tensor(proto.SerializeToString(), tf.string)
    assert parsed.numpy().tolist() == [b"a", long]


@pytest.mark.parametrize("content", [b"\x05a", b"\x01", b"\xff\xff", b"\x01\x01abc"])
def test_string_content_that_does_not_divide_is_refused(content):
    with pytest.raises(wire.TensorError, match="do not divide into that many strings"):
        wire.to_array(tensor("DT_STRING", [2], tensor_content=content))


@pytest.mark.parametrize(
    "proto",
    [
        tensor("DT_FLOAT", [4], float_val=[1, 2]),
        tensor("DT_FLOAT", [2], float_val=[1, 2, 3]),
        tensor("DT_DOUBLE", [2, 2]),
        tensor("DT_COMPLEX64", [3], scomplex_val=[1, 2]),
        tensor("DT_INT8", [3], int_val=[300, -1]),
        tensor("DT_UINT16", [1], int_val=[70000]),
        tensor("DT_BOOL", [3], bool_val=[True]),
        tensor("DT_HALF", [3], half_val=[15360]),
        tensor("DT_INT64", []),
        tensor("DT_STRING", [3], string_val=[b"a", b"b"]),
        tensor("DT_STRING", [2]),
        tensor("DT_QINT8", [2], int_val=[-3]),
    ],
    ids=lambda proto: wire.data_type_name(proto.dtype),
)
def test_short_and_long_fields_are_read_as_tensorflow_reads_them(tf, proto):
    parsed = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype))
    expected = parsed.numpy()
    assert wire.to_array(proto).tolist() == expected.tolist()


def test_bfloat16_is_exact_with_and_without_its_numpy_type(tf, monkeypatch):
    values = tf.constant([1.0, -2.5, 3.14], tf.bfloat16)
    expected = tf.cast(values, tf.float32).numpy()
    proto = tf.make_tensor_proto(values)
    assert wire.to_array(proto).dtype == wire.numpy_dtype(proto.dtype)
    for as_content in (True, False):
        sent = wire.to_tensor_proto(values.numpy(), as_content)
        assert tf.io.parse_tensor(sent.SerializeToString(), tf.bfloat16).numpy().tolist() == (
            values.numpy().tolist()
        )
    monkeypatch.setattr(tensors, "_bfloat16", lambda: None)
    assert wire.to_array(proto).dtype == np.float32
    np.testing.assert_array_equal(wire.to_array(proto), expected)


def test_float32_is_rounded_to_bfloat16_as_tensorflow_rounds_it(tf):
    array = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    array[:4] = np.nan, np.inf, -np.inf, -0.0
    proto = wire.to_tensor_proto(array, data_type=wire.DATA_TYPES["DT_BFLOAT16"])
    expected = tf.cast(array, tf.bfloat16)
    np.testing.assert_array_equal(
        wire.to_array(proto).astype(np.float32), tf.cast(expected, tf.float32).numpy()
    )


def test_official_tensor_is_read_like_ours(tf):
    ours = wire.to_tensor_proto(np.float32([[1, 2]]), as_content=False)
    official = type(tf.make_tensor_proto(0)).FromString(ours.SerializeToString())
    assert not isinstance(official, wire.TensorProto)
    np.testing.assert_array_equal(wire.to_array(official), [[1, 2]])


def test_content_of_the_wrong_size_is_refused():
    proto = tensor("DT_FLOAT", [2, 3], tensor_content=b"1234")
    with pytest.raises(wire.TensorError) as caught:
        wire.to_array(proto)
    assert str(caught.value) == (
        "A DT_FLOAT tensor of shape [2, 3] has 24 bytes of tensor_content; got 4."
    )


@pytest.mark.parametrize(
    "proto, sentence",
    [
        (wire.TensorProto(), "A tensor of type DT_INVALID cannot be turned into an array."),
        (
            wire.TensorProto(dtype=77),
            "A tensor of type DataType 77 cannot be turned into an array.",
        ),
        (
            tensor("DT_FLOAT", [2, -1]),
            "A tensor needs a complete shape; this DT_FLOAT tensor has [2, -1].",
        ),
        (
            tensor("DT_INT8", [2**40], int_val=[1]),
            "A DT_INT8 tensor with 1 elements claims a shape of 1099511627776 elements.",
        ),
    ],
)
def test_tensor_that_says_nothing_sensible_is_refused(proto, sentence):
    with pytest.raises(wire.TensorError) as caught:
        wire.to_array(proto)
    assert str(caught.value) == sentence


def test_what_would_take_time_by_the_square_of_its_size_is_refused_at_once():
    with pytest.raises(wire.TensorError) as caught:
        wire.to_array(tensor("DT_FLOAT", [2**62] * 300_000))
    assert str(caught.value) == (
        "A tensor has at most 254 dimensions; this DT_FLOAT tensor has 300000."
    )
    with pytest.raises(wire.TensorError, match="do not divide into that many strings"):
        wire.to_array(tensor("DT_STRING", [1], tensor_content=b"\xff" * 5_000_000))


def test_more_dimensions_than_numpy_has_are_refused():
    with pytest.raises(wire.TensorError, match="numpy has no array of shape"):
        wire.to_array(tensor("DT_FLOAT", [1] * 70))


@pytest.mark.parametrize(
    "value, sentence",
    [
        ([1, "a", None], "A string tensor holds text or bytes; got 1."),
        (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
        ([[1], [2, 3]], "The value has no tensor: "),
    ],
)
def test_value_without_a_tensor_is_refused(value, sentence):
    with pytest.raises(wire.TensorError) as caught:
        wire.to_tensor_proto(value)
    assert sentence in str(caught.value)


def test_requested_type_is_the_one_sent():
    proto = wire.to_tensor_proto([1, 2], data_type=wire.DATA_TYPES["DT_DOUBLE"])
    assert wire.data_type_name(proto.dtype) == "DT_DOUBLE"
    with pytest.raises(wire.TensorError) as caught:
        wire.to_tensor_proto(["x"], data_type=wire.DATA_TYPES["DT_DOUBLE"])
    assert "could not convert string to float" in str(caught.value)


def test_reference_types_name_the_type_they_refer_to():
    reference = wire.DATA_TYPES["DT_FLOAT_REF"]
    assert wire.base_data_type(reference) == wire.DATA_TYPES["DT_FLOAT"]
    assert wire.numpy_dtype(reference) == np.float32


def test_official_messages_are_adopted(apis):
    official = apis.predict_pb2.PredictRequest()
    official.model_spec.name = "census"
    official.model_spec.version.value = 3
    ours = wire.adopt(official, wire.PredictRequest)
    assert isinstance(ours, wire.PredictRequest)
    assert (ours.model_spec.name, ours.model_spec.version.value) == ("census", 3)
    assert wire.adopt(ours, wire.PredictRequest) is ours


def test_fields_that_we_do_not_declare_survive_adoption(apis):
    official = apis.predict_pb2.PredictRequest()
    official.predict_streamed_options.request_state = 1
    ours = wire.adopt(official, wire.PredictRequest)
    assert ours.SerializeToString() == official.SerializeToString()


def test_another_message_is_refused():
    with pytest.raises(TypeError) as caught:
        wire.adopt(wire.ModelSpec(), wire.PredictRequest)
    assert str(caught.value) == (
        "Expected a message tensorflow.serving.PredictRequest; got tensorflow.serving.ModelSpec."
    )
    with pytest.raises(TypeError, match="got dict"):
        wire.adopt({}, wire.PredictRequest)


def test_signatures_go_through_metadata(apis, tf):
    official = tf.compat.v1.saved_model.build_signature_def(method_name="predict")
    ours = wire.SignatureDef(method_name="classify")
    response = wire.GetModelMetadataResponse()
    wire.pack_signatures(response, {"a": official, "b": ours})
    back = wire.unpack_signatures(response)
    assert {name: signature.method_name for name, signature in back.items()} == {
        "a": "predict",
        "b": "classify",
    }
    read = apis.get_model_metadata_pb2.GetModelMetadataResponse.FromString(
        response.SerializeToString()
    )
    unpacked = apis.get_model_metadata_pb2.SignatureDefMap()
    assert read.metadata["signature_def"].Unpack(unpacked)
    assert unpacked.signature_def["a"].method_name == "predict"
    assert set(wire.unpack_signatures(read)) == {"a", "b"}


def test_metadata_without_signatures_has_none_and_other_metadata_is_refused():
    response = wire.GetModelMetadataResponse()
    assert wire.unpack_signatures(response) == {}
    response.metadata["signature_def"].type_url = "type.googleapis.com/other.Message"
    with pytest.raises(ValueError, match="it holds 'type.googleapis.com/other.Message'"):
        wire.unpack_signatures(response)
