"""The simulated robot's motion switcher on its topics: `serve(node, switcher)` in a node that runs already."""

from __future__ import annotations

from rclpy.node import Node
from unitree_api.msg import Request, Response

from vm_core.motion_switcher import REQUEST_TOPIC, RESPONSE_TOPIC, MotionSwitcher


def serve(node: Node, switcher: MotionSwitcher) -> None:
    """Answers requests for as long as the node spins."""
    responses = node.create_publisher(Response, RESPONSE_TOPIC, 10)

    def on_request(request: Request) -> None:
        before = switcher.mode
        code, data = switcher.answer(request.header.identity.api_id, request.parameter)
        if switcher.mode != before:
            node.get_logger().info(f"motion switcher: {switcher.mode or 'released'}")
        if request.header.policy.noreply:
            return
        response = Response(data=data)
        response.header.identity = request.header.identity
        response.header.status.code = code
        responses.publish(response)

    node.create_subscription(Request, REQUEST_TOPIC, on_request, 10)
