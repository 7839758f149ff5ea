"""Start the node on a robot: ros2 launch proxy3d_ros robot.launch.py rgb:=/camera/color/image_raw ...

``--show-args`` lists the arguments. The node configures and activates itself unless autostart:=false.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

TOPICS = {
    "rgb": ("rgb/image", "Colour image."),
    "depth": ("depth/image", "Depth image, registered to colour (16UC1 millimetres or 32FC1 metres)."),
    "info": ("rgb/camera_info", "Calibration of both images."),
    "labels": ("semantic/labels", "Label image of a segmenter (optional)."),
    "label_info": ("semantic/label_info", "Names of the label ids, vision_msgs/LabelInfo (optional)."),
    "detections": ("semantic/detections", "vision_msgs/Detection2DArray of a detector (optional)."),
}

ARGUMENTS = [
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node, such as robot1."),
    DeclareLaunchArgument("params_file", default_value="", description="YAML file with parameters that you change."),
    DeclareLaunchArgument(
        "preset", default_value="proxy3d", description="Preset in config/: proxy3d (defaults), cpu, workstation."
    ),
    DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock."),
    DeclareLaunchArgument("autostart", default_value="true", description="Configure and activate at the start."),
    DeclareLaunchArgument("rviz", default_value="false", description="Start RViz, too."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error."),
    *(DeclareLaunchArgument(name, default_value=topic, description=text) for name, (topic, text) in TOPICS.items()),
]


def start(context):
    """The nodes, once the arguments are known."""
    share = FindPackageShare("proxy3d_ros")
    given = LaunchConfiguration("params_file").perform(context)
    preset = LaunchConfiguration("preset").perform(context)
    log_level = LaunchConfiguration("log_level").perform(context)
    sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    autostart = ParameterValue(LaunchConfiguration("autostart"), value_type=bool)
    node = LifecycleNode(
        package="proxy3d_ros",
        executable="proxy3d_node",
        name="proxy3d",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            PathJoinSubstitution([share, "config", f"{preset}.yaml"]),
            *([given] if given else []),
            {"use_sim_time": sim_time, "autostart": autostart},
        ],
        remappings=[(topic, LaunchConfiguration(name)) for name, (topic, _) in TOPICS.items()],
        ros_arguments=["--log-level", log_level],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", PathJoinSubstitution([share, "rviz", "proxy3d.rviz"])],
        # The names in the view are absolute; these bring them into the namespace.
        remappings=[(f"/proxy3d/{topic}", f"proxy3d/{topic}") for topic in ("markers", "proxies", "objects")],
        parameters=[{"use_sim_time": sim_time}],
        condition=IfCondition(LaunchConfiguration("rviz")),
        output="screen",
    )
    return [node, rviz]


def generate_launch_description():
    """Called by ros2 launch."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
