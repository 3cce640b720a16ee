"""Users' values as what a model takes: tensors of a signature's dtypes, and tf.Examples.

A value is only changed where nothing is lost: whole floats become integers, integers become floats,
0 and 1 become bools, float64 is rounded to the model's float type. Text is never read as a number.
"""

from typing import Any, Mapping, Optional

from google.protobuf import message
import numpy as np

from serving_client import errors, metadata, wire


def encode_inputs(
    signature: metadata.Signature, inputs: Mapping[str, Any], check_shapes: bool = True
) -> dict[str, Any]:
    """Returns a TensorProto for each input.

    Args:
        signature: Says the names, dtypes and shapes.
        inputs: Array, number, text or nested list by input name.
        check_shapes: Whether a value must have the shape that the signature states; otherwise it is
            left to the server, which accepts what the graph accepts.

    Raises:
        errors.InputError: A name is missing or unknown, or a value does not fit its dtype or shape.
    """
    missing = signature.inputs.keys() - signature.optional_inputs - inputs.keys()
    unknown = inputs.keys() - signature.inputs.keys()
    if missing or unknown:
        parts = [f"missing: {', '.join(sorted(missing))}"] if missing else []
        parts += [f"unknown: {', '.join(sorted(map(str, unknown)))}"] if unknown else []
        takes = "; ".join(str(spec) for spec in signature.inputs.values())
        raise errors.InputError(
            f"The inputs do not fit signature {signature.name!r} ({'; '.join(parts)}); "
            f"it takes {takes}."
        )
    return {
        name: encode_input(signature.inputs[name], value, check_shapes)
        for name, value in inputs.items()
    }


def _check_shape(spec: metadata.TensorSpec, shape: list[int]) -> None:
    """Raises errors.InputError if spec states another shape than the one of a value."""
    if spec.shape is None:
        return
    fits = len(shape) == len(spec.shape) and all(
        wanted in (None, size) for wanted, size in zip(spec.shape, shape)
    )
    if not fits:
        raise errors.InputError(
            f"Input {spec.name!r} takes the shape [{', '.join(spec.shown_sizes)}]; got {shape}."
        )


