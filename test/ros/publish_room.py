"""A robot as a ROS 2 program: TF and camera topics of the room of boxes, over and over, best effort as drivers send."""

from __future__ import annotations

import contextlib

import numpy as np
import rclpy
from box_room import CAMERA, NAMES, render, tour
from cv_bridge import CvBridge
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import LabelInfo, VisionClass

from proxy3d_core.geometry.transforms import quaternion_from_matrix

FRAME = "camera_color_optical_frame"


class Robot(Node):
    """Publishes one view every tenth of a second."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.bridge = CvBridge()
        self.views = [render(pose) for pose in tour(12)]
        self.count = 0
        topics = {"rgb": "rgb/image", "depth": "depth/image", "labels": "semantic/labels"}
        self.images = {k: self.create_publisher(Image, t, qos_profile_sensor_data) for k, t in topics.items()}
        self.info = self.create_publisher(CameraInfo, "rgb/camera_info", qos_profile_sensor_data)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.label_info = self.create_publisher(LabelInfo, "semantic/label_info", latched)
        classes = [VisionClass(class_id=i, class_name=name) for i, name in NAMES.items()]
        self.label_info.publish(LabelInfo(class_map=classes))
        self.tf = TransformBroadcaster(self)
        self.create_timer(0.1, self.step)

    def step(self) -> None:
        view = self.views[self.count % len(self.views)]
        self.count += 1
        stamp = self.get_clock().now().to_msg()
        moved = TransformStamped(child_frame_id=FRAME)
        moved.header.frame_id, moved.header.stamp = "map", stamp
        t, q = moved.transform.translation, moved.transform.rotation
        t.x, t.y, t.z = (float(v) for v in view.pose[:3, 3])
        q.x, q.y, q.z, q.w = (float(v) for v in quaternion_from_matrix(view.pose))
        self.tf.sendTransform(moved)
        info = CameraInfo(width=CAMERA.width, height=CAMERA.height, k=CAMERA.matrix.reshape(-1).tolist())
        millimetres = np.round(view.depth * 1000).astype(np.uint16)
        images = {"labels": (view.labels, "mono8"), "rgb": (view.rgb, "rgb8"), "depth": (millimetres, "16UC1")}
        for message, publisher in [
            (info, self.info),
            *((self.bridge.cv2_to_imgmsg(image, encoding), self.images[k]) for k, (image, encoding) in images.items()),
        ]:
            message.header.frame_id, message.header.stamp = FRAME, stamp
            publisher.publish(message)


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt):
        rclpy.spin(Robot())
