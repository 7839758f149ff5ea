"""ROS names: namespaces, ``~``, remappings, and the names that ROS 2 gives its DDS topics and types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy3d_core.errors import BadInput

_VALID = re.compile(r"/([A-Za-z_][A-Za-z0-9_]*)(/[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True)
class Names:
    """How the names of one node are resolved.

    Attributes:
        node: the node's name.
        namespace: absolute, such as ``/`` or ``/robot1``.
        remaps: full name to full name.
    """

    node: str
    namespace: str = "/"
    remaps: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, node: str, namespace: str = "/", remaps: Iterable[str] = ()) -> Names:
        """From a namespace with or without slashes and rules such as ``rgb/image:=/camera/color/image_raw``.

        ``__ns:=/robot1`` and ``__node:=name`` work as they do for every ROS 2 node.

        Raises:
            BadInput: a rule or a name that ROS 2 would not accept.
        """
        rules = []
        for rule in remaps:
            left, found, right = rule.partition(":=")
            if not (found and left and right):
                raise BadInput(f"remapping {rule!r} is not of the form from:=to")
            if left == "__ns":
                namespace = right
            elif left in ("__node", "__name"):
                node = right
            else:
                rules.append((left, right))
        names = cls(node, "/" + namespace.strip("/"))
        names.resolve("~")
        names.remaps.update({names.resolve(left): names.resolve(right) for left, right in rules})
        return names

    def resolve(self, name: str) -> str:
        """Full name: absolute as it is, ``~/x`` below the node, else in the namespace; then remapped.

        Raises:
            BadInput: not a valid ROS 2 name.
        """
        prefix = self.namespace.rstrip("/")
        if name == "~" or name.startswith("~/"):
            full = f"{prefix}/{self.node}{name[1:]}"
        else:
            full = name if name.startswith("/") else f"{prefix}/{name}"
        if not _VALID.fullmatch(full):
            raise BadInput(
                f"{full!r} is not a valid ROS name; parts between slashes are letters, digits and _, no digit first"
            )
        return self.remaps.get(full, full)


def topic(name: str) -> str:
    """DDS topic of a ROS topic."""
    return f"rt{name}"


def request_topic(name: str) -> str:
    """DDS topic of a service's requests."""
    return f"rq{name}Request"


def reply_topic(name: str) -> str:
    """DDS topic of a service's replies."""
    return f"rr{name}Reply"


def dds_type(type_name: str) -> str:
    """``sensor_msgs/msg/Image`` to ``sensor_msgs::msg::dds_::Image_``."""
    package, kind, name = type_name.split("/")
    return f"{package}::{kind}::dds_::{name}_"


def ros_type(type_name: str) -> str:
    """The reverse of ``dds_type``; other names stay as they are."""
    return re.sub(r"^(\w+)::(\w+)::dds_::(\w+)_$", r"\1/\2/\3", type_name)
