"""Play a recording into the node.

A sequence of any format that ``proxy3d play`` knows (rosbag2, RGB-D folders, ...; the clock is that of this machine):
    ros2 launch proxy3d_ros replay.launch.py sequence:=/data/kitchen
A bag with its own topics, TF and clock:
    ros2 launch proxy3d_ros replay.launch.py bag:=/data/robot_bag rgb:=/camera/color/image_raw depth:=... info:=...
All other arguments are those of robot.launch.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument("sequence", default_value="", description="Recorded sequence, played by proxy3d play."),
    DeclareLaunchArgument("bag", default_value="", description="Bag, played by ros2 bag play with its clock."),
    DeclareLaunchArgument("rate", default_value="1.0", description="Speed: 2 = twice as fast as recorded."),
    DeclareLaunchArgument("loop", default_value="false", description="Begin again at the end."),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node, such as robot1."),
]


def start(context):
    """The node and the player, once the arguments are known."""
    sequence, bag, rate, namespace = (
        LaunchConfiguration(name).perform(context) for name in ("sequence", "bag", "rate", "namespace")
    )
    loop = ["--loop"] if LaunchConfiguration("loop").perform(context).lower() in ("true", "1") else []
    if bool(sequence) == bool(bag):
        raise RuntimeError("give either sequence:=PATH or bag:=PATH")
    if sequence:
        program = PathJoinSubstitution([FindPackagePrefix("proxy3d_ros"), "lib", "proxy3d_ros", "proxy3d"])
        play = [program, "play", sequence, "--rate", rate, "--namespace", namespace or "/", *loop]
    else:
        play = ["ros2", "bag", "play", bag, "--clock", "--rate", rate, *loop]
    robot = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare("proxy3d_ros"), "launch", "robot.launch.py"])
        ),
        launch_arguments={"use_sim_time": "true" if bag else "false", "namespace": namespace}.items(),
    )
    return [robot, ExecuteProcess(cmd=play, output="screen", name="player")]


def generate_launch_description():
    """Called by ros2 launch."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