def encode_input(spec: metadata.TensorSpec, value: Any, check_shapes: bool = True) -> Any:
    """Returns one value as a TensorProto of the dtype of spec.

    Raises:
        errors.InputError: It does not fit its dtype or shape.
    """
    data_type = wire.base_data_type(spec.data_type)
    try:
        if spec.dtype != "string":
            value = to_numbers(value, wire.numpy_dtype(data_type))
        tensor = wire.to_tensor_proto(value, data_type=data_type)
    except (wire.TensorError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise errors.InputError(f"Input {spec.name!r} takes {spec.dtype}: {reason}.") from error
    if check_shapes:
        _check_shape(spec, [dim.size for dim in tensor.tensor_shape.dim])
    return tensor


def travels_as_memory(spec: metadata.TensorSpec) -> bool:
    """Says whether the elements of an input stand in a request as they stand in an array's memory."""
    data_type = wire.base_data_type(spec.data_type)
    try:
        found = wire.memory_field(wire.numpy_dtype(data_type))
    except wire.TensorError:
        return False
    return found is not None and found[0] == data_type


def fitting_array(
    spec: metadata.TensorSpec, value: Any, check_shapes: bool = True
) -> Optional[np.ndarray]:
    """Returns value as the array of numbers that an input takes which `travels_as_memory`.

    Returns:
        None if the value does not fit.
    """
    try:
        array = to_numbers(value, wire.numpy_dtype(wire.base_data_type(spec.data_type)))
        if check_shapes:
            _check_shape(spec, list(array.shape))
    except ValueError:
        return None
    return array


def to_numbers(value: Any, dtype: np.dtype) -> np.ndarray:
    """Returns numbers as an array of dtype, same shape, without losing any.

    Args:
        value: Array, number or nested list of numbers of one shape.
        dtype: A bool, integer, float or complex dtype.

    Raises:
        ValueError: Something is not a number, does not fit into dtype, or the rows differ in length.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"rows of different lengths or mixed types ({error})") from error
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        raise ValueError(_first_non_number(np.asarray(value, dtype=object)))
    if array.dtype == dtype:
        return array
    if dtype == np.uint64 and array.dtype.kind == "f":
        exact = np.asarray(value, dtype=object)  # NumPy makes floats of [1, 2**63]
        if all(isinstance(one, int) and 0 <= one < 2**64 for one in exact.flat):
            return exact.astype(dtype)
    if dtype.kind == "c":
        return array.astype(dtype)
    if array.dtype.kind == "c":
        raise ValueError("complex numbers do not fit")
    with np.errstate(all="ignore"):
        lost = _lost(array, dtype)
        if not lost.any():
            return array.astype(dtype)
    place = tuple(np.argwhere(lost)[0].tolist())
    raise ValueError(f"{array[place]}{_at(place)} does not fit")


def _lost(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Says of each element whether casting to dtype, real, loses it; same shape."""
    if dtype.kind not in "biu":
        return np.isinf(array.astype(dtype)) & ~np.isinf(array.astype(np.float64))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if array.dtype.kind not in "biu":
        # As floats: high itself may have no exact float, the power of two after it has.
        return ~((array >= float(low)) & (array < float(high + 1)) & (array == np.floor(array)))
    if array.size == 0 or (low <= int(array.min()) and int(array.max()) <= high):
        return np.zeros(array.shape, bool)
    inside = [low <= element <= high for element in array.ravel().tolist()]
    return ~np.array(inside).reshape(array.shape)


def _first_non_number(array: np.ndarray) -> str:
    """Returns what is wrong with an array of objects that are not all numbers."""
    for place in np.ndindex(array.shape):
        element = array[place]
        if isinstance(element, (str, bytes)) or not isinstance(element, (int, float, complex)):
            return f"{element!r}{_at(place)} is not a number"
    return "a number beyond 64 bits does not fit"


def _at(place: tuple[int, ...]) -> str:
    """Returns the words for a place in an array; none for a scalar."""
    return f" at {list(place)}" if place else ""


def make_example(features: Any) -> Any:
    """Returns one row as a tf.Example.

    Args:
        features: A value or a flat list of values by feature name: text and bytes become a bytes
            list, bools and integers an int64 list, floats a float list; None leaves the feature
            out. An Example (ours or TensorFlow's) or a serialised one is taken as it is.

    Raises:
        errors.InputError: A value is none of these, or the bytes are no Example.
    """
    if isinstance(features, bytes):
        try:
            return wire.Example.FromString(features)
        except message.DecodeError as error:
            raise errors.InputError(f"{features[:40]!r} is no serialised tf.Example.") from error
    if not isinstance(features, Mapping):
        return wire.adopt(features, wire.Example)
    example = wire.Example()
    for name, value in features.items():
        if value is not None:
            _fill_feature(example.features.feature[name], name, value)
    return example


def _fill_feature(feature: Any, name: str, value: Any) -> None:
    """Writes value, flattened, into the list of a Feature that its type asks for."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    elements = _flat(value)
    if not elements:
        return  # a list of no kind is what parsers take as missing
    if all(isinstance(element, (str, bytes)) for element in elements):
        feature.bytes_list.value.extend(
            element.encode() if isinstance(element, str) else element for element in elements
        )
    elif all(isinstance(element, int) for element in elements):
        beyond = [element for element in elements if not -(2**63) <= element < 2**63]
        if beyond:
            raise errors.InputError(f"Feature {name!r}: {beyond[0]} does not fit into int64.")
        feature.int64_list.value.extend(map(int, elements))  # protobuf takes no bools here
    elif all(isinstance(element, (int, float)) for element in elements):
        feature.float_list.value.extend(elements)
    else:
        raise errors.InputError(
            f"Feature {name!r} takes numbers, or text and bytes; got {value!r}."
        )


def _flat(value: Any) -> list:
    """Returns the elements of nested lists, or value alone, as one list."""
    if isinstance(value, (list, tuple)):
        return [element for item in value for element in _flat(item)]
    return [value]
