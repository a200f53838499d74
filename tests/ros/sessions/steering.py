"""A robot whose own controller is active at first; then a path, cmd_vel before it, and silence."""

from collections.abc import Callable

from driver import Driver, StandingRobot
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry, Path
from unitree_hg.msg import LowState

from vm_core.motion_switcher import RELEASE_MODE, MotionSwitcher
from vm_msgs.msg import RootCommand
from vm_sim.motion_switcher_node import serve

driver, robot = Driver(), StandingRobot()
report, node = driver.report, driver.node
switcher, heard = MotionSwitcher("ai"), []
serve(node, switcher)
states = node.create_publisher(LowState, "/lowstate", 1)
poses = node.create_publisher(Odometry, "/ground_truth/odometry", 1)
paths = node.create_publisher(Path, "/path", 1)
twists = node.create_publisher(Twist, "/cmd_vel", 1)
node.create_subscription(RootCommand, "/root_command", lambda m: heard.append([m.source, m.vx, m.yaw_rate]), 10)
pose = Odometry()
pose.header.frame_id, pose.child_frame_id, pose.pose.pose.orientation.w = "map", "pelvis", 1.0


def publish() -> None:
    states.publish(robot.state())
    poses.publish(pose)


def send_path(frame: str) -> None:
    path = Path()
    path.header.frame_id = frame
    for k in range(5):
        step = PoseStamped()
        step.pose.position.x, step.pose.position.y = 0.5 * k, 0.2 * k
        step.pose.orientation.w = 1.0
        path.poses.append(step)
    driver.until(lambda: paths.get_subscription_count() > 0)
    paths.publish(path)


def asked(reached: Callable[[str, float, float], bool]) -> list:
    """The newest root command, once it is as it should be; commands are slewed."""
    driver.until(lambda: bool(heard) and reached(*heard[-1]))
    return heard[-1]


def reverse() -> None:
    message = Twist()
    message.linear.x = -0.2
    twists.publish(message)


def steer() -> None:
    """A path in another frame, one in the map's, cmd_vel before it, the path's end."""
    report["stand"] = driver.call_until("/policy/stand")
    report["run"] = driver.call_until("/policy/run")
    send_path("odom")
    driver.hear(50)
    report["foreign"] = heard[-1]
    send_path("map")
    report["path"] = asked(lambda source, vx, turn: source == "path" and vx > 0.2 and turn > 0.02)
    reversing = node.create_timer(0.05, reverse)
    try:
        report["cmd_vel"] = asked(lambda source, vx, _: source == "cmd_vel" and vx < 0.0)
    finally:
        reversing.cancel()
    send_path("map")
    paths.publish(Path())
    report["end"] = asked(lambda *command: command == ("none", 0.0, 0.0))


node.create_timer(0.01, publish)
report["vendor"] = driver.call_until("/policy/stand", lambda answer: "'ai'" in answer[1])
switcher.answer(RELEASE_MODE, "{}")
driver.undisturbed(steer)
driver.tell()
