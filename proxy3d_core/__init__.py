"""Proxy3D without ROS: frames in, a scene of objects and 3D proxies, spatial answers out.

Importing this package is cheap: neither torch nor any ROS package is imported.

Conventions (REP-103, REP-105, REP-118), used everywhere unless a docstring says otherwise:

* metres, radians, seconds; stamps are integer nanoseconds;
* the fixed frame has z up; a camera frame is optical (x right, y down, z forward);
* a pose is a 4x4 matrix ``fixed_from_camera``: it maps camera points to the fixed frame, and its last column is the
  camera centre;
* depth images are float32 metres, 0 where there is no measurement.
"""

__version__ = "0.1.0"
