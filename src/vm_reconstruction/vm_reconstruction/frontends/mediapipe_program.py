"""Runs MediaPipe Pose over raw frames; executed inside its own environment (numpy<2), imports nothing of this project.

Input on stdin: one JSON line {"width", "height", "mask_scale", "static"}, then BGR frames, width*height*3 bytes each.
Output: one .npz at the path of the first argument; xy_px, depth, world_m, visibility, found, masks (packed bits).
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "2")

import cv2
import mediapipe
import numpy as np

COUNT = 33


def read_exactly(stream, size):
    """Reads size bytes or returns None at the end of the stream."""
    data = stream.read(size)
    return data if len(data) == size else None


def arrays_of(result, width, height):
    """One frame's landmarks: xy [px], world [m], visibility, found."""
    if result.pose_landmarks is None:
        return np.zeros((COUNT, 2)), np.zeros((COUNT, 3)), np.zeros(COUNT), False
    image = result.pose_landmarks.landmark
    world = result.pose_world_landmarks.landmark
    return (
        np.array([[p.x * width, p.y * height] for p in image]),
        np.array([[p.x, p.y, p.z] for p in world]),
        np.array([p.visibility for p in image]),
        True,
    )


def small_mask(result, size):
    """Person mask at the small size, bool."""
    if result.segmentation_mask is None:
        return np.zeros((size[1], size[0]), bool)
    return cv2.resize(result.segmentation_mask, size, interpolation=cv2.INTER_AREA) > 0.5


def main():
    """Frames in, one .npz out."""
    header = json.loads(sys.stdin.buffer.readline())
    width, height = header["width"], header["height"]
    size = (width // header["mask_scale"], height // header["mask_scale"])
    pose = mediapipe.solutions.pose.Pose(
        static_image_mode=header["static"],
        model_complexity=header["complexity"],
        enable_segmentation=True,
        smooth_segmentation=False,
        min_detection_confidence=0.5,
    )
    rows, masks = [], []
    while (data := read_exactly(sys.stdin.buffer, width * height * 3)) is not None:
        frame = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        result = pose.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        rows.append(arrays_of(result, width, height))
        masks.append(np.packbits(small_mask(result, size)))
        sys.stdout.write(".")
        sys.stdout.flush()
    xy, world, visibility, found = (np.array(column) for column in zip(*rows, strict=True))
    np.savez_compressed(
        sys.argv[1],
        xy_px=xy,
        world_m=world,
        visibility=visibility,
        found=found,
        masks=np.array(masks),
        mask_size=np.array(size),
    )


if __name__ == "__main__":
    main()
