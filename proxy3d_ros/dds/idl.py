"""IDL classes for Cyclone DDS that carry ready CDR bytes.

Cyclone DDS wants a class that describes the fields of each topic type. Its own serialiser walks the fields in Python
(50 ms for a 640x480 colour image), so the classes made here only describe, and take and give the CDR bytes as they are:
``proxy3d_ros.dds.types`` reads and writes those.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cyclonedds.idl import IdlStruct, types
from cyclonedds.idl._main import IdlMeta
from rosbags.interfaces import Nodetype

from proxy3d_ros.dds.types import fields_of

_PRIMITIVE: dict[str, Any] = {
    "bool": bool,
    "byte": types.byte,
    "char": types.uint8,
    "string": str,
    **{f"{sign}int{bits}": getattr(types, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": types.float32,
    "float64": types.float64,
}


@cache
def topic_class(type_name: str) -> type[Any]:
    """The class of a ROS type. Instances have one attribute, ``cdr``: the bytes with the 4-byte encapsulation header.

    The halves of a service begin with the 16 bytes by which ``rmw_cyclonedds`` tells who asked what: the client's id
    and the number of the request.

    Raises:
        KeyError: an unknown type.
    """
    package, kind, name = type_name.split("/")
    fields: dict[str, Any] = {"guid_": types.uint64, "sequence_": types.int64} if kind == "srv" else {}
    fields |= {field: _annotation(desc) for field, desc in fields_of(type_name)}

    def init(self: Any, cdr: bytes) -> None:
        self.cdr = cdr

    def serialize(self: Any, buffer: Any = None, endianness: Any = None, use_version_2: Any = None) -> bytes:
        return bytes(self.cdr)

    def deserialize(cls: Any, data: bytes, has_header: bool = True, use_version_2: Any = None) -> Any:
        return cls(data)

    # Cyclone DDS looks only at classes that derive from IdlStruct directly, so the methods cannot be inherited.
    namespace: Any = IdlMeta.__prepare__(name, (IdlStruct,), typename=f"{package}.{kind}.dds_.{name}_")
    namespace["__annotations__"].update(fields)
    namespace.update(
        __init__=init,
        serialize=serialize,
        deserialize=classmethod(deserialize),
        deserialize_key=classmethod(deserialize),
        __module__=__name__,
    )
    return IdlMeta(name, (IdlStruct,), namespace)


def _annotation(desc: Any) -> Any:
    kind, detail = desc
    if kind == Nodetype.NAME:
        return topic_class(detail)
    if kind == Nodetype.BASE:
        base, bound = detail
        return types.bounded_str[bound] if base == "string" and bound else _PRIMITIVE[base]
    inside, length = detail
    if kind == Nodetype.ARRAY:
        return types.array[_annotation(inside), length]
    return types.sequence[_annotation(inside), length] if length else types.sequence[_annotation(inside)]
