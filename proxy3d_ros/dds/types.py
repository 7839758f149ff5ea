"""ROS 2 messages without ROS 2: definitions, messages with defaults, CDR bytes, type hashes.

The definitions are those of ROS 2 Jazzy in ``rosbags``, this package's own ``msg/`` and ``srv/``, and the few below
that ``rosbags`` does not have. A type is named as ROS 2 names it: ``geometry_msgs/msg/Point``; the two halves of a
service are ``proxy3d_ros/srv/AskSpatial_Request`` and ``..._Response``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from proxy3d_core.sequences.ros_types import VISION_MESSAGES
from proxy3d_ros.share import PACKAGE, share_dir

_DEFINITIONS = VISION_MESSAGES | {
    "std_srvs/srv/Trigger": "---\nbool success\nstring message",
    "std_srvs/srv/SetBool": "bool data\n---\nbool success\nstring message",
}

# The one default value in the definitions in use here; rosbags keeps none.
_FIELD_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"geometry_msgs/msg/Quaternion": {"w": 1.0}}

# Has a field of type char, which ROS 2 hashes as uint8 and rosbags does not.
_HASHES = {
    "rmw_dds_common/msg/ParticipantEntitiesInfo": (
        "RIHS01_91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e"
    )
}

_NUMPY = {"bool": np.bool_, "byte": np.uint8, "char": np.uint8} | {
    name: np.dtype(name).type
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
}


@cache
def store() -> Any:
    """The type store (built once)."""
    typestore = get_typestore(Stores.ROS2_JAZZY)
    definitions = dict(_DEFINITIONS)
    for kind in ("msg", "srv"):
        for path in sorted((share_dir() / kind).glob(f"*.{kind}")):
            definitions[f"{PACKAGE}/{kind}/{path.stem}"] = path.read_text()
    for name in list(definitions):
        if "/srv/" in name:
            definitions[f"{name}_Request"], _, definitions[f"{name}_Response"] = definitions.pop(name).partition("---")
    types: dict[str, Any] = {}
    for name, text in definitions.items():
        # The parser knows messages only: it reads the half of a service as a message, which then gets its own name.
        (parsed,) = get_types_from_msg(text, name.replace("/srv/", "/msg/")).values()
        types[name] = parsed
    typestore.register(types)
    return typestore


def fields_of(type_name: str) -> list[tuple[str, Any]]:
    """Names and type descriptions (rosbags' own form) of a type's fields.

    Raises:
        KeyError: an unknown type.
    """
    try:
        fields: list[tuple[str, Any]] = store().get_msgdef(type_name).fields
    except KeyError as error:
        raise KeyError(f"message type {type_name!r} is not known (missing: {error})") from None
    return fields


def type_hash(type_name: str) -> str:
    """REP-2016 type hash, ``RIHS01_...``."""
    return _HASHES.get(type_name) or str(store().hash_rihs01(type_name))


def serialize(type_name: str, message: Any) -> memoryview:
    """CDR bytes with the 4-byte encapsulation header."""
    cdr: memoryview = store().serialize_cdr(message, type_name)
    return cdr


def deserialize(type_name: str, cdr: bytes | memoryview) -> Any:
    """A message from CDR bytes; large arrays are views of ``cdr``.

    Raises:
        rosbags.serde.SerdeError: the bytes are no such message.
    """
    return store().deserialize_cdr(memoryview(cdr), type_name)


def new(type_name: str, /, **fields: Any) -> Any:
    """A message; fields that are not given have their defaults (0, "", empty, an identity quaternion).

    Sequences may be lists, tuples or numpy arrays of any number type.

    Raises:
        KeyError: an unknown type.
        TypeError: a field that the type does not have, or a list of the wrong length.
    """
    cls, makers = _makers(type_name)
    values = {name: make(fields.pop(name, None)) for name, make in makers.items()}
    if fields:
        raise TypeError(f"{type_name} has no field {sorted(fields)}; it has {list(makers)}")
    return cls(**values)


@cache
def _makers(type_name: str) -> tuple[type, dict[str, Callable[[Any], Any]]]:
    defaults = _FIELD_DEFAULTS.get(type_name, {})
    makers = {name: _maker(f"{type_name}.{name}", desc, defaults.get(name)) for name, desc in fields_of(type_name)}
    return store().types[type_name], makers


def _maker(where: str, desc: Any, default: Any) -> Callable[[Any], Any]:
    """A function that turns what a caller gives (None = nothing) into what the CDR writer wants."""
    kind, detail = desc
    if kind == Nodetype.NAME:
        return lambda value: new(detail) if value is None else value
    if kind == Nodetype.BASE:
        convert: Callable[[Any], Any]
        base = detail[0]
        convert = str if base == "string" else bool if base == "bool" else float if base.startswith("float") else int
        default = convert() if default is None else default
        return lambda value: default if value is None else convert(value)
    (kind_inside, inside), length = detail
    count = length if kind == Nodetype.ARRAY else 0

    def checked(values: Any) -> Any:
        if count and len(values) != count:
            raise TypeError(f"{where} needs {count} values, not {len(values)}")
        return values

    if kind_inside == Nodetype.BASE and inside[0] != "string":
        dtype = _NUMPY[inside[0]]

        def numbers(value: Any) -> Any:
            if value is None:
                return np.zeros(count, dtype)
            if isinstance(value, (bytes, bytearray, memoryview)):
                value = np.frombuffer(value, np.uint8)
            return checked(np.ascontiguousarray(value, dtype).reshape(-1))

        return numbers

    def items(value: Any) -> Any:
        if value is None:
            return [new(inside) if kind_inside == Nodetype.NAME else "" for _ in range(count)]
        return checked(list(value))

    return items
