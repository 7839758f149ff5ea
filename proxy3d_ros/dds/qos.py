"""Quality of service as ROS 2 users know it, in Cyclone DDS's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cyclonedds.core import Policy, Qos
from cyclonedds.util import duration


@dataclass(frozen=True)
class Profile:
    """One ROS 2 QoS profile.

    Attributes:
        reliable: lost samples are sent again.
        transient_local: late joiners get the last samples ("latched").
        depth: how many samples are kept; None = all.
    """

    reliable: bool = True
    transient_local: bool = False
    depth: int | None = 10

    def __str__(self) -> str:
        reliability = "reliable" if self.reliable else "best effort"
        return f"{reliability}, {'transient local' if self.transient_local else 'volatile'}"

    def policies(self, user_data: str = "") -> Any:
        """The ``Qos`` of a reader or writer, with its user data."""
        history = Policy.History.KeepAll if self.depth is None else Policy.History.KeepLast(self.depth)
        policies = [
            # dds_write holds the interpreter lock, so that a reader that does not keep up may delay us only shortly.
            Policy.Reliability.Reliable(max_blocking_time=duration(milliseconds=100))
            if self.reliable
            else Policy.Reliability.BestEffort,
            Policy.Durability.TransientLocal if self.transient_local else Policy.Durability.Volatile,
            history,
            Policy.WriterDataLifecycle(autodispose=False),
            # ROS 2 writes plain CDR; a peer that describes its types may name their members in another way.
            Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
            Policy.TypeConsistency.AllowTypeCoercion(
                ignore_sequence_bounds=True,
                ignore_string_bounds=True,
                ignore_member_names=True,
                force_type_validation=False,
            ),
            Policy.Userdata(data=user_data.encode()),
        ]
        if self.transient_local:
            policies.append(Policy.DurabilityService(0, history, -1, -1, -1))
        return Qos(*policies)

    def mismatch(self, offered: Any) -> str:
        """Why a reader with this profile gets nothing from a writer with the ``offered`` Qos; empty if it does."""
        reasons = []
        if self.reliable and offered[Policy.Reliability] == Policy.Reliability.BestEffort:
            reasons.append("it is best effort, reliable is wanted")
        if self.transient_local and offered[Policy.Durability] == Policy.Durability.Volatile:
            reasons.append("it is volatile, transient local (latched) is wanted")
        return "; ".join(reasons)


DEFAULT = Profile()
SENSOR_DATA = Profile(reliable=False, depth=5)
LATCHED = Profile(transient_local=True, depth=1)
TF = Profile(depth=100)
TF_STATIC = Profile(transient_local=True, depth=100)
ROSOUT = Profile(transient_local=True, depth=1000)
# Requests and replies are never dropped because others came at the same time.
SERVICES = Profile(depth=None)
DISCOVERY = Profile(transient_local=True, depth=1)
